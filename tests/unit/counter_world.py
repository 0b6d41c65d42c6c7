"""A world for the counter in one process: the log is the fake, the state is the reference model's, the time is a day in
February 2020 that moves when a test ticks the clock.

    async with counter(tmp_path) as world:
        till = await world.paired("till-1", "p-1")
        anna = world.books("A0000001", "s-morning", units=5)
        heard = await till.post("/v1/pickups", {"pass": world.pass_of(anna)})
"""

import base64
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from services.counter.main import TillSettings, router_of
from services.domain import commands as c
from services.domain.documents import DocumentType, canonical, last4
from services.domain.rows import ReservationRow
from services.platform.contact import ContactKeys
from services.platform.health import Health
from services.platform.http_server import HttpServer
from services.platform.identities import Identities
from services.platform.pairing_codes import new_pairing_code, pairing_code_digest
from services.platform.passes import Pass
from services.platform.secrets import Secrets
from tests.unit.folded_world import FoldedWorld

DAY_MS = 86_400_000
MIDNIGHT_MS = 1_580_486_400_000  # 1 February 2020, 00:00 in Guangzhou
NOON_MS = MIDNIGHT_MS + 12 * 3_600_000
TODAY, TOMORROW = 20200201, 20200202
CAMPAIGN = "gz-2020-02"
REGION = "guangzhou"
DELETION_DAY = "2020-02-16"
APPEAL = {"phone": "12345", "place": "Town hall", "hours": "9-18"}
DEFINITION: dict[str, Any] = {
    "timezone": "Asia/Shanghai",
    "title": {"en": "Masks"},
    "controller": {"name": "The city", "contact": "12345"},
    "appeal_contact": APPEAL,
    "windows": [{"opens_ms": MIDNIGHT_MS, "closes_ms": MIDNIGHT_MS + DAY_MS}],
    "rules": {"units_max": 5, "document_types": list(DocumentType)},
    "delete_after_days": 14,
    "deletion_day": DELETION_DAY,
}
PHARMACIES = {"p-1": "Yong'an pharmacy", "p-2": "Changshou pharmacy"}


def slot(
    name: str, pharmacy: str = "p-1", *, day: int = 0, hour: int = 9, units: int = 100, cool_until_ms: int = 0
) -> c.Slot:
    """Four hours at a pharmacy; `day` 0 is today."""
    from_ms = MIDNIGHT_MS + day * DAY_MS
    return c.Slot(
        id=name,
        pharmacy=pharmacy,
        day=TODAY + day,
        starts_ms=from_ms + hour * 3_600_000,
        ends_ms=from_ms + (hour + 4) * 3_600_000,
        day_from_ms=from_ms,
        day_to_ms=from_ms + DAY_MS,
        units=units,
        cool_until_ms=cool_until_ms,
    )


SLOTS = (slot("s-morning"), slot("s-noon", hour=12), slot("s-tomorrow", day=1), slot("s-other", "p-2"))


@dataclass(frozen=True)
class Booking:
    """A resident's reservation, and the document that was used."""

    pass_no: str
    document: str

    @property
    def last4(self) -> str:
        return self.document[-4:]

    @property
    def shown(self) -> dict[str, str]:
        """The document, as it is shown at a counter."""
        return {"document_type": "passport", "document_number": self.document}


@dataclass(frozen=True)
class Heard:
    """An answer."""

    status: int
    headers: dict[str, str]
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


@dataclass
class Till:
    """A terminal with its token."""

    world: "CounterWorld"
    token: str

    async def post(self, path: str, body: Any, *, key: str | None = None, **headers: str) -> Heard:
        """A call that changes something, each with a key of its own unless the test says which."""
        mine = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key or f"key-{next(self.world.numbers)}"}
        return await self.world.ask("POST", path, json=body, headers=mine | headers)

    async def get(self, path: str) -> Heard:
        return await self.world.ask("GET", path, headers={"Authorization": f"Bearer {self.token}"})

    async def picks_up(self, booking: Booking, *, key: str | None = None) -> Heard:
        return await self.post("/v1/pickups", {"pass": self.world.pass_of(booking)}, key=key)


@dataclass
class CounterWorld:
    """A counter that serves, and everything behind it."""

    url: str
    http: aiohttp.ClientSession
    folded: FoldedWorld
    secrets: Secrets
    identities: Identities
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    partition: int = 1
    now_ms: int = NOON_MS

    async def ask(self, method: str, path: str, **options: Any) -> Heard:
        async with self.http.request(method, self.url + path, allow_redirects=False, **options) as answer:
            return Heard(answer.status, dict(answer.headers), await answer.read())

    # -- what others do ---------------------------------------------------------------------------------------------

    def write(self, *commands: c.Command) -> None:
        """Commands of others, at the time of the world."""
        self.folded.write(self.partition, *commands)

    def time_is(self, at_ms: int) -> None:
        """The clock service ticks; the record that says so is as late."""
        self.now_ms = at_ms
        self.folded.write(self.partition, c.Tick(at_ms=at_ms), at_ms=at_ms)

    async def applies(
        self,
        *slots: c.Slot,
        campaign: str = CAMPAIGN,
        region: str = REGION,
        opened: bool = True,
        looked_at: bool = True,
        rules: c.CampaignRules | None = None,
        read_rules: dict[str, Any] | None = None,
        delete_ms: int = 0,
    ) -> None:
        """The console applies a campaign with these slots and opens it; `rules` are the fold's, `read_rules` what the
        doors read. Not `looked_at`: within the second in which the counter has not looked for campaigns again."""
        revision = base64.b16encode(campaign.encode()[:8].ljust(8, b"-")).decode().lower()
        about = {"campaign": campaign, "revision": revision}
        ContactKeys(self.secrets.contact_folder).create(campaign, date.fromisoformat(DELETION_DAY))
        written = DEFINITION | {"campaign": campaign, "region": region}
        written |= {"rules": read_rules} if read_rules else {}
        shops = [c.Pharmacy(id=each, name=name, address=f"{each} street") for each, name in PHARMACIES.items()]
        self.write(
            c.DefineCampaign(
                id=self.id(), region=region, units_max=5, pharmacies=len(PHARMACIES), slots=len(slots),
                definition=msgspec.json.encode(written).decode(), rules=rules or c.CampaignRules(),
                delete_ms=delete_ms, **about,
            ),
            c.AddPharmacies(id=self.id(), first=0, pharmacies=shops, **about),
            c.AddSlots(id=self.id(), first=0, slots=list(slots), **about),
            c.SealDefinition(id=self.id(), **about),
        )  # fmt: skip
        if opened:
            self.write(c.Open(id=self.id(), campaign=campaign))
        if looked_at:
            await self.folded.door.refresh_once()

    def invites(
        self, terminal: str, pharmacy: str, *, region: str = REGION, expires_ms: int = NOON_MS + 30 * DAY_MS
    ) -> str:
        """The console expects a terminal; its pairing code."""
        code = new_pairing_code(self.identities, self.partition, self.id())
        self.write(
            c.InviteTerminal(
                id=self.id(),
                terminal=terminal,
                region=region,
                pharmacy=pharmacy,
                code_digest=pairing_code_digest(self.identities, code),
                expires_ms=expires_ms,
            )
        )
        return code

    async def paired(self, terminal: str = "till-1", pharmacy: str = "p-1", *, region: str = REGION) -> Till:
        """A terminal that is paired and signed in."""
        heard = await self.pairs(self.invites(terminal, pharmacy, region=region))
        assert heard.status == 201, heard.text
        return Till(self, heard.json["token"])

    async def pairs(self, code: str, *, key: str | None = None) -> Heard:
        """POST /v1/terminals"""
        headers = {"Idempotency-Key": key or f"key-{next(self.numbers)}"}
        return await self.ask("POST", "/v1/terminals", json={"pairing_code": code}, headers=headers)

    def books(self, document: str, slot: str = "s-morning", units: int = 5, *, campaign: str = CAMPAIGN) -> Booking:
        """A resident books, through the front door."""
        resident = self.identities.resident("passport", canonical(DocumentType.PASSPORT, document))
        reservation = self.identities.reservation_id(self.partition, campaign, resident, f"{next(self.numbers)}")
        pass_no = self.identities.pass_no(reservation)
        self.write(
            c.Reserve(
                campaign=campaign,
                slot=slot,
                units=units,
                resident=resident,
                pass_no=pass_no,
                digest="digest-8",
                last4_hash=self.identities.last4_hash(pass_no, last4(document)),
            )
        )
        return Booking(pass_no, document)

    def cancels(self, booking: Booking) -> None:
        """The owner gives the reservation back."""
        self.write(c.Cancel(id=self.id(), pass_no=booking.pass_no))

    # -- what stands there ------------------------------------------------------------------------------------------

    def id(self) -> str:
        return f"command-{next(self.numbers):08d}"

    def row(self, booking: Booking) -> ReservationRow:
        row: ReservationRow = self.folded.row(self.partition, f"r:{booking.pass_no}")
        return row

    def pass_of(self, booking: Booking, *, pharmacy: str = "") -> str:
        """The signed pass, as the front door makes it."""
        at = next(each for each in SLOTS if each.id == self.row(booking).slot)
        content = Pass(
            pass_no=booking.pass_no,
            pharmacy=pharmacy or at.pharmacy,
            starts_ms=at.starts_ms,
            ends_ms=at.ends_ms,
            units=self.row(booking).units,
            salt=self.identities.last4_salt(booking.pass_no),
            last4_hash=self.row(booking).last4_hash,
        )
        return self.secrets.pass_signer().sign(content)

    def short_code(self, booking: Booking, *, pharmacy: str = "p-1", day: str = "2020-02-01") -> str:
        return self.identities.short_code(self.row(booking).ordinal, pharmacy, day)


@asynccontextmanager
async def counter(folder: Path, settings: TillSettings | None = None) -> AsyncIterator[CounterWorld]:
    """A counter on the fake log and the model, at noon, with one open campaign."""
    secrets = Secrets.create(folder / "secrets")
    folded = FoldedWorld(partitions=2, now_ms=NOON_MS)
    async with folded.running() as door:
        health = Health()
        health.started()
        clock: list[CounterWorld] = []
        settings = settings or TillSettings(decision_timeout_s=2.0)
        router = router_of(door, secrets, health, settings, lambda: clock[0].now_ms)
        async with (
            HttpServer(router, "127.0.0.1", 0) as server,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
        ):
            world = CounterWorld(f"http://127.0.0.1:{server.port}", http, folded, secrets, Identities(secrets))
            clock.append(world)
            world.time_is(NOON_MS)
            await world.applies(*SLOTS)
            yield world
