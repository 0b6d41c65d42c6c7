"""What reports tell is what happened: counted from the rows in SQL, and once more from the model's own decisions."""

from collections import Counter
from functools import partial
from typing import Any

import pytest

from services.domain import commands as c
from services.domain.reasons import Reason
from services.domain.rows import Share
from services.domain.rules.answers import Fact
from services.sql import reports
from services.sql.database import Database
from services.sql.schema import migrate
from services.sql.watermarks import begin_anew
from services.stream.topics import COMMANDS
from tests.contract.decided_log import DecidedLog
from tests.contract.ledger_world import executed, follow_to_end, follower_of, kept
from tests.contract.random_logs import random_log
from tests.unit.audit_world import FIRST, LATE_MS, AuditWorld, command_id

MAX_SEEDS = 300
STEPS = 400
WANTED = (
    "picked_up", "picked_up_late", "pick_up_undone", "pick_up_conflict", "moved", "withdrawn", "slot_changed",
    "waiting_ended", "after_all", "sold_out", "waited", "no_shows",
)  # fmt: skip
LATE = {int(Reason.EXPIRED), int(Reason.CANCELLED), int(Reason.SLOT_WITHDRAWN)}
"""Why a hand-out is told of a reservation that did not stand any more."""


class Recount:
    """The same numbers from the decisions, one after the other."""

    def __init__(self, log: DecidedLog, campaign: str) -> None:
        self.counts: Counter[Fact] = Counter()
        self.refusals: Counter[str] = Counter()
        self.after_all = 0
        self.no_shows = 0
        self.sold_out_ms: dict[str, int] = {}
        self.turned_away: Counter[str] = Counter()
        self.bookings: Counter[str] = Counter()
        self.waited_ms: list[int] = []
        self._last_ms: dict[str, int] = {}
        self._began_ms: dict[str, int] = {}
        self._campaign = campaign
        for record, command, facts in zip(log.records, log.commands, log.facts, strict=True):
            for index, fact in enumerate(facts):
                self._count(record.at_ms, command, fact, is_answer=index == 0)

    def seen(self) -> set[str]:
        """Words for what there is."""
        more: dict[str, Any] = {
            "after_all": self.after_all,
            "sold_out": self.sold_out_ms,
            "waited": self.waited_ms,
            "no_shows": self.no_shows,
        }
        return {kind.name.lower() for kind in self.counts} | {word for word, found in more.items() if found}

    def _count(self, at_ms: int, command: c.Command, fact: list[Any], *, is_answer: bool) -> None:
        kind = Fact(fact[0])
        if isinstance(command, c.Reserve) and is_answer:
            if command.campaign == self._campaign:
                self._count_booking(at_ms, command, kind, fact)
            return
        campaign_at = 2 if kind in (Fact.EXPIRED, Fact.PROMOTED, Fact.WAITING_ENDED, Fact.WITHDRAWN, Fact.MOVED) else 1
        if len(fact) <= campaign_at or fact[campaign_at] != self._campaign:
            return
        self.counts[kind] += 1
        if kind is Fact.PICKED_UP_LATE:
            self.after_all += fact[4] in LATE
            self.no_shows -= fact[4] == Reason.EXPIRED
        self.no_shows += kind is Fact.EXPIRED
        slot_at = {Fact.PROMOTED: 3, Fact.SLOT_CHANGED: 3, Fact.MOVED: 4}.get(kind)
        if slot_at is not None:
            self._take(fact[slot_at], at_ms)
        if kind is Fact.PROMOTED:
            self.waited_ms.append(at_ms - self._began_ms[fact[1]])

    def _count_booking(self, at_ms: int, command: c.Reserve, kind: Fact, fact: list[Any]) -> None:
        self.counts[kind] += 1
        if kind in (Fact.REJECTED, Fact.REFUSED):
            self.refusals[Reason(fact[1]).word] += 1
        if kind is Fact.CONFIRMED:
            self._take(command.slot, at_ms)
        if kind is Fact.WAITLISTED:
            self._began_ms[command.pass_no] = at_ms
        is_public = len(fact) < 4 or fact[3] == Share.PUBLIC
        in_vain = kind is Fact.REJECTED and fact[1] in (Reason.SLOT_FULL, Reason.SOLD_OUT) and fact[2] == 0
        if kind is Fact.WAITLISTED or (in_vain and is_public):
            self.turned_away[command.slot] += 1
            self.sold_out_ms.setdefault(command.slot, self._last_ms.get(command.slot, at_ms))

    def _take(self, slot: str, at_ms: int) -> None:
        self.bookings[slot] += 1
        self._last_ms[slot] = at_ms


@pytest.fixture(scope="module")
def logs() -> list[DecidedLog]:
    """Random logs, of which each brings something that those before it had not, until all is there."""
    chosen, missing = [], set(WANTED)
    for seed in range(MAX_SEEDS):
        log = DecidedLog(random_log(seed, STEPS))
        if brought := missing & {word for name in campaigns_of(log) for word in Recount(log, name).seen()}:
            missing -= brought
            chosen.append(log)
        if not missing:
            return chosen
    raise AssertionError(f"none of {MAX_SEEDS} random logs has {missing}")


def campaigns_of(log: DecidedLog) -> list[str]:
    return [key.removeprefix("c:") for key in log.rows if key.startswith("c:")]


async def test_reports_of_random_campaigns_are_the_models_numbers(logs: list[DecidedLog], database: Database) -> None:
    for log in logs:
        await database.call(migrate, writes=True)
        await database.call(partial(begin_anew, marks=[]), writes=True)
        await kept(log, database)
        for name in campaigns_of(log):
            await compare(log, name, database)


async def compare(log: DecidedLog, name: str, database: Database) -> None:
    row, recount = log.rows[f"c:{name}"], Recount(log, name)
    came = await database.call(partial(reports.attendance, campaign=name))
    assert (came.confirmed, came.promoted, came.picked_up) == (row.confirmed, row.promoted, row.picked_up)
    assert (came.cancelled + came.withdrawn, came.conflicts) == (row.cancelled, row.conflicts)
    assert (came.picked_up_after_all, came.no_shows) == (recount.after_all, recount.no_shows)
    refused = await database.call(partial(reports.refusals, campaign=name))
    assert refused == recount.refusals
    assert recount.counts[Fact.REJECTED] == row.rejected
    waits = await database.call(partial(reports.waits, campaign=name))
    assert (waits.waitlisted, waits.promoted) == (row.waitlisted, row.promoted)
    assert waits.longest_ms == max(recount.waited_ms, default=None)
    told = {each.slot: each for each in await database.call(partial(reports.slots, campaign=name))}
    assert {slot: each.bookings for slot, each in told.items() if each.bookings} == recount.bookings
    assert {slot: each.turned_away for slot, each in told.items() if each.turned_away} == recount.turned_away
    sold_out = {slot: each.sold_out_ms for slot, each in told.items() if each.sold_out_ms is not None}
    assert sold_out == recount.sold_out_ms
    for slot, each in told.items():
        if (slot_row := log.rows.get(f"s:{row.no}:{slot}")) is not None:
            assert each.picked_up_units == slot_row.picked_up
    by_door = await database.call(partial(reports.channels, campaign=name))
    assert sum(each.confirmed for each in by_door) == row.confirmed
    assert sum(each.waitlisted for each in by_door) == row.waitlisted
    assert sum(each.refused for each in by_door) == sum(recount.refusals.values())


# -- in numbers that a person can check --------------------------------------------------------------------------------


async def followed(world: AuditWorld, database: Database) -> None:
    await follow_to_end(follower_of(world, database))


async def test_a_slot_is_sold_out_when_its_last_unit_goes_and_not_when_somebody_wants_too_many(
    database: Database,
) -> None:
    world = AuditWorld()
    world.campaign(slots={"s1": 5, "s2": 9})
    world.reserve("anna", "s1", 3)
    world.reserve("greedy", "s1", 3)  # two are left
    last = world.reserve("bo", "s1", 2)
    world.reserve("late", "s1", 1)
    world.reserve("later", "s1", 1)
    world.reserve("elsewhere", "s2", 1)
    await followed(world, database)
    first, second = await database.call(partial(reports.slots, campaign="masks"))
    assert (first.slot, first.bookings, first.units, first.turned_away) == ("s1", 2, 5, 2)
    assert first.sold_out_ms == world.log.records[COMMANDS, FIRST][last].timestamp
    assert (second.slot, second.sold_out_ms, second.turned_away) == ("s2", None, 0)
    assert await database.call(partial(reports.refusals, campaign="masks")) == {"slot_full": 3}


async def test_who_came_and_who_did_not(database: Database) -> None:
    world = AuditWorld()
    world.campaign(slots={"s1": 50})
    world.pair_terminal()
    for who in ("anna", "bo", "chen", "dora", "emil"):
        world.reserve(who, "s1", 1)
    assert (await rate(world, database)) is None  # nobody's time is over
    world.pick_up("anna")
    world.pick_up("bo")
    world.pick_up("chen")
    world.cancel("emil")
    world.write(c.Expire(id=command_id("expire"), region="here", pharmacy="ph", day=20200201, sheet=0), at_ms=LATE_MS)
    assert (await rate(world, database)) == 0.75  # dora did not come
    world.records("dora")  # she had: the terminal had no network
    assert (await rate(world, database)) == 1.0


async def rate(world: AuditWorld, database: Database) -> float | None:
    await followed(world, database)
    return (await database.call(partial(reports.attendance, campaign="masks"))).pick_up_rate


async def test_a_ledger_of_the_schema_before_is_emptied_and_reads_all_events_again(database: Database) -> None:
    world = AuditWorld()
    world.campaign(slots={"s1": 5})
    world.reserve("anna", "s1", 3)
    await followed(world, database)
    await executed(
        database,
        "ALTER TABLE events DROP COLUMN left_units",
        "ALTER TABLE events DROP COLUMN old_slot",
        "ALTER TABLE watermarks DROP COLUMN rebuild_end",
        "UPDATE maskline_schema SET version_num = '0001'",
    )
    await followed(world, database)
    assert (await world.verify(database)).differences == []
