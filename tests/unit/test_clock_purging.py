"""On its deletion day the clock looks for what is left of a campaign's people, and names it until nothing goes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog

from services.clock import purging
from services.clock.purging import Purging
from services.domain import commands as c
from services.domain.limits import SHEET_LINES
from services.domain.rows import PersonRow, ReservationState
from services.state import readers
from services.state.errors import StateUnavailableError
from tests import builders as b
from tests.unit.folded_world import FoldedWorld

DELETE_MS = b.MIDNIGHT_MS + 3 * b.DAY_MS
COOL_UNTIL_MS = b.MIDNIGHT_MS + 6 * b.DAY_MS
PEOPLE = 2 * SHEET_LINES + 3
MAX_LOOKS = 50


@pytest.fixture(autouse=True)
def _every_line_is_logged() -> None:
    """Another test may have run a command that logs warnings only."""
    structlog.reset_defaults()


class World(FoldedWorld):
    """One partition with a campaign of every rule that keeps something of people, and a second one of the region."""

    def __init__(self) -> None:
        super().__init__(partitions=1, now_ms=b.NOON_MS)
        self.now_ms = b.NOON_MS
        self.people = [b.reserve(f"somebody {n}", phone=f"phone {n % 7}") for n in range(PEOPLE)]

    async def begins(self, *more: c.Command) -> None:
        noon = b.slot("noon", PEOPLE - 1, cool_until_ms=COOL_UNTIL_MS, promote_until_ms=b.NOON_MS + b.HOUR_MS)
        rules: dict[str, Any] = {"household_max": 9, "cool_down": True, "waiting_per_mille": 1000}
        who = [f"somebody {n}" for n in range(PEOPLE)]
        first = b.definition([noon], delete_ms=DELETE_MS, entitled=who, **rules)
        second = b.definition([b.slot("noon", 9, day=b.TODAY + 9, day_from_ms=b.MIDNIGHT_MS + 9 * b.DAY_MS)],
                              campaign="next")  # fmt: skip
        self.happens(*first, b.open_(), *second, b.open_(campaign="next"), b.invite(), b.pair(), *more)
        self.purging = Purging(self.door)
        await self.door.refresh_once()

    def happens(self, *commands: c.Command) -> None:
        self.write(0, *commands, at_ms=self.now_ms)

    async def it_is(self, at_ms: int) -> None:
        """The fold believes a tick from the next record on."""
        self.now_ms = at_ms
        self.happens(b.tick(at_ms), b.tick(at_ms))
        await self.door.refresh_once()

    async def looks(self, times: int = MAX_LOOKS) -> int:
        """So many looks; how many commands they sent."""
        before = len(self.every(c.Purge))
        for _ in range(times):
            await self.purging.look()
        return len(self.every(c.Purge)) - before

    def left(self, kinds: str = "rpahew") -> list[str]:
        """Keys of these kinds."""
        self.store.fold()
        return [key for key in self.store.states[0].rows if key[1:2] == ":" and key[0] in kinds]

    def sheets(self) -> list[str]:
        return [key for key in self.left("m") if key.count(":") == 4]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    async with world.running():
        yield world


async def day_after(world: World) -> None:
    """Everybody booked, one had to wait and waited in vain, some came, some gave back; the rest are no-shows."""
    refused = [b.reserve("somebody 0", units=9, key=f"again {n}") for n in range(3)]
    come, away = world.people[:5], world.people[5:9]
    await world.begins(*world.people, *refused, *map(b.pick_up, come), *map(b.cancel, away))
    world.now_ms = b.NOON_MS + b.HOUR_MS
    world.happens(b.tick(world.now_ms), b.tick(world.now_ms), b.end_waiting())
    await world.it_is(b.MIDNIGHT_MS + b.DAY_MS)
    world.happens(*[b.expire(sheet) for sheet in range(len(world.sheets()))])


def names_people(world: World) -> list[str]:
    """Rows in which somebody's pseudonym, phone or pass number stands, in the key or in the value."""
    told = {name for each in world.people for name in (each.resident, each.pass_no, each.phone_pseudonym)}
    rows = {key: f"{key} {row}" for key, row in world.store.states[0].rows.items()}
    return [key for key, text in rows.items() if any(name in text for name in told)]


async def test_nothing_of_a_campaigns_people_is_left_once_its_day_has_come_and_cool_downs_are_over(
    world: World,
) -> None:
    await day_after(world)
    assert len(names_people(world)) > 3 * PEOPLE
    counted = world.row(0, f"c:{b.CAMPAIGN}")
    await world.it_is(DELETE_MS)
    await world.looks()
    assert set(world.left("rahew")) == set()
    assert world.sheets() == []
    assert {type(world.row(0, key)) for key in names_people(world)} == {PersonRow}
    await world.it_is(COOL_UNTIL_MS)
    await world.looks()
    assert names_people(world) == []
    assert world.left() == []
    assert world.row(0, f"c:{b.CAMPAIGN}") == counted


async def test_the_list_of_a_definition_that_was_begun_anew_goes_as_well(world: World) -> None:
    drafts = [b.define(1, rules=c.CampaignRules(entitled=2), campaign=name, text="first")
              for name in (b.CAMPAIGN, "never-sealed")]  # fmt: skip
    lists = [b.add_entitled(["anna", "ben"], campaign=name, text="first") for name in (b.CAMPAIGN, "never-sealed")]
    world.happens(*drafts, *lists)
    await world.begins()
    assert len(world.left("e")) == 4 + PEOPLE
    await world.it_is(DELETE_MS)
    await world.looks()
    assert {key.split(":")[1] for key in world.left("e")} == {"2"}


async def test_until_the_day_begins_by_the_time_of_the_fold_nothing_is_looked_for(world: World) -> None:
    await day_after(world)
    before = set(world.left())
    await world.it_is(DELETE_MS - 1)
    assert await world.looks() == 0
    assert set(world.left()) == before


async def test_a_campaign_without_a_day_is_left_alone(world: World) -> None:
    await world.begins()
    booked = b.reserve("anna", campaign="next")
    world.happens(booked, b.cancel(booked))
    await world.it_is(COOL_UNTIL_MS)
    await world.looks()
    assert f"r:{booked.pass_no}" in world.left()


async def test_who_is_live_stays_until_somebody_makes_a_no_show_of_them(world: World) -> None:
    await world.begins(*world.people[:2])
    anna = world.people[0].pass_no
    await world.it_is(DELETE_MS)
    await world.looks()
    assert world.row(0, f"r:{anna}").state == ReservationState.CONFIRMED
    world.happens(b.expire())
    assert await world.looks() == 0  # for ten minutes
    await world.it_is(DELETE_MS + 2 * purging.AGAIN_MS)
    await world.looks()
    assert world.left("rahew") == []
    assert world.sheets() == []


async def test_a_pass_after_which_nothing_was_gone_is_the_last(world: World) -> None:
    await day_after(world)
    await world.it_is(DELETE_MS)
    assert 0 < await world.looks() < 10
    scans = len(world.store.scans)
    assert await world.looks() == 0
    assert len(world.store.scans) == scans


async def test_a_cool_down_that_ends_makes_it_look_again_by_itself(world: World) -> None:
    await day_after(world)
    await world.it_is(DELETE_MS)
    await world.looks()
    cooling = world.left("p")
    assert len(cooling) > PEOPLE // 2
    await world.it_is(COOL_UNTIL_MS - 1)
    assert await world.looks() == 0
    await world.it_is(COOL_UNTIL_MS)
    assert await world.looks() > 0
    assert world.left("p") == []


async def test_another_campaign_whose_day_comes_begins_another_pass(world: World) -> None:
    await day_after(world)
    await world.it_is(DELETE_MS)
    await world.looks()
    third = [b.slot("noon", 9, day=b.TODAY + 3, day_from_ms=DELETE_MS, hour=20)]
    ben = b.reserve("ben", campaign="third")
    world.happens(*b.definition(third, campaign="third", delete_ms=DELETE_MS + b.DAY_MS), b.open_(campaign="third"))
    world.happens(ben, b.cancel(ben))
    await world.it_is(DELETE_MS + b.DAY_MS)
    await world.looks()
    assert world.left("r") == []


async def test_two_clocks_and_one_that_starts_anew_do_no_harm(world: World) -> None:
    await day_after(world)
    await world.it_is(DELETE_MS)
    twin = Purging(world.door)
    for _ in range(MAX_LOOKS):
        await twin.look()
        await world.purging.look()
    assert world.left("rahew") == []
    world.purging = Purging(world.door)
    rows = {key: str(row) for key, row in world.store.states[0].rows.items() if key[1:2] == ":"}
    assert await world.looks() == 0
    assert {key: str(row) for key, row in world.store.states[0].rows.items() if key[1:2] == ":"} == rows


async def test_while_somebody_may_book_in_the_partition_it_sends_one_command_a_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "MAX_PURGED", 10)
    await day_after(world)  # the next campaign is open
    await world.it_is(DELETE_MS)
    for _ in range(5):
        assert await world.looks(1) <= 1
    world.happens(b.close(campaign="next"), b.close())
    await world.door.refresh_once()
    assert await world.looks(1) > 1


async def test_a_command_names_no_more_than_it_may(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "MAX_PURGED_SHEETS", 1)
    await day_after(world)
    await world.it_is(DELETE_MS)
    await world.looks()
    sent = world.every(c.Purge)
    assert all(len(command.sheets) <= 1 for command in sent)
    assert [c.decode(c.encode(command)) for command in sent] == sent
    assert world.sheets() == []


async def test_a_scan_that_brings_little_at_a_time_finds_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "KEYS_PER_SCAN", 7)
    await day_after(world)
    await world.it_is(DELETE_MS)
    await world.looks(200)
    assert world.left("rahew") == []


async def test_keys_that_no_fold_made_are_passed_over(world: World) -> None:
    await day_after(world)
    rows = world.store.states[0].rows
    foreign = ["a:x:y", "h:1", "e:1:short", "w:1:noon", "m:1:2:3:4"]
    rows |= dict.fromkeys(foreign, 1)
    await world.it_is(DELETE_MS)
    await world.looks()
    assert set(world.left("rahew") + world.sheets()) == set(foreign)
    assert world.purging.wrong is None


async def test_what_cannot_be_read_or_sent_is_told_and_done_later(world: World) -> None:
    await day_after(world)
    await world.it_is(DELETE_MS)
    world.reader.error = StateUnavailableError(what="the test says so")
    with structlog.testing.capture_logs() as lines:
        await world.looks(3)
    assert [line["action"] for line in lines] == ["clock_purge_hindered"]
    assert "the test says so" in str(world.purging.wrong)
    world.reader.error = None
    world.store.is_down = True
    await world.looks(1)
    world.store.is_down = False
    await world.looks()
    assert world.purging.wrong is None
    assert world.left("rahew") == []


async def test_what_is_not_decided_in_time_is_asked_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "DECIDED_WITHIN_S", 0.01)
    await day_after(world)
    await world.it_is(DELETE_MS)
    await world.purging.look()  # reads where the fold is
    decided = world.door.decided

    async def nobody_folds(*_: object) -> None:
        return None

    monkeypatch.setattr(world.door, "decided", nobody_folds)
    assert await world.looks(1) <= 1
    monkeypatch.setattr(world.door, "decided", decided)
    await world.looks()
    assert world.left("rahew") == []


async def test_its_log_lines_count_and_name_nobody(world: World) -> None:
    await day_after(world)
    await world.it_is(DELETE_MS)
    with structlog.testing.capture_logs() as lines:
        await world.looks()
    told = [line for line in lines if line["action"] == "clock_purge"]
    assert sum(line["reservations"] for line in told) == PEOPLE + 3
    assert sum(line["entitled"] for line in told) == PEOPLE
    assert sum(line["phones"] for line in told) == 7
    assert not any(each.resident in str(lines) or each.pass_no in str(lines) for each in world.people)
