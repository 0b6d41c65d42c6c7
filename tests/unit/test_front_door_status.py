"""Where a reservation stands: its place in line, its decision, and never a step back."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.domain import commands as c
from services.platform import pass_keys
from tests.morning import OFFSET
from tests.unit.front_door_world import CAMPAIGN, Heard, World, front_door


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with front_door(tmp_path) as world:
        yield world


async def test_a_status_tells_exactly_how_many_stand_ahead(world: World) -> None:
    booked = [await world.book(document_type="passport", document=f"E000000{n}") for n in range(10, 14)]
    urls = [heard.json["status_url"] for heard in booked]
    assert [(await world.ask("GET", url)).json["ahead"] for url in urls] == [0, 1, 2, 3]
    world.model.fold(at_most=2)
    told = [(await world.ask("GET", url)).json for url in urls]
    assert [one["state"] for one in told] == ["confirmed", "confirmed", "pending", "pending"]
    assert [one["ahead"] for one in told] == [None, None, 0, 1]


async def test_a_status_is_held_until_the_decision(world: World) -> None:
    url = (await world.book()).json["status_url"]
    asked = asyncio.create_task(world.ask("GET", f"{url}&wait=5"))
    await asyncio.sleep(0.05)
    assert not asked.done()
    world.model.fold()
    assert (await asked).json["state"] == "confirmed"


async def test_a_confirmed_reservation_tells_all_its_owner_needs(world: World) -> None:
    told = (await confirmed(world)).json
    assert told["state"] == "confirmed"
    assert told["reason"] is None
    assert told["starts_at"].endswith(f"T00:00:00{OFFSET}")
    assert [entry["event"] for entry in told["history"]] == ["confirmed"]


async def test_a_bare_id_tells_the_state_and_no_place(world: World) -> None:
    heard = await confirmed(world)
    bare = await world.ask("GET", f"/v1/reservations/{heard.json['id']}")
    assert bare.json == heard.json | {"history": bare.json["history"]}
    assert bare.json["ahead"] is None


async def test_an_id_that_nobody_booked_under_is_unknown(world: World) -> None:
    heard = await world.ask("GET", f"/v1/reservations/00{'x' * 22}")
    assert (heard.status, heard.reason) == (404, "unknown_reservation")


@pytest.mark.parametrize("reservation_id", ["x", "00", "99" + "x" * 22, "00" + "x" * 21, "0é" + "x" * 22, "%00" * 8])
async def test_what_cannot_be_an_id_is_unknown(world: World, reservation_id: str) -> None:
    assert (await world.ask("GET", f"/v1/reservations/{reservation_id}")).status == 404


async def test_what_was_deleted_on_its_day_is_not_there_and_the_answer_says_why(world: World) -> None:
    status_url = (await world.book()).json["status_url"]
    booking = world.command()
    assert isinstance(booking, c.Reserve)
    world.write(0, c.Cancel(id="cancel-000000001", pass_no=booking.pass_no))
    world.model.fold()
    own = f"/v1/reservations/{(await world.ask('GET', status_url)).json['id']}"
    campaign = world.door.catalogue.get(CAMPAIGN)
    assert campaign is not None
    delete_ms, day = campaign.row.delete_ms, campaign.definition.deletion_day
    purge = c.Purge(campaign=CAMPAIGN, pass_nos=[booking.pass_no])
    world.folded.write(0, c.Tick(at_ms=delete_ms), purge, at_ms=delete_ms)  # a tick is believed from the next record on
    world.model.fold()
    world.model.forget_decisions()
    for path in (own, status_url):
        gone = await world.ask("GET", path, headers={"Accept-Language": "en"})
        assert (gone.status, gone.reason, gone.json["deleted_on"]) == (404, "unknown_reservation", day)
        assert f"the last time was on {day}." in gone.json["detail"]


async def test_before_any_deletion_day_nothing_is_told_of_one(world: World) -> None:
    heard = await world.ask("GET", f"/v1/reservations/00{'x' * 22}", headers={"Accept-Language": "en"})
    assert "deleted_on" not in heard.json
    assert "deleted" not in heard.json["detail"]


@pytest.mark.safety
async def test_a_reservation_that_is_not_folded_yet_is_never_called_unknown(world: World) -> None:
    heard = await world.book()
    bare = await world.ask("GET", f"/v1/reservations/{heard.json['id']}")
    assert (bare.status, bare.reason) == (503, "catching_up")


@pytest.mark.control
async def test_without_the_look_at_the_logs_end_it_would_be_called_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing_is_written(*_: object) -> int:
        return 0

    monkeypatch.setattr("services.front_door.log_end.LogEnds.end", nothing_is_written)
    heard = await world.book()
    assert (await world.ask("GET", f"/v1/reservations/{heard.json['id']}")).status == 404


async def test_a_bare_id_is_waited_for_while_the_fold_is_on_its_way(world: World) -> None:
    heard = await world.book()
    asked = asyncio.create_task(world.ask("GET", f"/v1/reservations/{heard.json['id']}"))
    await asyncio.sleep(0.1)
    world.model.fold()
    assert (await asked).json["state"] == "confirmed"


@pytest.mark.safety
async def test_a_state_that_was_seen_is_never_taken_back(world: World) -> None:
    heard = await confirmed(world)
    world.model.states[0] = type(world.model.states[0])()  # an empty Redis: everything will be folded again
    for url in (heard.json["id"], f"{heard.json['id']}?wait=1"):
        again = await world.ask("GET", f"/v1/reservations/{url}")
        assert (again.status, again.reason) == (503, "catching_up")


@pytest.mark.control
async def test_without_the_memory_of_positions_it_would_be_taken_back(world: World) -> None:
    heard = await confirmed(world)
    world.model.states[0] = type(world.model.states[0])()
    world.door.reader._seen.clear()
    world.log.records.clear()
    assert (await world.ask("GET", f"/v1/reservations/{heard.json['id']}")).status == 404


async def test_a_place_that_was_not_signed_for_this_reservation_is_refused(world: World) -> None:
    first, second = (await world.book(key="1")).json, (await world.book(key="2")).json
    place = second["status_url"].partition("?")[2]
    own = first["status_url"].partition("?")[2]
    for forged in (place, "place=7.abcdefgh", "place=7", "place=", f"{own}%0A"):
        heard = await world.ask("GET", f"/v1/reservations/{first['id']}?{forged}")
        assert (heard.status, heard.json["field"]) == (400, "place")


async def test_no_form_that_the_description_gives_lets_a_line_break_follow(world: World) -> None:
    described = (await world.ask("GET", "/openapi.json")).json
    calls = [call for path in described["paths"].values() for call in path.values()]
    patterns = {
        parameter["name"]: parameter["schema"]["pattern"]
        for call in calls
        for parameter in call.get("parameters", ())
        if "pattern" in parameter["schema"]
    }
    assert sorted(patterns) == ["Idempotency-Key", "place"]
    for name, right in (("Idempotency-Key", "key-1"), ("place", "7.abcdefgh")):
        assert re.search(patterns[name], right)
        assert not re.search(patterns[name], right + "\n")  # to Python `$` stands before a last line break too


async def test_a_wait_that_is_no_number_is_told(world: World) -> None:
    heard = await confirmed(world)
    assert (await world.ask("GET", f"/v1/reservations/{heard.json['id']}?wait=long")).json["field"] == "wait"


async def test_what_was_decided_without_a_record_is_still_told_at_its_place(world: World) -> None:
    for _ in range(20):
        await world.book(units=6)
    url = (await world.book(units=6)).json["status_url"]
    world.model.fold()
    told = (await world.ask("GET", url)).json
    assert (told["state"], told["reason"]) == ("rejected", "too_many_tries")
    world.model.forget_decisions()
    later = await world.ask("GET", url)
    assert (later.status, later.reason) == (504, "unknown_outcome")


async def test_another_body_under_the_same_key_is_told_at_its_place(world: World) -> None:
    await world.book(key="one")
    url = (await world.book(key="one", units=2)).json["status_url"]
    world.model.fold()
    heard = await world.ask("GET", url)
    assert (heard.status, heard.reason) == (422, "idempotency_key_reused")


async def test_without_redis_a_status_says_that_it_catches_up(world: World) -> None:
    heard = await confirmed(world)
    world.model.is_down = True
    again = await world.ask("GET", f"/v1/reservations/{heard.json['id']}")
    assert (again.status, again.reason) == (503, "catching_up")


# -- giving it back -----------------------------------------------------------------------------------------------


async def test_a_cancelled_reservation_gives_its_units_back(world: World) -> None:
    heard = await confirmed(world)
    async with world.folding():
        cancelled = await cancel(world, heard, wait=5)
        assert (await world.book(prefer="wait=5")).status == 201
    assert cancelled.status == 200
    assert cancelled.json["state"] == "cancelled"
    assert cancelled.json["pass"] is None
    assert [entry["event"] for entry in cancelled.json["history"]] == ["confirmed", "cancelled"]
    assert cancelled.json["history"][1]["by"] == "owner"


async def test_a_cancel_without_a_wait_tells_its_place(world: World) -> None:
    heard = await confirmed(world)
    answer = await cancel(world, heard)
    assert (answer.status, answer.json["state"], answer.json["ahead"]) == (202, "pending", 0)
    assert (await world.ask("GET", answer.json["status_url"])).json["state"] == "pending"
    world.model.fold()
    assert (await world.ask("GET", answer.json["status_url"])).json["state"] == "cancelled"


async def test_cancelling_twice_is_cancelling_once(world: World) -> None:
    heard = await confirmed(world)
    async with world.folding():
        answers = [await cancel(world, heard, wait=5) for _ in range(2)]
        other_key = await cancel(world, heard, wait=5, key="another")
    assert [answer.status for answer in answers] == [200, 200]
    assert (other_key.status, other_key.reason) == (409, "cancelled")


async def test_who_cannot_give_it_back_is_not_spoken_to_as_a_pharmacist(world: World) -> None:
    heard = await confirmed(world)
    async with world.folding():
        await cancel(world, heard, wait=5)
        again = await cancel(world, heard, wait=5, key="another")
        picture = await world.ask("GET", f"/v1/reservations/{heard.json['id']}/pass.svg")
    refused = await world.book(units=6)
    world.model.fold()
    never = await cancel(world, refused)
    for answer in (again, picture, never):
        assert answer.status == 409
        assert "person" not in answer.json["detail"]
        assert "for you" in answer.json["detail"]


async def test_what_was_picked_up_cannot_be_given_back(world: World) -> None:
    heard = await confirmed(world)
    world.pick_up(world.command().pass_no)  # type: ignore[attr-defined]
    async with world.folding():
        answer = await cancel(world, heard, wait=5)
    assert (answer.status, answer.reason) == (409, "already_picked_up")
    told = (await world.ask("GET", f"/v1/reservations/{heard.json['id']}")).json
    assert told["state"] == "picked_up"
    assert [entry["event"] for entry in told["history"]] == ["confirmed", "picked_up", "refused"]
    assert told["history"][1]["by"] == "pharmacy"


async def test_an_invented_id_cancels_nothing_and_writes_nothing(world: World) -> None:
    end = world.end()
    assert (await world.ask("DELETE", f"/v1/reservations/00{'x' * 22}")).status == 404
    assert world.end() == end


async def test_what_was_refused_cannot_be_given_back(world: World) -> None:
    heard = await world.book(units=6)
    world.model.fold()
    end = world.end()
    answer = await world.ask("DELETE", f"/v1/reservations/{heard.json['id']}")
    assert (answer.status, answer.reason) == (409, "not_confirmed")
    assert world.end() == end


# -- the pass -----------------------------------------------------------------------------------------------------


async def test_a_pass_is_a_picture_that_nobody_else_keeps(world: World) -> None:
    heard = await confirmed(world)
    picture = await world.ask("GET", f"/v1/reservations/{heard.json['id']}/pass.svg")
    assert picture.status == 200
    assert picture.headers["Content-Type"] == "image/svg+xml"
    assert picture.headers["Cache-Control"] == "no-store"
    assert picture.body.startswith(b"<svg")
    assert b"<script" not in picture.body


async def test_a_pass_verifies_and_does_not_tell_the_reservations_id(world: World) -> None:
    heard = await confirmed(world)
    shown = world.secrets.pass_verifier().verify(heard.json["pass"])
    assert (shown.pharmacy, shown.units) == ("p-1", 5)
    assert heard.json["id"] not in heard.json["pass"]
    assert shown.pass_no == world.command().pass_no  # type: ignore[attr-defined]


async def test_a_pass_is_signed_with_the_new_key_although_the_front_door_was_not_started_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = await confirmed(world)
    for name in ("LOOK_AGAIN_S", "SIGN_AFTER_S"):
        monkeypatch.setattr(pass_keys, name, 0.0)
    newest = world.secrets.rotate_pass_key()
    again = await world.ask("GET", f"/v1/reservations/{heard.json['id']}")
    assert again.json["pass"] != heard.json["pass"]
    content = newest.pass_verifier().verify(heard.json["pass"])
    assert again.json["pass"] == newest.pass_signer().sign(content)


@pytest.mark.parametrize(("change", "reason"), [({"units": 6}, "not_confirmed"), ({}, "cancelled")])
async def test_without_a_confirmed_reservation_there_is_no_pass(
    world: World, change: dict[str, object], reason: str
) -> None:
    heard = await world.book(**change)
    world.model.fold()
    if not change:
        await cancel(world, heard)
        world.model.fold()
    picture = await world.ask("GET", f"/v1/reservations/{heard.json['id']}/pass.svg")
    assert (picture.status, picture.reason) == (409, reason)


async def confirmed(world: World) -> Heard:
    """The status of a fresh confirmed reservation, under its signed place."""
    heard = await world.book()
    world.model.fold()
    return await world.ask("GET", heard.json["status_url"])


async def cancel(world: World, heard: Heard, wait: int = 0, key: str | None = None) -> Heard:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await world.ask("DELETE", f"/v1/reservations/{heard.json['id']}?wait={wait}", headers=headers)
