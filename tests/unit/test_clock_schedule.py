"""The clock tells the log how late it is, and opens and closes campaigns by their windows."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.clock.schedule import Schedule
from services.domain import commands as c
from services.domain.campaign import Window, revision
from services.domain.days import instant_ms
from services.domain.rows import Phase
from services.domain.schedule import due, transitions
from services.platform.identities import Identities
from services.platform.secrets import Secrets
from services.state.errors import StateUnavailableError
from services.state.readers import Reading
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS
from tests.unit.campaign_documents import changed, changed_to, checked, written
from tests.unit.folded_world import FoldedWorld

MORNING = {"opens_at": "2020-02-01T09:30:00+08:00", "closes_at": "2020-02-01T10:00:00+08:00"}
AFTERNOON = {"opens_at": "2020-02-01T14:00:00+08:00", "closes_at": "2020-02-01T15:00:00+08:00"}
CAMPAIGN = checked(changed("windows", to=[MORNING, AFTERNOON]))
NAME = CAMPAIGN.campaign
FIRST = PartitionId(0)


def at(time_of_day: str) -> int:
    return instant_ms(f"2020-02-01T{time_of_day}:00+08:00")


class Wrist:
    """The time that the clock reads."""

    def __init__(self) -> None:
        self.now_ms = at("09:00")

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Identities:
    folder = tmp_path_factory.mktemp("installation")
    folder.chmod(0o700)
    return Identities(Secrets.create(folder / "secrets"))


@pytest.fixture
async def world() -> AsyncIterator[FoldedWorld]:
    """A campaign with a window in the morning and one in the afternoon, sealed; nobody has opened it."""
    world = FoldedWorld(partitions=2, now_ms=at("09:00"))
    async with world.running():
        world.write(0, *written(CAMPAIGN), at_ms=at("09:00"))
        await world.door.refresh_once()
        yield world


@pytest.fixture
def wrist() -> Wrist:
    return Wrist()


@pytest.fixture
def schedule(world: FoldedWorld, identities: Identities, wrist: Wrist) -> Schedule:
    return Schedule(world.door, identities, resend_after_s=60, now_ms=wrist)


async def beat(world: FoldedWorld, schedule: Schedule) -> None:
    """One beat, with its commands written and decided; what was in flight before is there."""
    await acknowledged(world)
    await schedule.beat()
    await acknowledged(world)
    await world.door.refresh_once()


async def acknowledged(world: FoldedWorld) -> None:
    """Wait until everything that was offered stands in the log."""
    for partition in range(world.partitions):
        await world.door.offer(partition, c.Tick(at_ms=0))


def wrong(schedule: Schedule) -> str | None:
    return schedule.wrong


def phase(world: FoldedWorld) -> Phase:
    campaign = world.door.catalogue.get(NAME)
    assert campaign is not None
    return campaign.phase


def sent(world: FoldedWorld) -> list[str]:
    commands = [command for command in world.commands(0) if isinstance(command, c.Open | c.Close)]
    return [f"{command.why}: {type(command).__name__}" for command in commands]


async def test_every_partition_is_told_the_time(world: FoldedWorld, schedule: Schedule) -> None:
    await schedule.beat()
    await acknowledged(world)
    for partition in range(world.partitions):
        assert world.commands(partition, c.Tick)[0] == c.Tick(at_ms=at("09:00"))
    assert wrong(schedule) is None


async def test_the_newest_tick_that_the_log_has_is_told_also_while_the_next_one_is_on_its_way(
    world: FoldedWorld, schedule: Schedule
) -> None:
    """Who looks once a second, in step with the beat, would else never see one."""
    assert schedule.last_tick(0) is None
    await schedule.beat()
    assert schedule.last_tick(0) is None
    await asyncio.sleep(0.05)
    await schedule.beat()
    first = schedule.last_tick(0)
    assert first is not None
    assert first.offset == world.log.end(COMMANDS, FIRST) - 1
    await asyncio.sleep(0.05)
    world.producer.is_down = True
    second = schedule.last_tick(0)
    assert second is not None
    assert second.offset == first.offset + 1
    for _ in range(2):
        await schedule.beat()
        await asyncio.sleep(0.05)
    assert schedule.last_tick(0) == second


async def test_a_campaign_opens_and_closes_by_its_windows(
    world: FoldedWorld, schedule: Schedule, wrist: Wrist
) -> None:
    seen = []
    for time_of_day in ("09:29", "09:30", "09:59", "10:00", "13:59", "14:00", "15:00"):
        wrist.now_ms = at(time_of_day)
        await beat(world, schedule)
        seen.append(phase(world))
    assert seen == [
        Phase.SCHEDULED, Phase.OPEN, Phase.OPEN, Phase.CLOSED, Phase.CLOSED, Phase.OPEN, Phase.CLOSED
    ]  # fmt: skip
    assert sent(world) == ["window 1: Open", "window 1: Close", "window 2: Open", "window 2: Close"]


async def test_a_clock_that_was_away_sends_what_it_missed_in_order(
    world: FoldedWorld, schedule: Schedule, wrist: Wrist
) -> None:
    wrist.now_ms = at("14:30")
    await beat(world, schedule)
    assert sent(world) == ["window 1: Open", "window 1: Close", "window 2: Open"]
    assert phase(world) == Phase.OPEN


async def test_nobody_can_book_between_an_opening_and_a_closing_that_were_both_missed(
    world: FoldedWorld, schedule: Schedule, wrist: Wrist
) -> None:
    wrist.now_ms = at("12:00")
    await beat(world, schedule)
    kinds = [type(command) for command in world.commands(0)]
    opened = kinds.index(c.Open)
    assert kinds[opened - 1 : opened + 2] == [c.Tick, c.Open, c.Close]
    assert max(world.producer.batches) >= 3  # one batch: no other process can write in between


async def test_a_clock_that_starts_anew_sends_nothing_twice(
    world: FoldedWorld, schedule: Schedule, wrist: Wrist, identities: Identities
) -> None:
    wrist.now_ms = at("12:00")
    await beat(world, schedule)
    again = Schedule(world.door, identities, resend_after_s=0.0, now_ms=wrist)
    await beat(world, again)
    assert sent(world) == ["window 1: Open", "window 1: Close"]


# -- windows that were changed -----------------------------------------------------------------------------------------

EVENING = {"opens_at": "2020-02-01T18:00:00+08:00", "closes_at": "2020-02-01T19:00:00+08:00"}


def with_windows(*windows: dict[str, str]) -> c.ChangeRules:
    """The campaign's windows are these from now on."""
    return changed_to(checked(changed("windows", to=list(windows))), revision(CAMPAIGN))


async def test_a_window_that_was_added_opens_and_one_that_was_taken_away_does_not(
    world: FoldedWorld, schedule: Schedule, wrist: Wrist
) -> None:
    wrist.now_ms = at("09:30")
    await beat(world, schedule)
    world.write(0, with_windows(MORNING, EVENING), at_ms=at("09:31"))
    await world.door.refresh_once()
    seen = []
    for time_of_day in ("10:00", "14:00", "15:00", "18:00", "19:00"):
        wrist.now_ms = at(time_of_day)
        await beat(world, schedule)
        seen.append(phase(world))
    assert seen == [Phase.CLOSED, Phase.CLOSED, Phase.CLOSED, Phase.OPEN, Phase.CLOSED]
    assert sent(world) == ["window 1: Open", "window 1: Close", "window 2: Open", "window 2: Close"]


async def test_a_window_that_is_open_may_be_made_longer(
    world: FoldedWorld, schedule: Schedule, wrist: Wrist, identities: Identities
) -> None:
    wrist.now_ms = at("09:30")
    await beat(world, schedule)
    world.write(0, with_windows({**MORNING, "closes_at": "2020-02-01T11:00:00+08:00"}, AFTERNOON), at_ms=at("09:31"))
    await world.door.refresh_once()
    twin = Schedule(world.door, identities, resend_after_s=0.0, now_ms=wrist)
    for time_of_day, expected in (("10:00", Phase.OPEN), ("11:00", Phase.CLOSED), ("14:00", Phase.OPEN)):
        wrist.now_ms = at(time_of_day)
        await beat(world, schedule)
        await beat(world, twin)
        assert phase(world) == expected
    assert sent(world) == ["window 1: Open", "window 1: Close", "window 2: Open"]


@pytest.mark.safety
async def test_a_clock_that_has_not_heard_of_other_windows_opens_nothing_by_those_it_knows(
    world: FoldedWorld, schedule: Schedule, wrist: Wrist
) -> None:
    assert await opened_by_what_was_known(world, schedule, wrist) == []
    await beat(world, schedule)
    await beat(world, schedule)
    assert sent(world) == ["window 1: Open", "window 1: Close"], "and by the others as soon as it has"


@pytest.mark.control
async def test_without_the_look_at_the_revision_it_opens_by_windows_that_are_no_more(
    world: FoldedWorld, schedule: Schedule, wrist: Wrist, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = world.reader.read

    async def as_known(partition: int, keys: list[str]) -> Reading:
        reading = await read(partition, keys)
        known = world.door.catalogue.get(NAME)
        return reading._replace(rows=[known.row if key == f"c:{NAME}" and known else row
                                      for key, row in zip(keys, reading.rows, strict=True)])  # fmt: skip

    monkeypatch.setattr(world.reader, "read", as_known)
    assert await opened_by_what_was_known(world, schedule, wrist) == [
        "window 1: Open", "window 1: Close", "window 2: Open"
    ]  # fmt: skip


async def opened_by_what_was_known(world: FoldedWorld, schedule: Schedule, wrist: Wrist) -> list[str]:
    """What a clock sends in the afternoon when other windows are in force, and it does not know."""
    later = {"opens_at": "2020-02-01T10:00:00+08:00", "closes_at": "2020-02-01T11:00:00+08:00"}
    world.write(0, with_windows(later, EVENING), at_ms=at("09:01"))
    wrist.now_ms = at("14:00")
    await acknowledged(world)
    await schedule.beat()
    await acknowledged(world)
    return sent(world)


@pytest.mark.safety
async def test_a_clock_cannot_reopen_what_an_operator_closed(
    world: FoldedWorld, schedule: Schedule, wrist: Wrist, identities: Identities
) -> None:
    wrist.now_ms = at("09:30")
    await beat(world, schedule)
    world.write(0, c.Close(id="c" * 16, campaign=NAME, actor="user:ops", why="the wrong stock"), at_ms=at("09:31"))
    for twin in (schedule, Schedule(world.door, identities, resend_after_s=0.0, now_ms=wrist)):
        for time_of_day in ("09:32", "10:00", "14:00"):
            wrist.now_ms = at(time_of_day)
            await beat(world, twin)
            assert phase(world) == Phase.CLOSED


@pytest.mark.control
async def test_without_the_mark_of_the_clock_it_would_reopen(
    world: FoldedWorld, schedule: Schedule, wrist: Wrist, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrist.now_ms = at("09:30")
    await beat(world, schedule)
    world.write(0, c.Close(id="c" * 16, campaign=NAME, actor="user:ops", why="the wrong stock"), at_ms=at("09:31"))
    offer = world.door.offer

    def offer_as_an_operator(partition: int, command: c.Command) -> object:
        if isinstance(command, c.Open):
            command = c.Open(id=command.id, campaign=command.campaign)
        return offer(partition, command)

    monkeypatch.setattr(world.door, "offer", offer_as_an_operator)
    wrist.now_ms = at("14:00")
    await beat(world, schedule)
    assert phase(world) == Phase.OPEN


async def test_two_clocks_are_one(
    world: FoldedWorld, schedule: Schedule, wrist: Wrist, identities: Identities
) -> None:
    twin = Schedule(world.door, identities, resend_after_s=60, now_ms=wrist)
    world.reader.held = True  # neither sees what the other one sent
    wrist.now_ms = at("14:00")
    await schedule.beat()
    await twin.beat()
    world.reader.held = False
    await beat(world, twin)
    assert sent(world) == ["window 1: Open", "window 1: Close", "window 2: Open"] * 2
    assert phase(world) == Phase.OPEN


async def test_what_waits_for_its_decision_is_not_sent_again_before_its_time(
    world: FoldedWorld, schedule: Schedule, wrist: Wrist
) -> None:
    wrist.now_ms = at("09:30")
    world.reader.held = True
    for _ in range(3):
        await acknowledged(world)
        await schedule.beat()
    world.reader.held = False
    await beat(world, schedule)
    assert sent(world) == ["window 1: Open"]


async def test_a_log_that_is_away_loses_no_opening(
    world: FoldedWorld, schedule: Schedule, wrist: Wrist
) -> None:
    world.producer.fails_after_writing = True  # written, but nobody hears of it
    wrist.now_ms = at("09:30")
    await schedule.beat()
    while not world.door.commit.is_away(FIRST):
        await asyncio.sleep(0.001)
    await schedule.beat()
    assert wrong(schedule) is not None
    world.producer.fails_after_writing = False
    while world.door.commit.is_away(FIRST):
        await asyncio.sleep(0.01)
    for _ in range(2):
        await beat(world, schedule)
    assert wrong(schedule) is None
    assert phase(world) == Phase.OPEN


async def test_a_redis_that_is_away_stops_no_tick_and_is_told(
    world: FoldedWorld, schedule: Schedule, wrist: Wrist
) -> None:
    wrist.now_ms = at("09:30")
    world.reader.error = StateUnavailableError(what="the test says so")
    await schedule.beat()
    assert wrong(schedule) == "Redis does not answer: the test says so"
    world.reader.error = None
    await beat(world, schedule)
    assert wrong(schedule) is None
    assert phase(world) == Phase.OPEN
    assert len(world.commands(1, c.Tick)) >= 2


async def test_one_broken_definition_stops_no_other_campaign(
    world: FoldedWorld, schedule: Schedule, wrist: Wrist
) -> None:
    document = changed("campaign", to="broken")
    broken = written(checked(document))
    assert isinstance(broken[0], c.DefineCampaign)
    fields = {name: getattr(broken[0], name) for name in broken[0].__struct_fields__}
    world.write(0, c.DefineCampaign(**(fields | {"definition": '{"windows":7}'})), *broken[1:])
    await world.door.refresh_once()
    wrist.now_ms = at("09:30")
    await beat(world, schedule)
    assert phase(world) == Phase.OPEN
    assert "broken" in str(wrong(schedule))


@given(st.lists(st.integers(0, 1_000), min_size=2, max_size=12, unique=True), st.integers(0, 1_001))
def test_transitions_are_in_the_order_of_time_and_alternate(edges: list[int], now_ms: int) -> None:
    edges.sort()
    windows = [Window(opens_ms=a, closes_ms=b) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    every = transitions(windows)
    assert all(before.at_ms <= after.at_ms for before, after in pairwise(every))
    assert [one.opens for one in every] == [True, False] * len(windows)
    assert due(windows, now_ms) == [one for one in every if one.at_ms <= now_ms]
    assert due(windows, now_ms) == every[: len(due(windows, now_ms))]


def test_where_windows_touch_the_closing_comes_first() -> None:
    windows = [Window(opens_ms=0, closes_ms=5), Window(opens_ms=5, closes_ms=9)]
    assert [(one.window, one.opens) for one in due(windows, 5)] == [(0, True), (0, False), (1, True)]
