"""One seed from the first step to the last: people act, things go wrong, then everything heals and is judged.

Whatever is chosen is chosen by generators made from the seed, one for each thing that chooses, so that what one device
draws does not depend on the order in which others were served.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloister.client import Client
from cloister.client.sphere import Sphere
from cloister.client.transports.memory import MemoryRelay
from cloister.errors import CloisterError
from cloister.protocol import jws
from cloister.server.app import create_app
from tests.simulation import loop
from tests.simulation.cast import INSIDE, PASSWORD, START, TITLE, Part, settings
from tests.simulation.person import Person, watched_stores
from tests.simulation.weather import Way, Weather

# Rounds of healing: twice the ten minutes after which a question is asked again, and some to spare; then as many as
# it takes until a round brings nothing new.
ROUNDS = 6
MOST = 20
BETWEEN = 700.0


class Broken(AssertionError):
    """A promise that was not kept."""


@dataclass(frozen=True)
class Ack:
    """A message the relay said it has."""

    sph: str
    dv: str
    seq: int
    digest: bytes
    pos: int


@dataclass(eq=False)
class Story:
    """See the module. ``steps`` is how many the stormy part has."""

    seed: int
    length: int
    folder: Path
    parts: list[Part]
    tell: Callable[[str], None] | None = None
    steps: int = 0
    leap: float = 0.0
    people: dict[str, Person] = field(default_factory=dict)
    acks: list[Ack] = field(default_factory=list)
    mids: dict[str, bytes] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    links: list[str] = field(default_factory=list)
    told: int = 0
    failure: str = ""
    cause: BaseException | None = None

    def __post_init__(self) -> None:
        self._trace = hashlib.sha256()
        self.rng = random.Random(f"story/{self.seed}")
        self.weather = Weather()
        self.over = False

    # what the others tell ----------------------------------------------------------------------------------------
    def clock(self) -> float:
        """Unix seconds at the relay."""
        return START + self.leap + asyncio.get_running_loop().time()

    def step(self, who: str, what: str) -> None:
        self.steps += 1
        self.kinds[what.split()[0] if not what[:3].isdigit() else "answer"] += 1
        self._write(who, what)

    def note(self, who: str, what: str) -> None:
        """Something worth reading that is no step."""
        self._write(who, f"- {what}")

    def _write(self, who: str, what: str) -> None:
        line = f"{self.steps:6} {asyncio.get_running_loop().time():12.4f} {who:10} {what}"
        self._trace.update(line.encode() + b"\n")
        if self.tell is not None:
            self.tell(line)

    @property
    def trace(self) -> str:
        """Hash of everything that happened, in order."""
        return self._trace.hexdigest()

    def fail(self, why: str, cause: BaseException | None = None) -> None:
        """End the story: something happened that must not."""
        if not self.failure:
            self.failure, self.cause = why, cause
            self.note("", why)

    def sealed(self, compact: str) -> None:
        """A message left a device: no two ever share the name its key is made from (MSG-004)."""
        envelope = jws.decode(compact, "sph-msg+1")
        name = f"{envelope.header['kid']}/{envelope.header['mid']}"
        if self.mids.setdefault(name, envelope.digest) != envelope.digest:
            self.fail(f"one mid for two messages: {name}")

    def acknowledged(self, compact: str, pos: int) -> None:
        envelope = jws.decode(compact, "sph-msg+1")
        head = envelope.header
        self.acks.append(Ack(head["sph"], head["kid"], head["seq"], envelope.digest, pos))

    # the story ---------------------------------------------------------------------------------------------------
    async def play(self) -> None:
        """Raises Broken."""
        from tests.simulation import verdict

        self.app = create_app(
            settings(self.folder / "relay"), clock=self.clock, rng=random.Random(f"relay/{self.seed}").randbytes
        )
        with watched_stores(self.people):
            async with MemoryRelay(self.app) as self.relay:
                for part in self.parts:
                    self._enter(part.name, part.login, bytes.fromhex(part.key))
                try:
                    for person in list(self.people.values()):
                        await person.start()
                    await self._storm()
                    await self._heal()
                    if not self.failure:
                        verdict.judge(self)
                finally:
                    for person in self.people.values():
                        await person.bury()
                        await person.way.settle()
        if self.failure:
            raise Broken(self.failure) from self.cause

    def _enter(self, name: str, login: str, key: bytes = b"") -> Person:
        person = Person(self, name, login, key, None)  # type: ignore[arg-type]
        rng = random.Random(f"way/{self.seed}/{name}")
        person.way = Way(self.relay, f"10.0.0.{len(self.people) + 1}", self.weather, rng, person)
        person.skew = self.rng.uniform(-600, 600)
        self.people[name] = person
        return person

    async def _storm(self) -> None:
        while self.steps < self.length and not self.failure:
            await asyncio.sleep(self.rng.expovariate(1.5))
            await self._something()

    async def _something(self) -> None:
        """What happens next: mostly people talk; now and then something breaks."""
        rng = self.rng
        chance = rng.random()
        running = [one for one in self.people.values() if one.online]
        if chance < 0.06 and running:
            rng.choice(running).die_in = rng.randint(1, 40)
        elif chance < 0.10:
            one = rng.choice([p for p in self.people.values() if not p.gone])
            one.way.up = not one.way.up
            self.note(one.name, "cut off" if not one.way.up else "connected")
        elif chance < 0.11:
            self.note("", "all connections break")
            for one in self.people.values():
                one.way.cut()
        elif chance < 0.13:
            self.leap += rng.choice((60.0, 700.0, 7200.0, 90_000.0))
            self.note("", "time leaps")
        elif chance < 0.15:
            one = rng.choice(list(self.people.values()))
            one.skew = rng.uniform(-600, 600)
            self.note(one.name, "clock changes")
        elif chance < 0.22 and running:
            self._crowd(running)
        elif running:
            self._act(rng.choice([*running, *(one for one in running if one.leads)]))
        for one in list(self.people.values()):
            if one.dead and not one.gone and rng.random() < 0.3:
                await one.bury()
                one.way.up = True
                await one.start()
            elif not one.way.up and rng.random() < 0.1:
                one.way.up = True
                self.note(one.name, "connected")

    # what people do ----------------------------------------------------------------------------------------------
    def _act(self, who: Person) -> None:
        names = [name for name, (_, weight) in ACTS.items() for _ in range(weight)]
        self._do(who, self.rng.choice(names))

    def _do(self, who: Person, label: str) -> None:
        who.do(label, lambda client: ACTS[label][0](self, who, client))

    def _crowd(self, running: list[Person]) -> None:
        """Several want to change the sphere in the same moment: one of them comes first, the others must see it."""
        able = [one for one in running if one.leads]
        able += [one for one in running if one not in able]
        for one in able[: self.rng.randint(2, 5)]:
            self._do(one, self.rng.choice(("rotate", "rotate", "policy", "meta", "role", "invite", "admit", "say")))

    def inside(self, client: Client) -> Sphere:
        return client.sphere(TITLE)

    # healing -----------------------------------------------------------------------------------------------------
    async def _heal(self) -> None:
        """Everybody is back, nothing is lost any more, and there is time for every question to be answered."""
        self.note("", "the storm is over")
        self.over = True
        self.weather.clear()
        for person in self.people.values():
            person.die_in = 0
            person.way.up = True
        for person in self.people.values():
            await person.bury()
            await person.way.settle()
        for person in self.people.values():
            await person.start(live=False)
        before = -1
        for n in range(MOST):
            if self.failure or (n > ROUNDS and before == self.stored()):
                return
            before = self.stored()
            for person in self.people.values():
                await self._round(person)
            self.leap += BETWEEN if n < ROUNDS else 0.0

    def stored(self) -> int:
        """Rows the relay has."""
        with sqlite3.connect(self.folder / "relay" / "relay.db") as db:
            return int(db.execute("SELECT count(*) FROM item").fetchone()[0])

    async def _round(self, person: Person) -> None:
        if not person.online or self.failure:
            return
        client = person.client
        assert client is not None
        try:
            report = await client.sync()
            person.faults = report.faults
            if report.faults:
                self.note(person.name, f"faults {report.faults}")
            if "L_MASTER_KEY" in report.faults:
                client.lock()
                await client.unlock(PASSWORD.format(person.login))
            unfinished = client.context.store.get("revoking")
            if unfinished:
                await client.revoke_device(unfinished["dv"], PASSWORD.format(person.login))
            await _answer(self, person, client)
        except CloisterError as error:
            self.note(person.name, f"round: {error.code}")
            if error.code in ("L_REVOKED", "E_AUTH", "L_DEVICE_REVOKED"):
                person.gone = error.code
        except Exception as error:
            self.fail(f"{person.name}: {type(error).__name__}: {error}", error)


# --- the acts -------------------------------------------------------------------------------------------------------


async def _say(story: Story, who: Person, client: Client) -> Any:
    sphere = story.inside(client)
    story.told += 1
    text = f"{who.name} says {story.told}"
    said = await sphere.send(text)
    who.said.append(text)
    return said


async def _change(story: Story, who: Person, client: Client) -> Any:
    """Edit, delete, answer or react to something."""
    sphere = story.inside(client)
    rng = random.Random(f"{story.seed}/{who.name}/{story.steps}")
    shown = [one for one in sphere.messages(limit=20, waiting=False) if one.state == "sent" and not one.deleted]
    if not shown:
        return None
    one = rng.choice(shown)
    how = rng.randrange(4)
    if how == 0:
        return await sphere.edit(one, f"{one.text}!") if one.mine else await sphere.react(one, "+1")
    if how == 1:
        return await sphere.react(one, "+1", on=rng.random() < 0.7)
    if how == 2:
        return await sphere.send(f"{who.name} answers {who.life}.{story.steps}", reply_to=one)
    return await sphere.delete(one) if one.mine and one.kind == "comment" else None


async def _rotate(story: Story, who: Person, client: Client) -> Any:
    return await story.inside(client).rotate()


async def _invite(story: Story, who: Person, client: Client) -> Any:
    rng = random.Random(f"{story.seed}/{who.name}/{story.steps}")
    link = await story.inside(client).invite(
        uses=rng.randint(1, 3), role=rng.choice(("member", "member", "guest")), admit=rng.choice(("ask", "auto"))
    )
    story.links.append(link.url)


async def _join(story: Story, who: Person, client: Client) -> Any:
    if story.links:
        rng = random.Random(f"{story.seed}/{who.name}/{story.steps}")
        await client.join(rng.choice(story.links[-3:]))


async def _admit(story: Story, who: Person, client: Client) -> Any:
    sphere = story.inside(client)
    for request in await sphere.requests():
        await sphere.admit(request, confirmed=not request.by_link)


def _somebody(story: Story, who: Person, sphere: Sphere) -> Any:
    rng = random.Random(f"{story.seed}/{who.name}/{story.steps}")
    others = [one for one in sphere.people() if not one.me]
    return rng.choice(others) if others else None


async def _remove(story: Story, who: Person, client: Client) -> Any:
    sphere = story.inside(client)
    target = _somebody(story, who, sphere)
    if target is not None and sphere.info.members > 4:
        await sphere.remove(target)


async def _leave(story: Story, who: Person, client: Client) -> Any:
    sphere = story.inside(client)
    if sphere.info.members > 4:
        await sphere.leave()


async def _role(story: Story, who: Person, client: Client) -> Any:
    sphere = story.inside(client)
    target = _somebody(story, who, sphere)
    rng = random.Random(f"{story.seed}/{who.name}/{story.steps}")
    if target is not None:
        await sphere.set_role(target, rng.choice(("admin", "member", "guest", "owner")))


async def _mode(story: Story, who: Person, client: Client) -> Any:
    sphere = story.inside(client)
    await sphere.set_mode("open" if sphere.info.mode == "e2ee" else "e2ee")


async def _encrypt(story: Story, who: Person, client: Client) -> Any:
    await story.inside(client).set_mode("e2ee")


async def _policy(story: Story, who: Person, client: Client) -> Any:
    rng = random.Random(f"{story.seed}/{who.name}/{story.steps}")
    change: dict[str, Any] = rng.choice(
        (
            {"history": "all"},
            {"history": "none"},
            {"history": "since-join"},
            {"history": "days:3"},
            {"join": "any"},
            {"join": "approve"},
            {"T": 86400},
            {"T": 7 * 86400},
            {"guests": "talk"},
        )
    )
    await story.inside(client).set_policy(**change)


async def _meta(story: Story, who: Person, client: Client) -> Any:
    await story.inside(client).set_meta(topic=f"about {story.steps}")


async def _checkpoint(story: Story, who: Person, client: Client) -> Any:
    return await story.inside(client).checkpoint()


async def _sync(story: Story, who: Person, client: Client) -> Any:
    await client.sync()


async def _answer(story: Story, who: Person, client: Client) -> Any:
    """Say yes to what waiting texts ask, and try the others again: each as it stands by now."""
    for name in [item.id for item in client.outbox()]:
        for item in client.outbox():
            if item.id == name:
                await client.retry(item.id, anyway=item.question)


async def _device(story: Story, who: Person, client: Client) -> Any:
    """A new device, or the loss of one."""
    own = [one for one in story.people.values() if one.login == who.login]
    rng = random.Random(f"{story.seed}/{who.name}/{story.steps}")
    present = [one for one in own if not one.gone and one is not who]
    if present and rng.random() < 0.6:
        lost = rng.choice(present)
        if lost.client is None or not lost.key:
            return
        dv = lost.client.account.dv
        story.note(lost.name, "is lost")
        lost.gone = "lost"
        lost.end()
        await client.revoke_device(dv, PASSWORD.format(who.login))
    elif len(present) < 2 and len(story.people) < 16:
        fresh = story._enter(f"{who.login}-{len(own)}", who.login)
        fresh.dead = False
        fresh.run(_enrol(story, fresh))


async def _enrol(story: Story, fresh: Person) -> None:
    rng = random.Random(f"{story.seed}/{fresh.name}/enrol")
    fresh.client = await Client.open(
        story.folder / fresh.name, transport=fresh.way, clock=fresh.clock, rng=rng.randbytes
    )
    try:
        await fresh.client.sign_in(fresh.login, PASSWORD.format(fresh.login), device_name=fresh.name)
    except CloisterError as error:
        story.note(fresh.name, f"not enrolled: {error.code}")
        fresh.gone = "never was"
        fresh.end()
        return
    fresh.key = fresh.client.agent_key()
    story.note(fresh.name, "enrolled")
    await fresh._live()


ACTS: dict[str, tuple[Any, int]] = {
    "say": (_say, 40),
    "change": (_change, 12),
    "rotate": (_rotate, 3),
    "invite": (_invite, 3),
    "join": (_join, 10),
    "admit": (_admit, 6),
    "remove": (_remove, 3),
    "leave": (_leave, 1),
    "role": (_role, 3),
    "mode": (_mode, 1),
    "encrypt": (_encrypt, 2),
    "policy": (_policy, 3),
    "meta": (_meta, 1),
    "checkpoint": (_checkpoint, 1),
    "sync": (_sync, 4),
    "answer": (_answer, 6),
    "device": (_device, 1),
}


def play(seed: int, length: int, cast: Path, parts: list[Part], tell: Callable[[str], None] | None = None) -> Story:
    """Play one seed. Raises Broken; the story returned has ``trace`` and counts."""
    import tempfile

    with tempfile.TemporaryDirectory(dir=cast.parent, prefix="story-") as folder:
        shutil.copytree(cast, folder, dirs_exist_ok=True)
        story = Story(seed, length, Path(folder), parts, tell)
        loop.run(story.play(), seed)
        return story


__all__ = ["INSIDE", "Broken", "Story", "play"]
