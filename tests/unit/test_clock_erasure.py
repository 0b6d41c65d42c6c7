"""Contact keys go on the day that residents were told, by every clock's agreement, and never before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
import structlog

from services.clock.erasure import Erasure
from services.domain import commands as c
from services.domain.days import instant_ms
from services.platform.contact import ContactKeyMissing, ContactKeys
from services.state.errors import StateUnavailableError
from tests.builders import open_
from tests.unit.campaign_documents import RIGHT, checked, written
from tests.unit.folded_world import FoldedWorld

NAME = "gz-2020-02"
DAY = date(2020, 2, 17)  # the deletion day of the campaign, which is in Asia/Shanghai
BOOKING = instant_ms("2020-02-01T21:00:00+08:00")
BEFORE = instant_ms("2020-02-16T23:59:00+08:00")
BEGINS = instant_ms("2020-02-17T00:00:00+08:00")


@pytest.fixture(autouse=True)
def _every_line_is_logged() -> None:
    """Another test may have run a command that logs warnings only."""
    structlog.reset_defaults()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "contact"


class World(FoldedWorld):
    """A campaign with its contact key, and a clock that has looked at the catalogue."""

    def __init__(self, folder: Path) -> None:
        super().__init__(partitions=2, now_ms=BOOKING)
        self.keys = ContactKeys(folder)
        self.keys.create(NAME, DAY)

    async def begins(self) -> None:
        self.erasure = Erasure(self.door, self.keys)
        self.write(0, *written(checked(RIGHT)), open_(campaign=NAME), at_ms=BOOKING)
        await self.door.refresh_once()

    def fold_comes_to(self, at_ms: int) -> None:
        """The fold believes a tick from the next record on."""
        for partition in range(self.partitions):
            self.write(partition, c.Tick(at_ms=at_ms), c.Tick(at_ms=at_ms), at_ms=at_ms)

    def kept(self) -> list[str]:
        return [campaign for campaign, _ in self.keys.kept()]


@pytest.fixture
async def world(folder: Path) -> AsyncIterator[World]:
    world = World(folder)
    async with world.running():
        await world.begins()
        yield world


async def test_a_contact_key_is_deleted_when_its_day_begins_where_the_campaign_is(world: World, folder: Path) -> None:
    world.fold_comes_to(BEFORE)
    await world.erasure.look(BEFORE)
    assert world.kept() == [NAME]
    world.fold_comes_to(BEGINS)
    with structlog.testing.capture_logs() as lines:
        await world.erasure.look(BEGINS)
    assert world.kept() == []
    (told,) = lines
    assert (told["action"], told["campaign"], told["day"]) == ("contact_key_deleted", NAME, "2020-02-17")
    with pytest.raises(ContactKeyMissing, match="erased"):
        ContactKeys(folder).load(NAME, DAY)


async def test_a_phone_can_be_read_before_its_day_and_by_nobody_from_then_on(world: World, folder: Path) -> None:
    contact = world.keys.load(NAME, DAY).encrypt("+8613800000000")
    world.fold_comes_to(BEFORE)
    await world.erasure.look(BEFORE)
    assert ContactKeys(folder).load(NAME, DAY).decrypt(contact) == "+8613800000000"
    world.fold_comes_to(BEGINS)
    await world.erasure.look(BEGINS)
    assert world.kept() == []
    with pytest.raises(ContactKeyMissing):
        ContactKeys(folder).load(NAME, DAY).decrypt(contact)


@pytest.mark.safety
async def test_a_machine_whose_clock_is_years_ahead_deletes_nothing(world: World) -> None:
    world.fold_comes_to(BEFORE)
    await world.erasure.look(instant_ms("2030-01-01T00:00:00+08:00"))
    assert world.kept() == [NAME]


@pytest.mark.control
async def test_without_the_time_of_the_fold_a_clock_that_is_ahead_deletes_too_early(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead_ms = instant_ms("2030-01-01T00:00:00+08:00")

    async def believed(_erasure: Erasure, _campaign: str) -> int:
        return ahead_ms

    monkeypatch.setattr(Erasure, "_fold_ms", believed)
    world.fold_comes_to(BEFORE)
    await world.erasure.look(ahead_ms)
    assert world.kept() == []


async def test_a_fold_that_is_ahead_of_this_machine_deletes_nothing(world: World) -> None:
    world.fold_comes_to(BEGINS)
    await world.erasure.look(BEFORE)
    assert world.kept() == [NAME]


async def test_the_key_of_a_campaign_that_no_log_knows_goes_when_its_day_has_begun_everywhere(world: World) -> None:
    world.keys.create("an-earlier-one", DAY)
    everywhere = instant_ms("2020-02-17T00:00:00-12:00")
    world.fold_comes_to(everywhere - 60_000)
    await world.erasure.look(everywhere - 60_000)
    assert world.kept() == ["an-earlier-one"]
    world.fold_comes_to(everywhere)
    await world.erasure.look(everywhere)
    assert world.kept() == []


async def test_what_cannot_be_deleted_is_told_and_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_keys: ContactKeys, _campaign: str, _day: date) -> bool:
        raise PermissionError(13, "Permission denied")

    world.fold_comes_to(BEGINS)
    with monkeypatch.context() as patched, structlog.testing.capture_logs() as lines:
        patched.setattr(ContactKeys, "delete", refused)
        await world.erasure.look(BEGINS)
    assert [line["action"] for line in lines] == ["contact_key_not_deleted"]
    assert "cannot be deleted on its day, 2020-02-17" in str(world.erasure.wrong)
    world.reader.error = StateUnavailableError(what="TimeoutError")
    await world.erasure.look(BEGINS)
    assert "TimeoutError" in str(world.erasure.wrong)
    world.reader.error = None
    await world.erasure.look(BEGINS)
    assert world.kept() == []
    assert not world.erasure.wrong


async def test_a_clock_that_has_no_contact_keys_says_so_once(world: World, tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as lines:
        erasure = Erasure(world.door, ContactKeys(tmp_path / "none"))
        for _ in range(2):
            await erasure.look(BEGINS)
    assert [line["action"] for line in lines] == ["no_contact_keys"]
    assert not erasure.wrong


async def test_two_clocks_do_no_harm(world: World, folder: Path) -> None:
    world.fold_comes_to(BEGINS)
    twin = Erasure(world.door, ContactKeys(folder))
    await twin.look(BEGINS)
    await world.erasure.look(BEGINS)
    assert world.kept() == []
    assert not world.erasure.wrong
    assert not twin.wrong
