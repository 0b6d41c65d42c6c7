"""The clock's part in a waiting room, from its preparation to its end, on the fake log and the model."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.clock import waiting_rooms
from services.clock.waiting_rooms import WaitingRooms
from services.domain import commands as c
from services.domain.campaign import Campaign
from services.domain.days import instant_ms
from services.domain.places import commitment_of
from services.domain.rows import RoomRow
from services.platform.identities import Identities
from services.platform.secrets import Secrets
from services.platform.waiting_seeds import WaitingSeeds
from tests import room_builders as rooms
from tests.unit.campaign_documents import RIGHT, checked, written
from tests.unit.folded_world import FoldedWorld

NAME = "gz-2020-02"
OPENS_MS = instant_ms(RIGHT["windows"][0]["opens_at"])
MINUTE_MS = 60_000


def masks(**waiting_room: Any) -> Campaign:
    return checked({**RIGHT, "campaign": NAME, "waiting_room": {"mode": "on", **waiting_room}})


class Wrist:
    """The two times that a clock reads."""

    def __init__(self) -> None:
        self.now_ms, self.now_s = OPENS_MS - 40 * MINUTE_MS, 100.0

    def wait(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)
        self.now_s += seconds


class World(FoldedWorld):
    """A campaign with a waiting room, and a clock."""

    wrist: Wrist
    clock: WaitingRooms
    secrets: Secrets

    def another_clock(self) -> WaitingRooms:
        return WaitingRooms(
            self.door,
            Identities(self.secrets),
            WaitingSeeds(self.secrets.ticket_key),
            now_ms=lambda: self.wrist.now_ms,
            now_s=lambda: self.wrist.now_s,
        )

    async def beat(self, times: int = 1, *, apart_s: float = 0.5) -> None:
        for _ in range(times):
            await self.door.refresh_once()
            await self.clock.beat()
            self.wrist.wait(apart_s)
        await self.door.refresh_once()

    async def open(self) -> None:
        self.wrist.now_ms = OPENS_MS
        self.write(0, c.Open(id="open-campaign-01", campaign=NAME), at_ms=self.wrist.now_ms)
        await self.door.refresh_once()

    def room(self) -> RoomRow:
        row: RoomRow = self.row(0, "q:1")
        return row

    async def come(self, *who: str) -> None:
        for one in who:
            self.door.waiting_count.add((0, 1, self.room().round), rooms.receipt(one))
        await asyncio.sleep(0.2)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(partitions=1)
    async with world.running():
        world.secrets = Secrets.create(tmp_path / "secrets")
        world.write(0, *written(masks()), rooms.set_valve("on", campaign=NAME))
        world.wrist = Wrist()
        await world.door.refresh_once()
        world.clock = world.another_clock()
        yield world


async def prepared(world: World) -> World:
    world.wrist.now_ms = OPENS_MS - 29 * MINUTE_MS
    await world.beat()
    return world


async def test_a_room_is_prepared_so_long_before_the_opening_as_the_campaign_says(world: World) -> None:
    await world.beat()
    assert world.room().round == 0
    world.wrist.now_ms = OPENS_MS - 30 * MINUTE_MS
    await world.beat(5)
    assert (world.room().round, world.room().active, world.room().frozen) == (1, 1, 0)
    assert world.every(c.PrepareRoom)[0].commitment == world.room().commitment
    assert len(world.every(c.PrepareRoom)) == 1


async def test_two_clocks_and_a_clock_that_starts_anew_prepare_one_round(world: World) -> None:
    await prepared(world)
    for _ in range(3):
        world.clock = world.another_clock()
        await world.beat()
    assert world.room().round == 1


async def test_the_commitment_stands_in_the_log_before_anybody_is_counted_and_binds_the_seed(world: World) -> None:
    await prepared(world)
    await world.open()
    await world.beat(10)
    assert world.room().frozen == 1
    assert commitment_of(world.room().seed) == world.every(c.PrepareRoom)[0].commitment


async def test_those_who_are_there_are_counted_every_ten_seconds(world: World) -> None:
    await prepared(world)
    await world.come("anna", "ben", "anna")
    await world.beat(19)
    assert [counted.people for counted in world.every(c.CountRoom)] == [2]
    await world.come("carl")
    await world.beat(21)
    assert [counted.people for counted in world.every(c.CountRoom)] == [2, 3]


async def test_a_redis_that_lost_the_count_takes_nobody_away(world: World) -> None:
    await prepared(world)
    await world.come("anna", "ben")
    await world.beat(21)
    world.store.counted.clear()
    await world.open()
    await world.beat(10)
    assert world.room().early == 2


@pytest.mark.safety
async def test_the_count_is_frozen_when_every_lease_of_early_tickets_is_over(world: World) -> None:
    assert await _seconds_to_the_freeze(world) >= 2.0  # EARLY_LEASE_S of the front door


@pytest.mark.control
async def test_a_clock_that_does_not_wait_freezes_too_early(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_rooms, "FREEZE_AFTER_S", 0.0)
    assert await _seconds_to_the_freeze(world) < 2.0


async def _seconds_to_the_freeze(world: World) -> float:
    await prepared(world)
    await world.open()
    for beats in range(100):
        await world.beat(apart_s=0.25)
        if world.room().frozen == 1:
            return beats * 0.25
    raise AssertionError("it was never frozen")


async def test_people_are_let_in_and_never_before_the_freeze(world: World) -> None:
    await prepared(world)
    await world.come("anna", "ben", "carl")
    await world.open()
    await world.beat(4)
    assert world.every(c.Admit) == []
    await world.beat(10)
    assert world.room().serving == 3


async def test_nobody_is_let_in_while_the_campaign_is_paused(world: World) -> None:
    await prepared(world)
    await world.open()
    await world.beat(10)
    world.write(0, c.Pause(id="pause-campaign-1", campaign=NAME), rooms.lease_numbers(50, campaign=NAME))
    await world.beat(10)
    assert world.room().serving == 0


async def test_a_campaign_that_opens_while_no_clock_is_there_has_a_room_too(world: World) -> None:
    await world.open()
    await world.beat(2)
    assert (world.room().round, world.room().active, world.room().frozen) == (1, 1, 1)


async def test_an_automatic_room_ends_when_nobody_has_waited_for_a_while(world: World) -> None:
    world.write(0, rooms.set_valve("automatic", campaign=NAME))
    await prepared(world)
    await world.open()
    await world.beat(20)
    assert world.room().active == 1
    await world.beat(80)
    assert (world.room().active, world.room().round) == (0, 1)


async def test_a_room_that_is_on_stays(world: World) -> None:
    await prepared(world)
    await world.open()
    await world.beat(100)
    assert world.room().active == 1


async def test_a_room_ends_with_its_campaign(world: World) -> None:
    await prepared(world)
    await world.open()
    await world.beat(10)
    world.write(0, c.Close(id="close-campaign-1", campaign=NAME))
    await world.beat(2)
    assert world.room().active == 0


async def test_what_is_turned_off_is_left_alone(world: World) -> None:
    world.write(0, rooms.set_valve("off", campaign=NAME))
    await prepared(world)
    await world.open()
    await world.beat(20)
    assert world.room().round == 0


async def test_a_log_that_takes_nothing_is_told_and_tried_again(world: World) -> None:
    world.producer.is_down = True
    await prepared(world)
    assert world.clock.wrong is not None
    world.producer.is_down = False
    async with asyncio.timeout(5):
        while world.room().round == 0:
            await asyncio.sleep(0.1)  # a door that could not write does not try at once again
            await world.beat()
    await world.beat()
    assert world.clock.wrong is None
