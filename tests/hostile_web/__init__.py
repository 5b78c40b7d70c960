"""The attacks of a lying relay against both clients, the browser's over real HTTP: the same verdicts are expected."""
