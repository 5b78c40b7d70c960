"""Completion scripts, and the words they offer: commands, flags, and names of spheres while the profile is open."""

from __future__ import annotations

import asyncio
from typing import Any

from cloister.cli.faults import Refused
from cloister.cli.flags import TABLE
from cloister.cli.shell import Shell

BASH = """_cloister() {
    local IFS=$'\\n'
    COMPREPLY=($(compgen -W "$(cloister --no-input -q complete-words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" \\
        -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _cloister cloister
"""
ZSH = """#compdef cloister
_cloister() {
    local -a found
    found=("${(@f)$(cloister --no-input -q complete-words -- "${words[@]:1:$((CURRENT-1))}" 2>/dev/null)}")
    (( ${#found} )) && compadd -a found || _files
}
compdef _cloister cloister
"""
FISH = """function __cloister_words
    set -l typed (commandline -opc) (commandline -ct)
    cloister --no-input -q complete-words -- $typed[2..-1] 2>/dev/null
end
complete -c cloister -f -a '(__cloister_words)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def script(shell: Shell, name: str) -> None:
    """Print the script for a shell."""
    if name not in SCRIPTS:
        raise Refused("choice", flag="SHELL", allowed="bash, zsh, fish")
    shell.out.result({"shell": name, "script": SCRIPTS[name]}, SCRIPTS[name].rstrip("\n"))


def candidates(shell: Shell, root: Any, typed: list[str]) -> list[str]:
    """What may come next after ``typed``, whose last word is being written."""
    *done, last = typed or [""]
    command, position = root, 0
    for word in done:
        if word.startswith("-"):
            continue
        below = getattr(command, "commands", None)
        if below is not None and word in below:
            command = below[word]
        else:
            position += 1
    below = getattr(command, "commands", None)
    if last.startswith("-"):
        own = [name for param in command.params for name in param.opts if name.startswith("--")]
        return sorted(name for name in {*own, *TABLE, "--help"} if name.startswith(last))
    if below is not None:
        return [name for name, one in below.items() if name.startswith(last) and not one.hidden]
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    wanted = arguments[min(position, len(arguments) - 1)] if arguments else None
    if wanted is None or not (wanted.metavar or "").strip("[].").startswith("SPHERE"):
        return []
    return [name for name in asyncio.run(_spheres(shell)) if name.startswith(last.lower())]


async def _spheres(shell: Shell) -> list[str]:
    """Short names of the spheres, if an agent holds the key: the first words of each title that tell it apart."""
    from cloister.cli import agent
    from cloister.cli.shell import profile

    key = agent.get_key(shell.agent_path)
    if key is None:
        return []
    async with profile(shell) as client:
        await client.unlock_with_key(key)
        titles = [one.title.lower() for one in client.spheres()]
    names = []
    for title in titles:
        words = title.split()
        for count in range(1, len(words) + 1):
            beginning = " ".join(words[:count])
            if sum(other.startswith(beginning) for other in titles) == 1 or count == len(words):
                names.append(beginning)
                break
    return sorted(name for name in names if name.isprintable())
