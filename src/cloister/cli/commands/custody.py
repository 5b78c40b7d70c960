"""sphere custody: where keys are kept, by the sphere's rule and by one's own choice; and the words for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloister.cli.faults import NOT_FOUND, USAGE, Refused
from cloister.cli.output import say
from cloister.cli.shell import Shell, opened, synced
from cloister.errors import NotFound, UsageError

if TYPE_CHECKING:
    from cloister.client import Client
    from cloister.client.records import SphereInfo


async def change(shell: Shell, name: str, custody: str, only_here: bool, with_account: bool) -> None:
    """Show where the keys of a sphere are kept, or change it for everybody or for oneself."""
    if custody not in ("", "synced", "device"):
        raise Refused("one-of", USAGE, flag="CUSTODY", allowed="synced, device")
    if (only_here and with_account) or (custody and (only_here or with_account)):
        raise Refused("custody-one", USAGE)
    async with opened(shell) as client:
        await synced(shell, client)
        sphere = client.sphere(name)
        info = sphere.info
        if info.status != "active":
            raise Refused("not-in-sphere", NOT_FOUND, title=info.title, code="C_NOT_MEMBER")
        if custody and info.role != "owner":
            raise Refused("owner-only", NOT_FOUND, title=info.title, code="E_FORBIDDEN")
        if with_account and info.custody == "device":
            raise Refused("custody-device", USAGE, title=info.title)
        if (custody or only_here or with_account) and shell.would("would.custody", title=info.title):
            return
        try:
            if custody:
                await sphere.set_custody("device" if custody == "device" else "synced")
            elif only_here or with_account:
                await sphere.keep_only_here(only_here)
        except UsageError:
            raise Refused("custody-alone", USAGE, title=info.title) from None
        info = sphere.info
        row = {"sphere": info.sph, "custody": info.custody, "only_here": info.only_here, "key": info.epoch}
        shell.out.result(row, where(info))
        if (custody == "device" or only_here) and info.mode == "e2ee":
            shell.out.note(say("note.custody-new-key", n=info.epoch))


def where(info: SphereInfo) -> str:
    """Where this person's keys of a sphere are kept."""
    if info.custody == "device":
        return say("show.custody-device")
    return say("show.only-here" if info.only_here else "show.custody-synced")


def keys(client: Client, info: SphereInfo) -> list[str]:
    """What is to be said of an encrypted sphere's keys: where they are, whether saved, and what is weaker."""
    return [where(info), _saved(info), *labels(client, info)]


def labels(client: Client, info: SphereInfo) -> list[str]:
    """What makes a sphere's keys weaker than usual, said where it is made and shown."""
    lines = []
    if info.kind == "org":
        lines.append(say("show.organisation"))
    if info.org:
        lines.append(say("show.of-organisation", org=title(client, info.org)))
    if info.kem_min != "xwing":
        lines.append(say("show.weak-keys"))
    return lines


def title(client: Client, sph: str) -> str:
    """How an organisation is called here."""
    try:
        return client.sphere(sph).info.title
    except (NotFound, UsageError):
        return sph[:9]


def _saved(info: SphereInfo) -> str:
    """Whether the keys lie outside as well; the reminder stays until they do (CLT-060)."""
    if not info.saved:
        return say("show.saved-never")
    return say("show.saved" if info.saved >= info.epoch else "show.saved-older", saved=info.saved, n=info.epoch)
