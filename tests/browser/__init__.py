"""The application in a real browser, on a real relay, beside the real terminal.

``conftest`` has the fixtures: ``chromium`` (one per module), ``stage`` (relay and terminals, see ``tests.cli.stage``)
and ``window`` (a fresh profile of the browser with one tab, which may write nothing to the console that is an error,
break no policy and ask no other origin).
"""
