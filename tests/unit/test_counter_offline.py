"""Batches of what was handed out without a network: always accepted, each record as what it is."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.counter.contract import MAX_BATCH_BYTES, MAX_RECORDS
from services.counter.main import TillSettings
from services.counter.offline import RECORDS_AT_ONCE
from services.domain import commands as c
from services.state.errors import StateUnavailableError
from tests.unit.counter_world import DAY_MS, NOON_MS, Booking, CounterWorld, Heard, Till, counter

AT = "2020-02-01T12:30:00+08:00"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CounterWorld]:
    async with counter(tmp_path) as world:
        yield world


def record(world: CounterWorld, booking: Booking | None, nonce: str = "n-1", at: str = AT) -> dict[str, Any]:
    shown = {"pass": world.pass_of(booking)} if booking else {}
    return {"nonce": nonce, "picked_up_at": at} | shown


async def tells(till: Till, *records: dict[str, Any], key: str | None = None) -> Heard:
    return await till.post("/v1/pickups/batch", {"records": list(records)}, key=key)


async def test_each_record_is_told_as_what_it_is_in_the_order_of_the_batch(world: CounterWorld) -> None:
    till, other = await world.paired(), await world.paired("till-2")
    anna, bo, cy = (world.books(f"A000000{n}") for n in (1, 2, 3))
    world.cancels(bo)
    assert (await other.picks_up(cy)).status == 200
    for _ in range(2):
        world.time_is(NOON_MS + 3_600_000)
    heard = await tells(
        till, record(world, cy, "1"), record(world, anna, "2"), record(world, bo, "3"), record(world, None, "4")
    )
    assert heard.status == 200
    conflict, right, late, unproved = heard.json["records"]
    assert (conflict["state"], conflict["pharmacy"], conflict["terminal"]) == ("conflict", "p-1", "till-2")
    assert conflict["when"].startswith("2020-02-01T12:0")
    assert (right["state"], right["units"], right["pass_no"]) == ("picked_up", 5, anna.pass_no)
    assert (late["state"], late["reason"]) == ("picked_up_late", "cancelled")
    assert unproved == {"nonce": "4", "state": "unproved"}
    assert world.row(anna).history[0].at_ms == NOON_MS + 1_800_000


async def test_a_batch_sent_again_is_answered_as_the_first_time_and_counts_once(world: CounterWorld) -> None:
    till = await world.paired()
    bookings = [world.books(f"A000000{n}") for n in (1, 2)]
    records = [record(world, each, f"n-{n}") for n, each in enumerate(bookings)]
    first = await tells(till, *records, record(world, bookings[0], "twice"))
    again = await tells(till, *records, record(world, bookings[0], "twice"))
    assert first.json == again.json
    assert [each["state"] for each in again.json["records"]] == ["picked_up", "picked_up", "conflict"]
    row = world.folded.row(1, "s:1:s-morning")
    assert (row.picked_up, row.beside) == (10, 5)


async def test_what_was_tried_online_with_the_same_key_is_the_same_hand_out(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    shown = {"pass": world.pass_of(anna)}
    assert (await till.post("/v1/pickups", shown, key="n-1")).status == 200
    heard = await tells(till, record(world, anna, "n-1"))
    assert heard.json["records"][0]["state"] == "picked_up"
    assert world.folded.row(1, "s:1:s-morning").beside == 0


async def test_a_pass_that_is_not_genuine_proves_nothing(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    forged = record(world, anna) | {"pass": world.pass_of(anna)[:-8] + "AAAAAAAA"}
    assert (await tells(till, forged)).json["records"][0]["state"] == "unproved"
    assert world.row(anna).state == 1


async def test_a_clock_that_is_decades_off_refuses_nothing(world: CounterWorld) -> None:
    till, anna, bo = await world.paired(), world.books("A0000001"), world.books("A0000002")
    times = ("1970-01-01T00:00:00Z", "2237-01-01T00:00:00+08:00", "0000-02-31T00:00:00Z", "0001-01-01T00:00:00+23:59")
    shown = (anna, bo, None, None)
    records = [record(world, each, at, at) for each, at in zip(shown, times, strict=True)]
    heard = await tells(till, *records)
    assert [each["state"] for each in heard.json["records"]] == ["picked_up", "picked_up", "unproved", "unproved"]


async def test_the_next_day_is_early_enough_to_tell(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    for _ in range(2):
        world.time_is(NOON_MS + DAY_MS)
    world.write(c.Expire(id=world.id(), region="guangzhou", pharmacy="p-1", day=20200201, sheet=0))
    told = (await tells(till, record(world, anna))).json["records"][0]
    assert (told["state"], told["reason"]) == ("picked_up_late", "expired")


async def test_a_whole_batch_is_taken_and_leaves_room_for_those_who_hand_out(tmp_path: Path) -> None:
    async with counter(tmp_path, TillSettings(max_in_flight=RECORDS_AT_ONCE + 5)) as world:
        till = await world.paired()
        records = [record(world, None, f"n-{n}") for n in range(MAX_RECORDS)]
        heard = await tells(till, *records)
        assert [each["nonce"] for each in heard.json["records"]] == [each["nonce"] for each in records]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "records"),
        ({"records": []}, "records"),
        ({"records": [{"nonce": "n", "picked_up_at": AT}] * (MAX_RECORDS + 1)}, "records"),
        ({"records": [{"nonce": "", "picked_up_at": AT}]}, "records[0].nonce"),
        ({"records": [{"nonce": "n"}]}, "records[0].picked_up_at"),
        ({"records": [{"nonce": "n", "picked_up_at": "noon"}]}, "records[0].picked_up_at"),
        ({"records": [{"nonce": "n", "picked_up_at": "2020-02-01T10:00:00"}]}, "records[0].picked_up_at"),
        ({"records": [{"nonce": "n", "picked_up_at": "2020-13-01T10:00:00Z"}]}, "records[0].picked_up_at"),
        ({"records": [{"nonce": "n", "picked_up_at": AT, "units": 5}]}, "records[0].units"),
    ],
)
async def test_what_cannot_be_read_is_refused_whole_before_anything_is_done(
    world: CounterWorld, body: Any, field: str
) -> None:
    till = await world.paired()
    before = len(world.folded.values(1))
    heard = await till.post("/v1/pickups/batch", body)
    assert (heard.status, heard.reason, heard.json["field"]) == (400, "malformed", field)
    assert len(world.folded.values(1)) == before


async def test_a_batch_may_be_larger_than_other_requests_but_not_larger_than_a_mebibyte(world: CounterWorld) -> None:
    till = await world.paired()
    padded = [{"nonce": f"{n:064d}", "picked_up_at": AT, "pass": "x" * 200} for n in range(200)]
    assert (await till.post("/v1/pickups/batch", {"records": padded})).status == 200
    headers = {"Authorization": f"Bearer {till.token}", "Idempotency-Key": "k"}
    heard = await world.ask("POST", "/v1/pickups/batch", data=io.BytesIO(b" " * (MAX_BATCH_BYTES + 1)), headers=headers)
    assert (heard.status, heard.reason) == (413, "too_large")


async def test_what_was_not_decided_is_unknown_and_the_same_batch_tells(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    records = [record(world, anna)]
    await till.get("/v1/today")
    world.folded.reader.error = StateUnavailableError(what="TimeoutError")
    heard = await tells(till, *records)
    assert (heard.status, heard.reason) == (504, "unknown_outcome")
    world.folded.reader.error = None
    assert (await tells(till, *records)).json["records"][0]["state"] == "picked_up"


async def test_a_terminal_that_was_revoked_is_not_believed(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    world.write(c.RevokeTerminal(id=world.id(), terminal="till-1"))
    heard = await tells(till, record(world, anna))
    assert heard.status == 401
    assert world.row(anna).state == 1


async def test_two_tills_that_tell_at_once_make_one_hand_out_and_one_conflict(world: CounterWorld) -> None:
    first, second, anna = await world.paired(), await world.paired("till-2"), world.books("A0000001")
    told = await asyncio.gather(*(tells(till, record(world, anna)) for till in (first, second)))
    assert sorted(each.json["records"][0]["state"] for each in told) == ["conflict", "picked_up"]
