"""What nobody can get is refused without a record, and never to somebody whose first try the log has."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.domain import commands as c
from services.domain.commands import Reserve
from services.front_door.shedding import SheddingSettings
from services.platform.metrics import REFUSED_BEFORE_LOG
from services.stream.fake import FakeReader
from services.stream.place import PartitionId
from tests.unit.front_door_browser import FORM, page, post
from tests.unit.front_door_world import APPEAL, CAMPAIGN, Heard, World, documents, front_door, tomorrow

NAME = "few"
PASSPORTS = documents()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Beside the campaign that every front door has, one with five units in one slot."""
    async with front_door(tmp_path) as world:
        await world.apply(tomorrow(NAME, 5))
        yield world


async def somebody(world: World, *, campaign: str = NAME, units: int = 5, document: str = "", **asked: object) -> Heard:
    person = {"document_type": "passport", "document": document or next(PASSPORTS)}
    return await world.book(campaign=campaign, units=units, **person, **asked)


async def sold_out(world: World) -> Heard:
    """Somebody has all, and this door knows."""
    heard = await somebody(world)
    await known(world)
    return heard


async def known(world: World) -> None:
    """All is folded, and the catalogue is fresh."""
    world.model.fold()
    await world.door.refresh_once()


def refused(reason: str) -> int:
    return REFUSED_BEFORE_LOG.counts[reason,]


# -- without a record ------------------------------------------------------------------------------------------------


async def test_where_nothing_is_left_the_refusal_needs_no_record(world: World) -> None:
    await sold_out(world)
    end, counted = world.end(), refused("sold_out")
    heard = await somebody(world, prefer="wait=5")
    assert (heard.status, heard.reason, heard.json["how_to_appeal"]) == (409, "sold_out", APPEAL)
    assert (heard.json["campaign"], heard.json["slot"]) == (NAME, "s-1")
    assert (world.end(), refused("sold_out")) == (end, counted + 1)


@pytest.mark.parametrize(("transition", "reason"), [(c.Pause, "paused"), (c.Close, "campaign_closed")])
async def test_nor_does_it_while_nobody_may_book(world: World, transition: type[c.Command], reason: str) -> None:
    world.transition(transition)
    await known(world)
    end = world.end()
    assert (await world.book()).reason == reason
    assert world.end() == end


async def test_before_the_opening_the_refusal_says_when_it_is(world: World) -> None:
    await world.apply(tomorrow("soon", 5), opened=False)
    end = world.end()
    heard = await somebody(world, campaign="soon")
    assert heard.reason == "not_open"
    assert world.end() == end


async def test_a_form_that_was_filled_in_meanwhile_is_refused_the_same_way(world: World) -> None:
    _, form = await page(world, FORM)
    world.transition(c.Pause)
    await known(world)
    end = world.end()
    fields = {"document_type": "passport", "document_number": next(PASSPORTS), "phone": "13800000000", "units": "3"}
    heard = await post(world, FORM, {"nonce": form.value("nonce"), **fields})
    assert (heard.status, "paused" in heard.text) == (409, True)
    assert world.end() == end


@pytest.mark.parametrize("people", [50, 300])  # 300 people's rows do not fit into one read
async def test_many_who_are_refused_together_cost_a_few_looks_and_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch, people: int
) -> None:
    looks = 0

    async def counted(reader: FakeReader, partition: PartitionId) -> int:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0.05)
        return world.end(partition)

    monkeypatch.setattr(FakeReader, "log_end", counted)
    await sold_out(world)
    reads = world.model.reads
    answers = await asyncio.gather(*(somebody(world) for _ in range(people)))
    assert {heard.reason for heard in answers} == {"sold_out"}
    assert looks <= 3
    assert world.model.reads - reads <= 20


# -- not final before it is true for a retry too -----------------------------------------------------------------------


async def accepted_and_not_folded(world: World) -> tuple[str, str]:
    """Somebody's document and key: the log has their booking behind a cancel, and the fold stands before both."""
    first = await somebody(world)
    world.model.fold()
    reserve = world.command()
    assert isinstance(reserve, Reserve)
    world.write(0, c.Cancel(id="cancel-000000001", pass_no=reserve.pass_no))
    document = next(PASSPORTS)
    heard = await somebody(world, document=document, key="mine")
    assert (first.status, heard.status) == (202, 202)
    await world.door.refresh_once()  # of what is folded: all is sold
    return document, "mine"


@pytest.mark.safety
async def test_a_retry_of_what_the_log_has_never_hears_sold_out(world: World) -> None:
    document, key = await accepted_and_not_folded(world)
    heard = await somebody(world, document=document, key=key)
    assert (heard.status, heard.reason) == (503, "catching_up")
    assert int(heard.headers["Retry-After"]) > 0
    async with world.folding():
        heard = await somebody(world, document=document, key=key, prefer="wait=5")
    assert (heard.status, heard.json["state"]) == (201, "confirmed")


@pytest.mark.control
async def test_without_the_look_at_the_logs_end_it_would(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing_is_written(*_: object) -> int:
        return 0

    monkeypatch.setattr("services.front_door.log_end.LogEnds.end", nothing_is_written)
    document, key = await accepted_and_not_folded(world)
    assert (await somebody(world, document=document, key=key)).reason == "sold_out"


async def test_a_retry_of_what_was_confirmed_is_answered_as_ever(world: World) -> None:
    document = next(PASSPORTS)
    await somebody(world, document=document, key="mine")
    await known(world)
    async with world.folding():
        heard = await somebody(world, document=document, key="mine", prefer="wait=5")
    assert (heard.status, heard.json["state"]) == (201, "confirmed")


async def test_a_unit_that_came_free_is_there_for_the_next_who_asks(world: World) -> None:
    first = await sold_out(world)
    await world.ask("DELETE", f"/v1/reservations/{first.json['id']}")
    world.model.fold()  # and the catalogue still says that nothing is left
    async with world.folding():
        assert (await somebody(world, prefer="wait=5")).status == 201


async def test_a_campaign_that_has_just_opened_takes_bookings_though_the_catalogue_does_not_know(world: World) -> None:
    await world.apply(tomorrow("soon", 5), opened=False)
    world.transition(c.Open, "soon")
    async with world.folding():
        assert (await somebody(world, campaign="soon", prefer="wait=5")).status == 201


async def test_what_was_open_a_second_ago_is_decided_in_the_log(world: World) -> None:
    await somebody(world)
    world.model.fold()
    end = world.end()
    async with world.folding():
        assert (await somebody(world, prefer="wait=5")).reason == "sold_out"
    assert world.end() == end + 1


# -- who is not everybody ----------------------------------------------------------------------------------------------


async def test_who_has_one_hears_that_and_not_that_it_is_sold_out(world: World) -> None:
    document = next(PASSPORTS)
    await somebody(world, document=document)
    await known(world)
    async with world.folding():
        assert (await somebody(world, document=document, prefer="wait=5")).reason == "already_reserved"


async def test_who_has_one_from_before_they_came_to_another_campaign_hears_it_too(world: World) -> None:
    document = next(PASSPORTS)
    await somebody(world, document=document)
    await somebody(world, campaign=CAMPAIGN, document=document)
    await known(world)
    async with world.folding():
        assert (await somebody(world, document=document, prefer="wait=5")).reason == "already_reserved"


async def test_who_lost_a_place_books_from_the_reserve_though_nothing_is_left_for_others(world: World) -> None:
    await world.apply(tomorrow("less", 6, 6, reserve_per_mille=500))
    loser = next(PASSPORTS)
    await somebody(world, campaign="less", units=3, slot="s-1", document=loser)
    await somebody(world, campaign="less", units=3, slot="s-2")
    world.write(0, c.WithdrawSlot(id="withdraw-0000001", campaign="less", slot="s-1"))
    await known(world)
    assert (await somebody(world, campaign="less", units=3, slot="s-2")).reason == "sold_out"
    async with world.folding():
        again = await somebody(world, campaign="less", units=3, slot="s-2", document=loser, prefer="wait=5")
    assert again.status == 201


async def test_with_a_waiting_list_nobody_is_refused_before_that_is_full_too(world: World) -> None:
    await world.apply(tomorrow("waits", 4, waiting_list={"per_mille": 500, "promote_until_h": 2}))
    await somebody(world, campaign="waits", units=4)
    await known(world)
    async with world.folding():
        waiting = await somebody(world, campaign="waits", units=2, prefer="wait=5")
    assert (waiting.status, waiting.json["state"]) == (200, "waitlisted")
    end = world.end()
    assert (await somebody(world, campaign="waits", units=1)).reason == "sold_out"
    assert world.end() == end


# -- while nobody can tell ---------------------------------------------------------------------------------------------


async def test_while_redis_is_away_nobody_hears_that_it_is_sold_out(world: World) -> None:
    await sold_out(world)
    world.model.is_down = True
    heard = await somebody(world)
    assert (heard.status, heard.reason) == (503, "catching_up")


async def test_those_who_are_looked_up_count_among_those_who_are_under_way(tmp_path: Path) -> None:
    async with front_door(tmp_path, SheddingSettings(max_in_flight_bookings=5)) as world:
        await world.apply(tomorrow(NAME, 5))
        await accepted_and_not_folded(world)
        answers = await asyncio.gather(*(somebody(world) for _ in range(8)))
    assert sorted(heard.reason for heard in answers) == ["catching_up"] * 5 + ["overloaded"] * 3
