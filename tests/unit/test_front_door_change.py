"""Another slot for the same reservation: the old one is kept unless the new one is got."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.domain import commands as c
from tests.unit.front_door_world import Heard, World, front_door, tomorrow

NAME = "changes"
PERSON = {"document_type": "passport", "document": "E00000001"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with front_door(tmp_path) as world:
        await world.apply(tomorrow(NAME, 5, 5, 1, waiting_list={"per_mille": 1_000, "promote_until_h": 1}))
        yield world


async def booked(world: World, slot: str = "s-1", units: int = 2, **person: str) -> Heard:
    async with world.folding():
        return await world.book(prefer="wait=5", campaign=NAME, slot=slot, units=units, **(PERSON | person))


async def change(
    world: World, heard: Heard, slot: Any = "s-2", key: str | None = "key-of-change", wait: int = 5
) -> Heard:
    headers = {} if key is None else {"Idempotency-Key": key}
    path = f"/v1/reservations/{heard.json['id']}?wait={wait}"
    async with world.folding():
        return await world.ask("PATCH", path, json={"slot": slot}, headers=headers)


async def status(world: World, heard: Heard) -> Any:
    world.model.fold()
    return (await world.ask("GET", f"/v1/reservations/{heard.json['id']}")).json


async def test_who_gets_the_new_slot_has_a_new_pass_and_the_old_units_are_free(world: World) -> None:
    first = await booked(world)
    changed = await change(world, first)
    assert changed.status == 200
    told = changed.json
    assert (told["id"], told["state"], told["slot"], told["pharmacy"], told["units"]) == (
        first.json["id"], "confirmed", "s-2", "p-2", 2,
    )  # fmt: skip
    old, new = (world.secrets.pass_verifier().verify(each["pass"]) for each in (first.json, told))
    assert (old.pharmacy, new.pharmacy) == ("p-1", "p-2")
    assert old.pass_no == new.pass_no
    assert [entry["event"] for entry in told["history"]] == ["confirmed", "slot_changed"]
    assert told["history"][1]["by"] == "owner"
    assert (await booked(world, units=5, document="E00000002")).status == 201


async def test_who_does_not_get_the_new_slot_keeps_the_old_one(world: World) -> None:
    first = await booked(world)
    await booked(world, "s-2", 4, document="E00000002")
    refused = await change(world, first)
    assert (refused.status, refused.reason, refused.json["left"]) == (409, "slot_full", 1)
    assert (refused.json["state"], refused.json["slot"]) == ("confirmed", "s-1")
    assert "stays as it is" in refused.json["detail"]
    told = await status(world, first)
    assert (told["state"], told["slot"], told["pass"]) == ("confirmed", "s-1", first.json["pass"])
    assert [(entry["event"], entry["reason"]) for entry in told["history"]] == [
        ("confirmed", None),
        ("refused", "slot_full"),
    ]


async def test_a_change_never_joins_a_waiting_list(world: World) -> None:
    first = await booked(world, units=1)
    await booked(world, "s-3", 1, document="E00000002")
    assert (await change(world, first, "s-3")).reason == "slot_full"
    assert (await status(world, first))["slot"] == "s-1"


async def test_who_waits_may_change_to_where_there_is_some_and_leaves_the_list(world: World) -> None:
    await booked(world, "s-3", 1, document="E00000002")
    waits = await booked(world, "s-3", 1)
    assert waits.json["state"] == "waitlisted"
    changed = await change(world, waits, "s-1")
    assert (changed.json["state"], changed.json["slot"]) == ("confirmed", "s-1")
    assert changed.json["pass"]
    late = await booked(world, "s-3", 1, document="E00000003")
    assert late.json["state"] == "waitlisted"  # there is room in the list again


async def test_the_same_change_again_is_one_change_and_gets_the_state_of_now(world: World) -> None:
    first = await booked(world)
    answers = [await change(world, first) for _ in range(2)]
    assert answers[0].json == answers[1].json
    back = await change(world, first, "s-1", key="back")
    assert back.json["slot"] == "s-1"
    late = await change(world, first)  # a retry that comes late changes nothing
    assert (late.status, late.json["slot"]) == (200, "s-1")
    other = await change(world, first, "s-1")  # the same key, another slot: another wish
    assert (other.status, other.reason) == (409, "same_slot")


async def test_a_refused_change_sent_again_is_refused_again(world: World) -> None:
    first = await booked(world)
    other = await booked(world, "s-2", 4, document="E00000002")
    assert (await change(world, first)).reason == "slot_full"
    async with world.folding():
        await world.ask("DELETE", f"/v1/reservations/{other.json['id']}?wait=5")
    assert (await change(world, first)).reason == "slot_full"
    assert (await change(world, first, key="another")).status == 200


async def test_a_change_without_a_wait_tells_its_place_and_there_its_refusal(world: World) -> None:
    first = await booked(world)
    await booked(world, "s-2", 4, document="E00000002")
    for slot, expected in (("s-2", ("s-1", "slot_full")), ("s-1", ("s-1", "same_slot")), ("s-3", ("s-1", "slot_full"))):
        asked = await change(world, first, slot, key=slot, wait=0)
        assert (asked.status, asked.json["state"]) == (202, "pending")
        assert asked.headers["Location"] == asked.json["status_url"]
        world.model.fold()
        told = (await world.ask("GET", asked.json["status_url"])).json
        assert (told["state"], told["slot"], told["refused"]) == ("confirmed", *expected)
    assert (await status(world, first))["refused"] is None


@pytest.mark.parametrize(
    ("slot", "key", "status", "reason"),
    [
        ("s-2", None, 400, "idempotency_key_required"),
        ("s-2", "two words", 400, "malformed"),
        ("s-9", "k", 404, "unknown_slot"),
        (5, "k", 400, "malformed"),
        ("", "k", 400, "malformed"),
    ],
)
async def test_what_is_wrong_with_a_change_is_told_and_nothing_is_written(
    world: World, slot: Any, key: str | None, status: int, reason: str
) -> None:
    first = await booked(world)
    end = world.end()
    heard = await change(world, first, slot, key)
    assert (heard.status, heard.reason) == (status, reason)
    assert world.end() == end


async def test_what_is_over_cannot_be_changed(world: World) -> None:
    first = await booked(world)
    async with world.folding():
        await world.ask("DELETE", f"/v1/reservations/{first.json['id']}?wait=5")
    heard = await change(world, first)
    assert (heard.status, heard.reason, heard.json["state"]) == (409, "cancelled", "cancelled")
    end = world.end()
    refused = await booked(world, units=6)
    assert refused.reason == "units_over_limit"
    never = await change(world, refused)
    assert (never.status, never.reason) == (409, "not_confirmed")
    unknown = await world.ask(
        "PATCH", f"/v1/reservations/00{'x' * 22}", json={"slot": "s-2"}, headers={"Idempotency-Key": "k"}
    )
    assert (unknown.status, unknown.reason) == (404, "unknown_reservation")
    assert world.end() == end + 1  # the booking alone


async def test_while_a_campaign_is_paused_nothing_changes_and_after_its_end_it_does(world: World) -> None:
    first = await booked(world)
    world.transition(c.Pause, NAME)
    paused = await change(world, first)
    assert (paused.reason, paused.json["slot"]) == ("paused", "s-1")
    world.transition(c.Close, NAME)
    assert (await change(world, first, key="later")).status == 200


async def test_after_the_last_hour_for_changes_the_time_stays(world: World) -> None:
    await world.apply(tomorrow("early", 5, 5, change_until_h=48))
    async with world.folding():
        first = await world.book(prefer="wait=5", campaign="early", slot="s-1", units=1, **PERSON)
    assert first.status == 201
    heard = await change(world, first)
    assert (heard.status, heard.reason) == (409, "too_late_to_change")
    assert (await status(world, first))["change_until"] < first.json["starts_at"]


async def test_a_log_that_is_away_is_told_and_nothing_changes(world: World) -> None:
    first = await booked(world)
    world.producer.is_down = True
    heard = await change(world, first)
    assert (heard.status, heard.reason) == (503, "log_unavailable")
    assert (await status(world, first))["slot"] == "s-1"
