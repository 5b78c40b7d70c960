"""Completion: a script per shell, and the words it offers while somebody types.

Commands and flags come from the tree; names of spheres only while an agent holds the key, and never from the network.
Refuses to ask anything.
"""

from __future__ import annotations

from typing import Any, Final

from cloister.cli import agent
from cloister.cli.faults import Refused
from cloister.cli.flags import TABLE
from cloister.cli.shell import Shell, profile

BASH: Final = """_cloister() {
    local IFS=$'\\n'
    COMPREPLY=($(compgen -W "$(cloister __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" \\
        -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _cloister cloister
"""
ZSH: Final = """#compdef cloister
_cloister() {
    local -a found
    found=("${(@f)$(cloister __complete "${words[@]:1:$((CURRENT-1))}" 2>/dev/null)}")
    (( ${#found} )) && compadd -a found || _files
}
compdef _cloister cloister
"""
FISH: Final = """function __cloister_words
    set -l typed (commandline -opc) (commandline -ct)
    cloister __complete $typed[2..-1] 2>/dev/null
end
complete -c cloister -f -a '(__cloister_words)'
"""
SCRIPTS: Final = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def script(shell: Shell, name: str) -> None:
    """Print the script for a shell. Raises Refused."""
    if name not in SCRIPTS:
        raise Refused("choice", flag="SHELL", allowed=", ".join(SCRIPTS))
    shell.out.result({"shell": name, "script": SCRIPTS[name]}, SCRIPTS[name].rstrip("\n"))


def answer(shell: Shell, typed: list[str]) -> None:
    """Print what may stand at the last word of ``typed``, one per line."""
    from cloister.cli.tree import root

    for word in candidates(shell, root(), typed):
        print(word)


def candidates(shell: Shell, tree: Any, typed: list[str]) -> list[str]:
    """What may come at the last word of ``typed`` (it may be empty)."""
    *done, last = typed or [""]
    command, position = tree, 0
    for word in done:
        if word.startswith("-"):
            continue
        below = getattr(command, "commands", {})
        if word in below:
            command = below[word]
        else:
            position += 1
    below = getattr(command, "commands", {})
    if last.startswith("-"):
        own = [name for param in command.params for name in param.opts if name.startswith("--")]
        return sorted(name for name in {*own, *TABLE, "--help"} if name.startswith(last))
    if below:
        return [name for name, one in below.items() if name.startswith(last) and not one.hidden]
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    if not arguments:
        return []
    form = str(arguments[min(position, len(arguments) - 1)].metavar or "").strip("[].")
    if form.startswith("SPHERE"):
        import asyncio

        return [name for name in asyncio.run(_spheres(shell)) if name.startswith(last.lower())]
    return [name for name in form.split("|") if "|" in form and name.startswith(last)]


async def _spheres(shell: Shell) -> list[str]:
    """Short names of the spheres, if an agent holds the key: the first words of each title that tell it apart."""
    key = agent.get_key(shell.agent_path)
    if key is None:
        return []
    async with profile(shell) as client:
        await client.unlock_with_key(key)
        titles = [one.title.lower() for one in client.spheres()]
    names = []
    for title in titles:
        parts = title.split()
        for count in range(1, len(parts) + 1):
            beginning = " ".join(parts[:count])
            if sum(other.startswith(beginning) for other in titles) == 1 or count == len(parts):
                names.append(beginning)
                break
    return sorted(name for name in names if name.isprintable())
