"""Plays transcripts: text files that read like a terminal, run against real processes.

    # a remark
    %relay                          a server of its own, running until the end; $SERVER and $CODE are set
    %sphere Harbour plan: ada bo    an account each (password $ADA, $BO in ~/secrets.toml), in one sphere of ada's
    ada$ cloister account new ada   a command typed by ada on a terminal
    Set-up code:                    what must appear next, a line or a prompt (… stands for anything in the line)
    < $CODE                         what is typed
    [4]                             the exit code, when it is not 0
    ada| cloister read harbour      without any terminal: these lines are stdout, in full
    2> Not readable yet…            a line of stderr that must be there, in this order
    bo$ cloister join &             goes on by itself; later
    %look bo: bo  …  Hello          it must show this by now
    %interrupt bo                   Ctrl-C
    bo$ fg                          and at last stays until it ends

``{NAME:regex}`` in an expected line keeps what matched as $NAME. Every person has a home of their own. Commands are
run by sh, so pipes and redirections mean what they mean.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import subprocess
import sys
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
# How long something may take before it counts as hung: a watchdog, not a measure.
WATCHDOG = 90.0
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_VARIABLE = re.compile(r"\$([A-Z][A-Z0-9_]*)")
_CAPTURE = re.compile(r"\{([A-Z][A-Z0-9_]*):((?:[^{}]|\{[^{}]*\})*)\}")
_COMMAND = re.compile(r"([a-z]+)([$|]) (.*)")


class Failed(AssertionError):
    """The play went another way than the transcript says."""


@dataclass
class Step:
    """One command with what is to be seen, typed, and the exit code."""

    line: int
    who: str
    way: str
    command: str
    play: list[tuple[str, str]] = field(default_factory=list)
    code: int = 0


def parse(text: str) -> list[Step]:
    """The steps of a transcript."""
    steps: list[Step] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _COMMAND.fullmatch(line)
        if line.startswith("%"):
            steps.append(Step(number, "", "%", line[1:].strip()))
        elif found:
            steps.append(Step(number, found[1], found[2], found[3]))
        elif re.fullmatch(r"\[\d+\]", line):
            steps[-1].code = int(line[1:-1])
        elif line.startswith("< ") or line == "<":
            steps[-1].play.append(("type", line[2:]))
        elif line.startswith("2> "):
            steps[-1].play.append(("err", line[3:]))
        else:
            steps[-1].play.append(("see", line))
    return steps


class Screen:
    """One process on a pseudo-terminal."""

    def __init__(self, command: str, env: dict[str, str], folder: Path) -> None:
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, b"\x28\x00\xc8\x00\x00\x00\x00\x00")  # 40 rows, 200 columns
        self.process = subprocess.Popen(
            ["sh", "-c", command if set(command) & set("|;&") else f"exec {command}"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=env,
            cwd=folder,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.raw, self.at, self.ended = b"", 0, False

    @property
    def text(self) -> str:
        """Everything shown, without colours, with plain line ends."""
        return _ANSI.sub("", self.raw.decode("utf-8", "replace")).replace("\r\n", "\n").replace("\r", "\n")

    def more(self, seconds: float) -> bool:
        """Wait for output. False when the process has ended and all was read, or the time is over."""
        if self.ended or not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            data = b""
        self.ended = not data
        self.raw += data
        return bool(data)

    def see(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Wait until what is shown next matches."""
        until = time.monotonic() + WATCHDOG
        while True:
            rest = self.text[self.at :]
            found = pattern.match(rest)
            # A match that ends where the output ends may still grow, unless a question waits.
            if found and (found.end() < len(rest) or self.ended or not self.more(0.3)):
                self.at += found.end()
                return found
            if found:
                continue
            if not self.more(max(0.0, until - time.monotonic())):
                if self.ended and pattern.match(self.text[self.at :]):
                    continue
                raise Failed(f"expected {pattern.pattern!r}\nshown    {rest!r}")

    def type(self, text: str) -> None:
        """Type a line; the echo (the text itself, or a dot for each character) is taken off."""
        os.write(self.master, (text + "\n").encode())
        echo = re.escape(text) if text else ""
        self.see(re.compile(rf"(?:{echo}|·*)\n"))

    def end(self) -> str:
        """Read to the end; what was not yet seen."""
        until = time.monotonic() + WATCHDOG
        while not self.ended and time.monotonic() < until:
            self.more(max(0.0, until - time.monotonic()))
        self.process.wait(WATCHDOG)
        os.close(self.master)
        return self.text[self.at :]


class Stage:
    """Homes, a relay, variables, and what still runs. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables: dict[str, str] = {}
        self.relay: subprocess.Popen[str] | None = None
        self.running: dict[str, tuple[Screen, int]] = {}
        self.people: set[str] = set()
        self.log: list[str] = []
        binaries = folder / "bin"
        binaries.mkdir()
        script = binaries / "cloister"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cloister.cli "$@"\n')
        script.chmod(0o755)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        from cloister.cli import agent

        for screen, _line in self.running.values():
            screen.process.kill()
        for who in self.people:
            for path in (self.folder / who / "run").rglob("*.sock"):
                agent.lock(path)
        self.stop_relay()

    # people ------------------------------------------------------------------------------------------------------
    def env(self, who: str) -> dict[str, str]:
        """The environment of a person: a home, a runtime folder, and the way to the command."""
        home = self.folder / who
        (home / "run").mkdir(mode=0o700, parents=True, exist_ok=True)
        self.people.add(who)
        found = {
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT / "src"),
            "TERM": "xterm",
            "LANG": "C.UTF-8",
        }
        if "SERVER" in self.variables:
            found["CLOISTER_SERVER"] = self.variables["SERVER"]
        return found

    def fill(self, text: str) -> str:
        """``text`` with variables filled in."""
        return _VARIABLE.sub(lambda m: self.variables.get(m[1], m[0]), text)

    def pattern(self, line: str) -> re.Pattern[str]:
        """An expected line as an expression."""
        out, at = r"\n*", 0
        line = line.rstrip()
        for found in _CAPTURE.finditer(line):
            out += self._plain(line[at : found.start()]) + f"(?P<{found[1]}>{found[2]})"
            at = found.end()
        out += self._plain(line[at:])
        return re.compile(out + r"[ ]*(?:\n|$)")

    def _plain(self, text: str) -> str:
        return "[^\n]*?".join(re.escape(part) for part in self.fill(text).split("…"))

    def keep(self, found: re.Match[str]) -> None:
        """Remember what was captured."""
        self.variables.update({name: value for name, value in found.groupdict().items() if value is not None})

    # the relay ---------------------------------------------------------------------------------------------------
    def start_relay(self, flags: str) -> None:
        """Start a relay, on the same port as before if there was one."""
        address = self.variables.get("SERVER", "http://localhost:0").partition("//")[2]
        env = self.env("server")
        env.pop("CLOISTER_SERVER", None)
        words = [sys.executable, "-m", "cloister.cli", "serve", "--listen", address, *flags.split()]
        with (self.folder / "server.err").open("ab") as err:
            self.relay = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=err, text=True)
        assert self.relay.stdout is not None
        line = self.relay.stdout.readline()
        found = re.match(r"Ready on (https?://\S+) · data in (\S+)(?: · first account: .* code (\S+))?", line)
        if not found:
            raise Failed(f"the relay said {line!r}; {(self.folder / 'server.err').read_text()[-2000:]}")
        self.variables["SERVER"] = found[1]
        self.variables["DATA"] = found[2].replace("~", env["HOME"], 1)
        if found[3]:
            self.variables["CODE"] = found[3]

    def stop_relay(self) -> None:
        """Stop the relay cleanly."""
        if self.relay is not None:
            self.relay.send_signal(signal.SIGTERM)
            try:
                self.relay.wait(WATCHDOG)
            finally:
                self.relay.kill()
                assert self.relay.stdout is not None
                self.relay.stdout.close()
                self.relay = None

    # playing -----------------------------------------------------------------------------------------------------
    def play(self, text: str) -> None:
        """Play a transcript. Raises Failed at the first difference."""
        for step in parse(text):
            try:
                self._step(step)
            except Failed as error:
                raise Failed(f"line {step.line}: {step.who}{step.way} {step.command}\n{error}") from None

    def _step(self, step: Step) -> None:
        if step.way == "%":
            self._direct(step.command)
        elif step.way == "|":
            self._piped(step)
        else:
            self._typed(step)

    def _direct(self, command: str) -> None:
        name, _, rest = command.partition(" ")
        if name == "relay" and rest == "stop":
            self.stop_relay()
        elif name == "relay":
            self.start_relay(rest)
        elif name == "sphere":
            title, _, people = rest.partition(":")
            self._sphere(title.strip(), people.split())
        elif name == "look":
            who, _, text = rest.partition(": ")
            self.keep(self.running[who][0].see(self.pattern(text)))
        elif name == "let":
            key, _, value = rest.partition("=")
            self.variables[key.strip()] = self.fill(value.strip())
        elif name == "interrupt":
            os.write(self.running[rest][0].master, b"\x03")
        else:
            raise Failed(f"no such direction: {command}")

    def _sphere(self, title: str, people: list[str]) -> None:
        """Accounts and a sphere, made by the commands themselves."""
        owner, *others = people
        for who in people:
            self.variables[who.upper()] = password = f"seven-{who}-grey-seals-on-a-rock"
            self.env(who)
            path = self.folder / who / "secrets.toml"
            path.touch(0o600)
            path.write_text(f'setup = "{self.variables["CODE"]}"\npassword = "{password}"\n')
        self._quietly(owner, f"cloister account new {owner} --secrets-file secrets.toml")
        self._quietly(owner, f"cloister sphere new '{title}'")
        if others:
            link = self._quietly(owner, f"cloister invite '{title}' --auto --uses {len(others)} -q").split()[0]
            for who in others:
                self._quietly(who, f"echo '{link}' > link; cloister join - --name {who} --no-wait "
                                   "--secrets-file secrets.toml < link")  # fmt: skip
            self._quietly(owner, "cloister sphere ls")
            for who in others:
                self._quietly(who, "cloister sphere ls")

    def _quietly(self, who: str, command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, env=self.env(who), cwd=self.folder / who,
            stdin=subprocess.DEVNULL, start_new_session=True, timeout=WATCHDOG,
        )  # fmt: skip
        if done.returncode:
            raise Failed(f"{who}: {command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def _typed(self, step: Step) -> None:
        if step.command == "fg":
            screen, _ = self.running.pop(step.who)
        else:
            back = step.command.endswith(" &")
            screen = Screen(self.fill(step.command.removesuffix(" &")), self.env(step.who), self.folder / step.who)
            if back:
                self.running[step.who] = (screen, step.line)
        for kind, text in step.play:
            if kind == "type":
                screen.type(self.fill(text))
            else:
                self.keep(screen.see(self.pattern(text)))
        if step.who in self.running and self.running[step.who][0] is screen:
            return
        rest = screen.end()
        self.log.append(screen.text)
        if rest.strip():
            raise Failed(f"also shown: {rest!r}")
        self._check_code(step, screen.process.returncode, screen.text)

    def _piped(self, step: Step) -> None:
        typed = "".join(self.fill(text) + "\n" for kind, text in step.play if kind == "type")
        done: Any = subprocess.run(
            ["sh", "-c", self.fill(step.command)],
            input=typed,
            capture_output=True,
            text=True,
            env=self.env(step.who),
            cwd=self.folder / step.who,
            start_new_session=True,
            timeout=WATCHDOG,
        )
        self.log.append(done.stdout + done.stderr)
        shown = done.stdout
        for kind, text in step.play:
            if kind == "see":
                found = self.pattern(text).match(shown)
                if not found:
                    raise Failed(f"expected {text!r}\nstdout   {shown!r}\nstderr   {done.stderr!r}")
                self.keep(found)
                shown = shown[found.end() :]
        if shown.strip():
            raise Failed(f"also on stdout: {shown!r}")
        rest = done.stderr
        for kind, text in step.play:
            if kind == "err":
                found = self.pattern(text).search(rest)
                if not found:
                    raise Failed(f"expected {text!r}\nstderr   {rest!r}")
                self.keep(found)
                rest = rest[found.end() :]
        self._check_code(step, done.returncode, done.stdout + done.stderr)

    def _check_code(self, step: Step, code: int, shown: str) -> None:
        if code != step.code:
            raise Failed(f"exit code {code}, expected {step.code}\nshown    {shown!r}")
