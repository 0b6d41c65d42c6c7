"""The waiting list of a full slot: who joins it, where they stand, and what becomes of them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.domain import commands as c
from services.domain.limits import WAITING_PER_CHUNK
from services.front_door import waiting
from tests.unit.front_door_world import Heard, World, documents, front_door, tomorrow

NAME = "waits"
LIST = {"waiting_list": {"per_mille": 1_000, "promote_until_h": 2}}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with front_door(tmp_path) as world:
        yield world


class Queue:
    """People, each another one, who all want the same slot."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._documents = documents()

    async def books(self, units: int = 1, slot: str = "s-1") -> Heard:
        """The next one books, and hears the decision."""
        person = {"document_type": "passport", "document": next(self._documents)}
        async with self._world.folding():
            return await self._world.book(prefer="wait=5", campaign=NAME, slot=slot, units=units, **person)

    async def book(self, *units: int) -> list[Heard]:
        return [await self.books(some) for some in units]


async def opened(world: World, *units: int, **rules: object) -> Queue:
    await world.apply(tomorrow(NAME, *units, **(LIST | rules)))
    return Queue(world)


async def status(world: World, heard: Heard) -> Heard:
    world.model.fold()
    return await world.ask("GET", f"/v1/reservations/{heard.json['id']}")


async def cancel(world: World, heard: Heard) -> Heard:
    async with world.folding():
        return await world.ask("DELETE", f"/v1/reservations/{heard.json['id']}?wait=5")


async def test_who_finds_a_slot_full_waits_and_hears_how_many_may_come_first(world: World) -> None:
    queue = await opened(world, 4)
    first, *others = await queue.book(4, 2, 1)
    assert first.status == 201
    assert [heard.status for heard in others] == [200, 200]
    assert [heard.json["state"] for heard in others] == ["waitlisted", "waitlisted"]
    assert [heard.json["waiting_before"] for heard in others] == [0, 1]
    told = others[0].json
    assert (told["campaign"], told["slot"], told["units"]) == (NAME, "s-1", 2)
    assert told["waiting_until"] < told["starts_at"]
    assert (told["pass"], told["short_code"], told["reason"]) == (None, None, None)
    assert [entry["event"] for entry in told["history"]] == ["waitlisted"]
    assert (await status(world, others[1])).json == others[1].json


async def test_the_same_booking_again_hears_that_it_waits(world: World) -> None:
    queue = await opened(world, 1)
    await queue.books()
    async with world.folding():
        heard = [await world.book(key="one", prefer="wait=5", campaign=NAME, slot="s-1", units=1) for _ in range(2)]
    assert [one.status for one in heard] == [200, 200]
    assert heard[0].json == heard[1].json


async def test_what_comes_free_goes_to_the_first_who_waits(world: World) -> None:
    queue = await opened(world, 4, waiting_list={"per_mille": 2_000, "promote_until_h": 2})
    first, second, third = await queue.book(4, 3, 2)
    await cancel(world, first)
    promoted = (await status(world, second)).json
    assert promoted["state"] == "confirmed"
    assert promoted["pass"]
    assert len(promoted["short_code"]) == 8
    assert (promoted["waiting_before"], promoted["waiting_until"]) == (None, None)
    still = (await status(world, third)).json
    assert (still["state"], still["waiting_before"]) == ("waitlisted", 0)


async def test_nobody_takes_what_is_left_past_those_who_wait(world: World) -> None:
    queue = await opened(world, 3)
    await queue.book(2, 2)  # one is left, and two are waited for
    late = await queue.books()
    assert (late.json["state"], late.json["waiting_before"]) == ("waitlisted", 1)
    stock = (await world.ask("GET", f"/v1/campaigns/{NAME}/stock")).json["slots"]
    assert [slot["band"] for slot in stock] == ["none"]


async def test_a_full_list_takes_nobody(world: World) -> None:
    queue = await opened(world, 2, 2)
    *_, refused = await queue.book(2, 2, 1)
    assert (refused.status, refused.reason, refused.json["left"]) == (409, "slot_full", 0)


async def test_a_place_never_gets_worse_and_is_never_told_too_small(world: World) -> None:
    queue = await opened(world, 50)
    first, *others = await queue.book(5, *[5] * 9, *[1] * 40)
    waiting_ones = others[9:]
    assert [heard.json["waiting_before"] for heard in waiting_ones] == list(range(40))
    for heard in waiting_ones[3:6]:
        assert (await cancel(world, heard)).status == 200
    # Three before have left, which nobody looks at before their turn comes: at most so many.
    assert (await status(world, waiting_ones[35])).json["waiting_before"] == 35
    await cancel(world, first)
    for _ in range(3):  # a bounded piece with every record
        world.write(0, c.Tick(at_ms=0))
    assert (await status(world, waiting_ones[7])).json["state"] == "confirmed"
    assert (await status(world, waiting_ones[35])).json["waiting_before"] == 35 - 8


async def test_a_place_too_far_behind_to_look_for_is_not_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MAX_CHUNKS_READ", 1)
    queue = await opened(world, 40)
    *_, last_in_chunk, behind = await queue.book(*[5] * 8, *[1] * (WAITING_PER_CHUNK + 1))
    assert last_in_chunk.json["waiting_before"] == WAITING_PER_CHUNK - 1
    assert behind.json["state"] == "waitlisted"
    assert behind.json["waiting_before"] is None


async def test_who_waits_may_leave_and_book_elsewhere(world: World) -> None:
    queue = await opened(world, 1, 1)
    await queue.books()
    person = {"document_type": "passport", "document": "E99999999", "campaign": NAME, "units": 1}
    async with world.folding():
        waits = await world.book(prefer="wait=5", slot="s-1", **person)
        assert (await world.book(prefer="wait=5", slot="s-2", **person)).reason == "already_reserved"
        left = await world.ask("DELETE", f"/v1/reservations/{waits.json['id']}?wait=5")
        assert (left.status, left.json["state"]) == (200, "cancelled")
        assert (await world.book(prefer="wait=5", slot="s-2", **person)).status == 201


async def test_who_waited_in_vain_is_told_so(world: World) -> None:
    queue = await opened(world, 1)
    _, waits = await queue.book(1, 1)
    slot = world.model.states[0].get(f"s:{world.model.states[0].get(f'c:{NAME}').no}:s-1")
    slot.promote_until_ms = 1
    world.write(0, c.EndWaiting(id="end-waiting-0001", campaign=NAME, slots=["s-1"]))
    told = (await status(world, waits)).json
    assert (told["state"], told["reason"], told["left"]) == ("rejected", "slot_full", None)
    assert [(entry["event"], entry["by"], entry["reason"]) for entry in told["history"]] == [
        ("waitlisted", "rules", None),
        ("waiting_ended", "rules", "slot_full"),
    ]
    assert told["how_to_appeal"]


async def test_who_was_promoted_reads_that_it_waited_first_and_when_its_turn_came(world: World) -> None:
    queue = await opened(world, 1)
    first, waits = await queue.book(1, 1)
    await cancel(world, first)
    joined, promoted = (await status(world, waits)).json["history"]
    assert [(entry["event"], entry["by"]) for entry in (joined, promoted)] == [
        ("waitlisted", "rules"),
        ("promoted", "rules"),
    ]
    assert joined["at"] == waits.json["history"][0]["at"]
    assert joined["at"] <= promoted["at"]


async def test_who_waited_and_left_reads_that_it_waited_first(world: World) -> None:
    queue = await opened(world, 1)
    _, waits = await queue.book(1, 1)
    told = (await cancel(world, waits)).json["history"]
    assert [(entry["event"], entry["by"]) for entry in told] == [("waitlisted", "rules"), ("cancelled", "owner")]


async def test_who_waits_has_no_pass_yet(world: World) -> None:
    queue = await opened(world, 1)
    _, waits = await queue.book(1, 1)
    picture = await world.ask("GET", f"/v1/reservations/{waits.json['id']}/pass.svg")
    assert (picture.status, picture.reason) == (409, "not_confirmed")
    assert "waiting" in picture.json["detail"]


async def test_the_stock_tells_whether_a_list_takes_anybody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.front_door.stock.LEAST_AGE_S", 0.0)
    queue = await opened(world, 2, 2)

    async def lists(name: str = NAME) -> list[str | None]:
        await asyncio.sleep(0.01)
        stock = (await world.ask("GET", f"/v1/campaigns/{name}/stock")).json["slots"]
        return [slot["waiting_list"] for slot in stock]

    assert await lists() == ["open", "open"]
    await queue.book(2, 2)
    assert await lists() == ["full", "open"]
    assert await lists("gz-2020-02") == [None, None]
    table = (await world.ask("GET", f"/v1/campaigns/{NAME}/stock.csv")).text.splitlines()
    assert [line.split(",")[-1] for line in table] == ["waiting_list", "full", "open"]
    slot = world.model.states[0].get(f"s:{world.model.states[0].get(f'c:{NAME}').no}:s-2")
    slot.promote_until_ms = 1  # over
    assert await lists() == ["full", None]


async def test_a_decision_whose_place_in_the_list_cannot_be_read_is_still_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = await opened(world, 1)
    await queue.books()
    real = type(world.model)._value

    def without_lists(self: object, partition: int, key: str) -> object:
        if key.startswith("w:"):
            return b"\xc1"  # what no version can read
        return real(self, partition, key)  # type: ignore[arg-type]

    monkeypatch.setattr(type(world.model), "_value", without_lists)
    heard = await queue.books()
    assert (heard.status, heard.json["state"], heard.json["slot"]) == (200, "waitlisted", "s-1")
