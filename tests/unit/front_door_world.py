"""A front door that serves in a folded world.

Nothing is folded before a test says so (`fold`), or lets it go by itself (`folding`): a place in line can be looked at.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from services.domain import commands as c
from services.domain.campaign import Campaign
from services.domain.campaign_check import Source, check
from services.domain.days import day_of, rfc3339
from services.front_door.log_end import LogEnds
from services.front_door.main import Parts
from services.front_door.shedding import SheddingSettings
from services.platform.contact import ContactKeys
from services.platform.health import Health
from services.platform.http_server import HttpServer
from services.platform.secrets import Secrets
from services.stream.fake import FakeReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS
from tests.morning import WHERE
from tests.unit.campaign_documents import RIGHT, written
from tests.unit.folded_world import FoldedWorld

PARTITIONS = 2
CAMPAIGN = "gz-2020-02"
FAR_MS = 4_000_000_000_000
APPEAL = {"phone": "12345"}


def now_ms() -> int:
    return int(time.time() * 1000)


def campaign(name: str = CAMPAIGN, *, units: int = 100, **changes: Any) -> Campaign:
    """A campaign with two pharmacies and a slot at each, all of today and tomorrow morning.

    Nobody may book in a slot that is over, and tests run at any hour.
    """
    today = day_of(now_ms(), WHERE)
    tomorrow = day_of(today.to_ms, WHERE)
    document = {
        **RIGHT,
        "campaign": name,
        "timezone": WHERE.key,
        "windows": [
            {"opens_at": rfc3339(today.from_ms - 3_600_000, WHERE), "closes_at": rfc3339(tomorrow.to_ms, WHERE)}
        ],
        "slots": [slot(1, today.from_ms, 0, units), slot(2, tomorrow.from_ms, 9, units)],
        **changes,
    }
    return check(Source(file="campaign.json", document=document))


def slot(number: int, from_ms: int, hour: int, units: int) -> dict[str, Any]:
    """A row of slots.csv, s-<number> at p-1 or p-2: from an hour of the day to noon, or the whole day."""
    starts, ends = (rfc3339(from_ms + each * 3_600_000, WHERE) for each in (hour, 12 if hour else 24))
    pharmacy = f"p-{2 - number % 2}"
    return {"id": f"s-{number}", "pharmacy": pharmacy, "starts_at": starts, "ends_at": ends, "units": units}


def tomorrow(name: str, *units: int, **rules: Any) -> Campaign:
    """A campaign of slots that all lie tomorrow, s-1 with the first units, s-2 with the second…; with these rules."""
    from_ms = day_of(now_ms(), WHERE).to_ms
    slots = [slot(number, from_ms, 8 + (number + 1) // 2, some) for number, some in enumerate(units, 1)]
    kinds = ["cn_resident_id", "passport"]
    return campaign(name, slots=slots, rules={"units_max": 5, "document_types": kinds, **rules})


@dataclass
class World:
    """A front door that serves, and everything behind it."""

    url: str
    http: aiohttp.ClientSession
    folded: FoldedWorld
    secrets: Secrets
    server: HttpServer
    parts: Parts
    keys: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.log, self.producer, self.door = self.folded.log, self.folded.producer, self.folded.door
        self.model = self.folded.store
        self.reservations, self.waiting_room = self.parts.reservations, self.parts.waiting_room

    def write(self, partition: int, *commands: c.Command) -> None:
        """Commands of others, straight into the log."""
        self.folded.write(partition, *commands, at_ms=now_ms())

    async def apply(self, applied: Campaign, partition: int = 0, *, opened: bool = True) -> None:
        """What the console does: contact key, definition, opening."""
        ContactKeys(self.secrets.contact_folder).create(applied.campaign, date.fromisoformat(applied.deletion_day))
        self.write(partition, *written(applied))
        if opened:
            self.transition(c.Open, applied.campaign, partition)
        self.model.fold(partition)
        await self.door.refresh_once()

    def transition(self, kind: type[Any], name: str = CAMPAIGN, partition: int = 0) -> None:
        self.write(partition, kind(id=f"transition-{next(self.keys):05d}", campaign=name))

    def pick_up(self, pass_no: str) -> None:
        """What a terminal of pharmacy p-1 does with a pass."""
        code = {"code_digest": "code-digest-0001"}
        self.write(
            0,
            c.InviteTerminal(
                id="invite-000000001", terminal="t-1", region="guangzhou", pharmacy="p-1", expires_ms=FAR_MS, **code
            ),
            c.PairTerminal(id="pair-00000000001", token_digest="token-digest-001", **code),
            c.PickUp(id="pick-up-00000001", pass_no=pass_no, terminal="t-1"),
        )

    def command(self, offset: int = -1, partition: int = 0) -> c.Command:
        """A command as it stands in the log."""
        return c.decode(self.log.records[COMMANDS, PartitionId(partition)][offset].value)

    def end(self, partition: int = 0) -> int:
        return self.log.end(COMMANDS, PartitionId(partition))

    async def book(self, *, key: Any = None, prefer: Any = None, **changes: Any) -> "Heard":
        """POST /v1/reservations with the right body, changed."""
        headers = {"Idempotency-Key": key or f"key-{next(self.keys)}"}
        if prefer is not None:
            headers["Prefer"] = prefer
        return await self.ask("POST", "/v1/reservations", json=wish(**changes), headers=headers)

    async def ask(self, method: str, path: str, **options: Any) -> "Heard":
        async with self.http.request(method, self.url + path, allow_redirects=False, **options) as answer:
            return Heard(answer.status, answer.headers, await answer.read())

    @asynccontextmanager
    async def folding(self, partition: int = 0) -> AsyncIterator[None]:
        """An allocator that is never more than a millisecond behind."""

        async def fold() -> None:
            while True:
                self.model.fold(partition)
                await asyncio.sleep(0.001)

        task = asyncio.create_task(fold())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@dataclass(frozen=True)
class Heard:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def reason(self) -> str:
        assert self.headers["Content-Type"] == "application/problem+json"
        return str(self.json["reason"])


def wish(**changes: Any) -> dict[str, Any]:
    """The body of a booking. `document` and `document_type` change the resident."""
    resident = {
        "document_type": changes.pop("document_type", "cn_resident_id"),
        "document_number": changes.pop("document", "11010519491231002X"),
    }
    right = {"campaign": CAMPAIGN, "slot": "s-1", "units": 5, "resident": resident, "phone": "+8613800000000"}
    return {name: value for name, value in (right | changes).items() if value is not ...}


def documents() -> Any:
    """Different valid passports, for ever."""
    return (f"E{number:08d}" for number in itertools.count(1))


@asynccontextmanager
async def front_door(folder: Path, shedding: SheddingSettings | None = None) -> AsyncIterator[World]:
    """A front door on the fake log and the model, with one open campaign."""
    secrets = Secrets.create(folder / "secrets")
    folded = FoldedWorld(PARTITIONS, now_ms(), secrets.key_check())
    folded.reader.held = True
    for partition in range(PARTITIONS):
        folded.store.fold(partition)
    async with folded.running() as door:
        health = Health()
        health.started()
        log_ends = LogEnds(FakeReader(folded.log, COMMANDS))
        parts = Parts(door, secrets, log_ends, shedding or SheddingSettings())
        async with HttpServer(parts.router(health), "127.0.0.1", 0) as server, aiohttp.ClientSession() as http:
            world = World(f"http://127.0.0.1:{server.port}", http, folded, secrets, server, parts)
            await world.apply(campaign())
            yield world
