"""A small system in memory for verify: a log, what the fold made of it as bytes in a dict, and published events.

    world = AuditWorld()
    world.campaign(slots={"s1": 10})
    world.reserve("anna", "s1", 3)
    report = await world.verify()

`rows`, `events` and `log` are there to be tampered with.
"""

import zlib
from collections.abc import AsyncIterator, Sequence

import msgspec

from services.audit.report import Report
from services.audit.rows_reader import RawReading
from services.audit.verify import Sources, VerifySettings, verify
from services.domain import commands as c
from services.domain.events import Event, encode, events_of
from services.domain.fold import apply
from services.domain.limits import DECISIONS_PER_CHUNK
from services.domain.rows import HEAD, Facts, Head, State
from services.sql.database import Database
from services.state.readers import decode_row
from services.stream.fake import FakeLog, FakeReader
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS, EVENTS

NOW_MS = 1_580_558_400_000
LATE_MS = NOW_MS + 60_000  # nobody may pick up any more
LOG_ID = "log-of-this-test"
FIRST = PartitionId(0)
pack = msgspec.msgpack.encode


class DictRows:
    """A `RowsReader` over a dict of logical keys; `before_read` lets the system move between two readings."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.reads = 0

    def before_read(self) -> None:
        """Replaced by tests."""

    async def read(self, partition: int, keys: Sequence[str]) -> RawReading:
        self.before_read()
        self.reads += 1
        head = self.values.get(HEAD)
        return RawReading(Head() if head is None else decode_row(HEAD, head), [self.values.get(key) for key in keys])

    async def keys(self, partition: int) -> AsyncIterator[list[str]]:
        yield list(self.values)


class AuditWorld:
    """One partition. What is written is folded and published at once."""

    def __init__(self) -> None:
        self.log = FakeLog(partitions=1)
        self.rows = DictRows()
        self.state = State()
        self.decisions: list[Facts] = []
        self.publishes = True
        self.write(c.Genesis(log=LOG_ID, key_check="k" * 16, rules=1))

    # ------------------------------------------------------------------------------------------------ what people do

    def write(self, command: c.Command | bytes, at_ms: int = NOW_MS) -> int:
        """Log, fold, publish. The offset."""
        value = command if isinstance(command, bytes) else c.encode(command)
        offset = self.log.write(COMMANDS, FIRST, [value], at_ms)
        facts = apply(
            self.state, offset=offset, timestamp_ms=at_ms, digest=zlib.crc32(value), command=c.decode(value)
        )
        self.decisions.append(facts)
        if self.publishes:
            self.publish(offset)
        self.fold()
        return offset

    def campaign(
        self,
        slots: dict[str, int],
        units_max: int = 5,
        rules: c.CampaignRules | None = None,
        cool_until_ms: int = 0,
        delete_ms: int = 0,
    ) -> None:
        """A campaign that is open; its slots end, release and stop promoting when the terminals' day is over."""
        name, revision = "masks", "0" * 16
        numbered = [
            c.Slot(
                id=slot, pharmacy="ph", day=20200201, starts_ms=NOW_MS + 10, ends_ms=NOW_MS + 20,
                day_from_ms=NOW_MS - 10, day_to_ms=NOW_MS + 10**6, units=units, release_ms=NOW_MS + 5,
                promote_until_ms=NOW_MS + 20, pick_until_ms=LATE_MS, cool_until_ms=cool_until_ms,
            )
            for slot, units in slots.items()
        ]  # fmt: skip
        self.write(
            c.DefineCampaign(
                id=command_id("define"), campaign=name, region="here", revision=revision, units_max=units_max,
                pharmacies=1, slots=len(slots), definition="{}", rules=rules or c.CampaignRules(),
                delete_ms=delete_ms,
            )
        )  # fmt: skip
        pharmacy = c.Pharmacy(id="ph", name="a pharmacy")
        add = c.AddPharmacies(id=command_id("ph"), campaign=name, revision=revision, first=0, pharmacies=[pharmacy])
        self.write(add)
        self.write(c.AddSlots(id=command_id("slots"), campaign=name, revision=revision, first=0, slots=numbered))
        self.write(c.SealDefinition(id=command_id("seal"), campaign=name, revision=revision))
        self.write(c.Open(id=command_id("open"), campaign=name))

    def reserve(self, who: str, slot: str, units: int, key: str = "", terminal: str = "") -> int:
        """Somebody books; the offset."""
        pass_no = command_id(f"{who}{key}/p")
        return self.write(
            c.Reserve(
                campaign="masks", slot=slot, units=units, resident=command_id(who), pass_no=pass_no, digest="d" * 8,
                last4_hash="l" * 8, terminal=terminal,
            )
        )  # fmt: skip

    def cancel(self, who: str, key: str = "") -> int:
        """Somebody gives back."""
        return self.write(c.Cancel(id=command_id(who + key + "/cancel"), pass_no=command_id(who + key + "/p")))

    def pair_terminal(self) -> None:
        """The terminal "t1" at the pharmacy "ph"."""
        code = command_id("code")
        self.write(
            c.InviteTerminal(
                id=command_id("invite"), terminal="t1", region="here", pharmacy="ph", code_digest=code,
                expires_ms=NOW_MS + 10**6,
            )
        )
        self.write(c.PairTerminal(id=command_id("pair"), code_digest=code, token_digest=command_id("token")))

    def pick_up(self, who: str, key: str = "") -> int:
        """A pharmacy hands out."""
        pass_no = command_id(who + "/p")
        return self.write(c.PickUp(id=command_id(who + key + "/pick"), pass_no=pass_no, terminal="t1"))

    def records(self, who: str, key: str = "", proof: str | None = None) -> int:
        """The terminal tells a hand-out without a network."""
        pass_no = command_id(who + "/p") if proof is None else proof
        told = command_id(who + key + "/told")
        return self.write(c.RecordPickUp(id=told, pass_no=pass_no, terminal="t1", at_ms=NOW_MS))

    def purges(self, *people: str) -> int:
        """The clock deletes what these people have, and the first sheet of the day; the deletion day has come."""
        names = c.Purge(
            campaign="masks", pass_nos=[command_id(who + "/p") for who in people],
            residents=[command_id(who) for who in people], sheets=[c.SheetName(pharmacy="ph", day=20200201, sheet=0)],
        )  # fmt: skip
        return self.write(names)

    # ------------------------------------------------------------------------------------------------ fold and publish

    def fold(self) -> None:
        """Redis as the fold would leave it."""
        self.rows.values = {key: pack(row) for key, row in self.state.rows.items()}
        for first in range(0, len(self.decisions), DECISIONS_PER_CHUNK):
            chunk = self.decisions[first : first + DECISIONS_PER_CHUNK]
            self.rows.values[f"d:{first // DECISIONS_PER_CHUNK}"] = pack([self.state.head.now_ms, *chunk])

    def events(self, offset: int) -> list[Event]:
        """What should be published of a decision."""
        record = self.log.records[COMMANDS, FIRST][offset]
        command = c.decode(record.value)
        return events_of(LOG_ID, 0, offset, record.timestamp, command, self.decisions[offset])

    def publish(self, offset: int, **changed: object) -> None:
        """The events of an offset, with some fields changed."""
        events = [msgspec.structs.replace(event, **changed) for event in self.events(offset)]
        self.log.write(EVENTS, FIRST, [encode(event) for event in events], NOW_MS)
        self.log.committed["allocator", COMMANDS, FIRST] = Offset(offset + 1)

    def republish_all(self) -> None:
        """The topic of events written anew as it should be."""
        self.log.records[EVENTS, FIRST].clear()
        for offset in range(len(self.decisions)):
            self.publish(offset)

    def set_row(self, key: str, **changed: object) -> None:
        """Tamper with a row in Redis."""
        row = decode_row(key, self.rows.values[key])
        self.rows.values[key] = pack(msgspec.structs.replace(row, **changed))

    async def verify(self, ledger: Database | None = None) -> Report:
        """Look at it."""
        commands, events = FakeReader(self.log, COMMANDS), FakeReader(self.log, EVENTS)
        sources = Sources(commands, events, self.rows, partitions=1, ledger=ledger)
        return await verify(sources, VerifySettings(catch_up_timeout_s=0.05))


def command_id(text: str) -> str:
    """A digest of 16 characters that a reader of a failing test can read."""
    return (text.replace("/", "-") + "_" * 16)[:16]
