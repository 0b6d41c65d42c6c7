"""The clock releases shares and expires no-shows: everything that is due, in order, once, a bounded piece at a time."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.clock import rounds
from services.clock.chores import DayChore, SlotsChore, chores
from services.clock.schedule import Schedule
from services.domain import commands as c
from services.domain.campaign import Campaign
from services.domain.days import instant_ms
from services.domain.limits import SHEET_LINES, UNDO_WITHIN_MS
from services.domain.rows import ReservationState
from services.platform.identities import Identities
from services.platform.secrets import Secrets
from services.state.errors import StateUnavailableError
from services.stream.place import PartitionId
from tests.builders import open_, reserve
from tests.unit.campaign_documents import changed, checked, written
from tests.unit.folded_world import FoldedWorld

RULES = {"units_max": 5, "assisted": {"per_mille": 500, "release_h": 12}, "pickup_grace_h": 2}
NAME = "gz-2020-02"
BOOKING = "2020-02-01T21:00"
RELEASE = "2020-02-02T21:00"  # twelve hours before s-1 begins
OVER = "2020-02-03T14:06"  # s-1 ends at 12:00, two hours of grace, and five minutes to take a pick-up back
MINUTE_MS = 60_000


def at(text: str) -> int:
    return instant_ms(f"{text}:00+08:00")


def masks(name: str = NAME, **changes: Any) -> Campaign:
    """A campaign with the shares and the grace of RULES; s-1 is on the morning of 3 February at p-1."""
    return checked(changed("rules", to=RULES) | {"campaign": name} | changes)


class Wrist:
    """The time that the clock reads."""

    now_ms = at(BOOKING)

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Identities:
    folder = tmp_path_factory.mktemp("installation")
    folder.chmod(0o700)
    return Identities(Secrets.create(folder / "secrets"))


class World(FoldedWorld):
    """One campaign is open, and the clock has looked at it."""

    def __init__(self, identities: Identities) -> None:
        super().__init__(partitions=2, now_ms=at(BOOKING))
        self.wrist = Wrist()
        self.identities = identities

    async def give(self, campaign: Campaign) -> None:
        self.write(0, *written(campaign), open_(campaign=campaign.campaign), at_ms=self.wrist.now_ms)
        await self.door.refresh_once()

    def clock(self, resend_after_s: float = 60.0) -> Schedule:
        return Schedule(self.door, self.identities, resend_after_s=resend_after_s, now_ms=self.wrist)

    async def beat(self, clock: Schedule, text: str = "") -> None:
        """One beat at a time of day, with its commands written and decided."""
        if text:
            self.comes(text)
        await clock.beat()
        await self.acknowledged()
        await self.door.refresh_once()

    def comes(self, text: str) -> None:
        """The time on the wrist, of the log, and of the fold, which believes a tick from the next record on."""
        self.wrist.now_ms = at(text)
        tick = c.Tick(at_ms=self.wrist.now_ms)
        self.write(0, tick, tick, at_ms=self.wrist.now_ms)

    async def acknowledged(self) -> None:
        for partition in range(self.partitions):
            await self.door.offer(partition, c.Tick(at_ms=0))

    def book(self, who: str, slot: str = "s-1", units: int = 1, campaign: str = NAME) -> str:
        command = reserve(who, slot, units, campaign=campaign)
        self.write(0, command, at_ms=self.wrist.now_ms)
        return command.pass_no

    def state(self, pass_no: str) -> ReservationState:
        return ReservationState(self.row(0, f"r:{pass_no}").state)


@pytest.fixture
async def world(identities: Identities) -> AsyncIterator[World]:
    world = World(identities)
    async with world.running():
        await world.give(masks())
        yield world


async def test_the_assisted_share_becomes_public_when_its_time_has_come(world: World) -> None:
    clock = world.clock()
    await world.beat(clock, "2020-02-02T20:59")
    assert world.row(0, "s:1:s-1").quota == 50
    await world.beat(clock, RELEASE)
    assert (world.row(0, "s:1:s-1").quota, world.row(0, "s:1:s-1").assisted_quota) == (100, 0)
    assert world.row(0, "s:1:s-2").quota == 25  # of the evening
    assert [one.slots for one in world.every(c.Release)] == [["s-1"]]


async def test_who_did_not_come_is_a_no_show_after_the_grace(world: World) -> None:
    clock = world.clock()
    anna = world.book("anna", units=5)
    await world.beat(clock, "2020-02-03T14:04")  # a pick-up of 13:59 may still be taken back
    assert world.state(anna) == ReservationState.CONFIRMED
    await world.beat(clock, OVER)
    assert world.state(anna) == ReservationState.EXPIRED
    assert world.row(0, "s:1:s-1").taken == 0


async def test_a_day_without_reservations_needs_no_command(world: World) -> None:
    await world.beat(world.clock(), "2020-02-05T00:00")
    assert world.every(c.Expire) == []


async def test_a_pick_up_that_was_taken_back_late_is_a_no_show_too(world: World) -> None:
    anna = world.book("anna")
    code = {"code_digest": "d" * 16}
    world.wrist.now_ms = at("2020-02-03T13:59")
    world.write(
        0,
        c.Tick(at_ms=world.wrist.now_ms),
        c.InviteTerminal(
            id="i" * 16, terminal="t-1", region="guangzhou", pharmacy="p-1", expires_ms=at(OVER), **code
        ),
        c.PairTerminal(id="j" * 16, token_digest="t" * 16, **code),
        c.PickUp(id="k" * 16, pass_no=anna, terminal="t-1"),
        at_ms=world.wrist.now_ms,
    )
    clock = world.clock()
    await world.beat(clock, "2020-02-03T14:01")
    world.write(0, c.UndoPickUp(id="l" * 16, pass_no=anna, terminal="t-1"), at_ms=world.wrist.now_ms)
    assert world.state(anna) == ReservationState.CONFIRMED
    await world.beat(clock, OVER)
    assert world.state(anna) == ReservationState.EXPIRED


async def test_a_clock_that_was_away_does_all_it_missed_in_order(world: World) -> None:
    world.book("anna")
    world.book("bert", "s-2")
    await world.beat(world.clock(), "2020-02-10T00:00")
    kinds = [type(one).__name__ for one in world.commands(0, c.Close, c.Release, c.Expire)]
    assert kinds == ["Close", "Release", "Release", "Expire", "Expire"]
    assert [one.pharmacy for one in world.every(c.Expire)] == ["p-1", "p-2"]


@pytest.mark.safety
async def test_two_clocks_and_a_clock_that_starts_anew_change_nothing(world: World) -> None:
    anna = world.book("anna", units=5)
    first, second = world.clock(), world.clock()
    world.comes(OVER)
    await asyncio.gather(first.beat(), second.beat())
    await world.acknowledged()
    assert world.state(anna) == ReservationState.EXPIRED
    assert len(world.every(c.Expire)) == 2
    assert len({one.id for one in world.every(c.Expire)}) == 1
    row = world.row(0, "s:1:s-1")
    assert (row.taken, row.expired, row.quota) == (0, 5, 100)
    await world.beat(world.clock())
    await world.beat(first)
    assert len(world.every(c.Expire)) == 2


@pytest.mark.control
async def test_with_ids_of_their_own_two_clocks_would_say_it_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.book("anna", units=5)
    numbers = iter(range(100))
    monkeypatch.setattr(DayChore, "command", lambda self, part, _id: c.Expire(
        id=f"{next(numbers):016d}", region=self.region, pharmacy=self.pharmacy, day=self.day, sheet=part))  # fmt: skip
    await world.beat(world.clock(), OVER)
    await world.beat(world.clock())
    assert len(world.every(c.Expire)) == 2
    assert len({one.id for one in world.every(c.Expire)}) == 2


async def test_a_log_whose_time_is_behind_is_waited_for(world: World) -> None:
    """The fold's time counts: what is answered too early would never come again."""
    anna = world.book("anna")
    clock = world.clock()
    world.wrist.now_ms = at(OVER)
    for partition in range(2):
        world.write(partition, c.Tick(at_ms=at("2020-02-03T13:00")), at_ms=at("2020-02-03T13:00"))
    await world.door.refresh_once()
    world.reader.held = True  # the fold does not get to the tick of this beat
    world.reader.fold(0)
    await clock.beat()
    world.reader.held = False
    assert world.every(c.Expire) == []
    await world.beat(clock, OVER)
    assert world.state(anna) == ReservationState.EXPIRED


async def test_what_is_left_at_one_beat_is_done_at_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "COMMANDS_PER_BEAT", 2)
    monkeypatch.setattr(rounds, "LOOKS_PER_BEAT", 1)
    people = 5 * SHEET_LINES + 3
    world.write(0, c.ChangeQuota(id="q" * 16, campaign=NAME, slot="s-1", change=people), at_ms=world.wrist.now_ms)
    booked = [world.book(f"person {number}") for number in range(people)]
    clock = world.clock()
    await world.beat(clock, RELEASE)
    counts = []
    for _ in range(8):
        await world.beat(clock, OVER)
        counts.append(sum(world.state(one) == ReservationState.EXPIRED for one in booked))
    assert counts == sorted(counts)
    assert max(after - before for before, after in zip([0, *counts], counts, strict=False)) <= 2 * SHEET_LINES
    assert counts[-1] == people
    assert [one.sheet for one in world.every(c.Expire)] == [0, 1, 2, 3, 4, 5]


async def test_a_campaign_that_comes_later_to_the_same_day_gets_its_own_expiry(world: World) -> None:
    """The morning's no-shows are done when another campaign opens for the afternoon of the same pharmacy."""
    world.book("anna")
    clock = world.clock()
    await world.beat(clock, OVER)
    assert len(world.every(c.Expire)) == 1
    slots = changed("slots", 0, "starts_at", to="2020-02-03T16:00:00+08:00")["slots"]
    slots[0]["ends_at"] = "2020-02-03T17:00:00+08:00"
    windows = [{"opens_at": "2020-02-03T14:00:00+08:00", "closes_at": "2020-02-03T17:00:00+08:00"}]
    rules = {"units_max": 5, "pickup_grace_h": 2}
    await world.give(masks("gz-later", slots=slots[:1], windows=windows, rules=rules))
    bert = world.book("bert", campaign="gz-later")
    await world.beat(clock, "2020-02-03T19:04")
    assert world.state(bert) == ReservationState.CONFIRMED
    await world.beat(clock, "2020-02-03T19:06")
    assert world.state(bert) == ReservationState.EXPIRED


async def test_what_was_sent_is_not_sent_again_while_it_only_waits_for_its_decision(world: World) -> None:
    world.book("anna")
    clock = world.clock()
    await world.beat(clock, "2020-02-03T14:00")
    world.comes(OVER)
    world.reader.fold(0)
    world.reader.held = True
    for _ in range(3):
        await clock.beat()
        await world.acknowledged()
    assert len(world.every(c.Expire)) == 1
    impatient = world.clock(resend_after_s=0.0)
    for _ in range(2):
        await impatient.beat()
        await world.acknowledged()
    assert len(world.every(c.Expire)) == 3  # harmless: it has its answer already


async def test_a_redis_or_a_log_that_is_away_is_told_and_nothing_is_lost(world: World) -> None:
    anna = world.book("anna")
    clock = world.clock()
    world.reader.error = StateUnavailableError(what="the test says so")
    await world.beat(clock, OVER)
    assert clock.wrong is not None
    world.reader.error = None
    world.producer.fails_after_writing = True
    await clock.beat()
    while not world.door.commit.is_away(PartitionId(0)):
        await asyncio.sleep(0.001)
    world.producer.fails_after_writing = False
    while world.door.commit.is_away(PartitionId(0)):
        await asyncio.sleep(0.01)
    for _ in range(2):
        await world.beat(clock)
    assert world.state(anna) == ReservationState.EXPIRED
    assert len({one.id for one in world.every(c.Expire)}) == 1


def slots_at(count: int) -> Campaign:
    """So many slots of one time, each at a pharmacy of its own."""
    pharmacies = [{"id": f"p-{number}", "name": "x"} for number in range(count)]
    first = changed("slots", to=[changed("region", to="x")["slots"][0]])["slots"][0]
    return masks(
        pharmacies=pharmacies,
        slots=[first | {"id": f"s-{number}", "pharmacy": f"p-{number}"} for number in range(count)],
    )


async def test_slots_of_one_time_are_released_together_in_chunks(identities: Identities) -> None:
    world = World(identities)
    async with world.running():
        await world.give(slots_at(450))
        await world.beat(world.clock(), RELEASE)
        assert [len(one.slots) for one in world.every(c.Release)] == [200, 200, 50]
        assert world.row(0, f"c:{NAME}").assisted_left == 0


async def test_chores_are_in_the_order_of_time_and_know_their_days(world: World) -> None:
    found = chores(world.door.catalogue)
    assert [chore.due_ms for chore in found] == sorted(chore.due_ms for chore in found)
    assert [type(chore) for chore in found] == [SlotsChore, SlotsChore, DayChore, DayChore]
    (first, second) = (chore for chore in found if isinstance(chore, DayChore))
    assert first == DayChore(at("2020-02-03T14:05"), "expire", "guangzhou", "p-1", 20200203, at("2020-02-03T14:00"))
    assert second.until_ms == at("2020-02-04T02:00")
    assert at("2020-02-03T14:05") - at("2020-02-03T14:00") == UNDO_WITHIN_MS
