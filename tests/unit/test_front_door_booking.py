"""Booking: from the wish over HTTP to the log, and the decision back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from services.domain import commands as c
from services.front_door import line
from services.front_door.messages import Pending
from services.platform.contact import ContactKeys
from tests.unit.campaign_documents import written
from tests.unit.front_door_world import APPEAL, CAMPAIGN, World, campaign, front_door, wish


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with front_door(tmp_path) as world:
        yield world


async def test_a_booking_is_in_the_log_before_it_is_answered(world: World) -> None:
    end = world.end()
    heard = await world.book()
    assert heard.status == 202
    assert world.end() == end + 1
    command = world.command()
    assert isinstance(command, c.Reserve)
    assert (command.campaign, command.slot, command.units) == (CAMPAIGN, "s-1", 5)
    assert heard.json["state"] == "pending"
    assert heard.json["ahead"] == 0
    assert heard.headers["Location"] == heard.json["status_url"]
    assert heard.headers["Cache-Control"] == "no-store"


async def test_the_answer_is_what_the_contract_says(world: World) -> None:
    heard = await world.book()
    pending = Pending(**heard.json)
    assert pending.status_url.startswith(f"/v1/reservations/{pending.id}?place=")
    assert len(pending.id) == 24
    assert pending.id.startswith("00")


async def test_no_document_phone_or_id_goes_into_the_log(world: World) -> None:
    heard = await world.book(document="11010519491231002x", phone="138 0000 0000")
    command = world.command()
    text = c.encode(command).decode()
    for private in ("11010519491231002", "13800000000", heard.json["id"], "002X"):
        assert private not in text
    assert isinstance(command, c.Reserve)
    assert command.phone_pseudonym
    assert command.contact


async def test_ahead_is_the_number_of_requests_before_this_one(world: World) -> None:
    for expected in range(3):
        assert (await world.book(document_type="passport", document=f"E0000000{expected}")).json["ahead"] == expected


async def test_a_wait_is_answered_with_the_decision(world: World) -> None:
    async with world.folding():
        heard = await world.book(prefer="wait=5")
    assert heard.status == 201
    told = heard.json
    assert told["state"] == "confirmed"
    assert (told["campaign"], told["slot"], told["pharmacy"], told["units"]) == (CAMPAIGN, "s-1", "p-1", 5)
    assert told["pass"].startswith("M1.")
    assert len(told["short_code"]) == 8


async def test_a_wait_that_ends_is_answered_with_the_place(world: World) -> None:
    assert (await world.book(prefer="wait=1")).status == 202


async def test_what_was_decided_against_a_person_names_the_reason_and_whom_to_ask(world: World) -> None:
    async with world.folding():
        assert (await world.book(prefer="wait=5", units=6)).reason == "units_over_limit"
        assert (await world.book(prefer="wait=5")).status == 201
        heard = await world.book(prefer="wait=5")
    assert heard.status == 409
    assert heard.reason == "already_reserved"
    assert heard.json["how_to_appeal"] == APPEAL
    assert heard.json["state"] == "rejected"


async def test_a_full_slot_says_how_much_is_left(world: World) -> None:
    world.write(0, c.ChangeQuota(id="quota-change-001", campaign=CAMPAIGN, slot="s-1", change=-97))
    async with world.folding():
        heard = await world.book(prefer="wait=5")
    assert (heard.reason, heard.json["left"]) == ("slot_full", 3)


@pytest.mark.parametrize(("transition", "reason"), [(c.Pause, "paused"), (c.Close, "campaign_closed")])
async def test_a_campaign_that_takes_no_bookings_says_so(
    world: World, transition: type[c.Command], reason: str
) -> None:
    world.transition(transition)
    async with world.folding():
        assert (await world.book(prefer="wait=5")).reason == reason


# -- the same again -----------------------------------------------------------------------------------------------


async def test_the_same_key_and_body_is_the_same_reservation_with_its_state_of_now(world: World) -> None:
    async with world.folding():
        first = await world.book(key="one", prefer="wait=5")
        again = await world.book(
            key="one", prefer="wait=5", document="１１０１０５ 19491231 002x", phone="138-0000-0000"
        )
        assert again.status == 201
        assert again.json["id"] == first.json["id"]
        assert again.json["pass"] == first.json["pass"]
        await world.ask("DELETE", f"/v1/reservations/{first.json['id']}?wait=5")
        later = await world.book(key="one", prefer="wait=5")
    assert (later.status, later.json["state"]) == (200, "cancelled")


async def test_a_refused_reservation_asked_again_is_refused_again(world: World) -> None:
    async with world.folding():
        first = await world.book(key="one", prefer="wait=5", units=6)
        again = await world.book(key="one", prefer="wait=5", units=6)
    assert (first.status, again.status) == (409, 409)
    assert again.reason == "units_over_limit"


@pytest.mark.parametrize("change", [{"units": 2}, {"slot": "s-2"}, {"phone": "+8613900000000"}])
async def test_the_same_key_with_another_body_is_told(world: World, change: dict[str, object]) -> None:
    async with world.folding():
        await world.book(key="one", prefer="wait=5")
        heard = await world.book(key="one", prefer="wait=5", **change)
    assert (heard.status, heard.reason) == (422, "idempotency_key_reused")


async def test_a_key_whose_wish_named_nothing_that_is_there_is_not_used_up(world: World) -> None:
    end = world.end(1)
    for change in ({"campaign": "gz-2020-03"}, {"campaign": "gz-2020-03"}):
        assert (await world.book(key="one", prefer="wait=5", **change)).reason == "unknown_campaign"
    assert world.end(1) == end
    await world.apply(campaign("gz-2020-03"), partition=1)
    async with world.folding(1):
        unknown = [await world.book(key="one", prefer="wait=5", campaign="gz-2020-03", slot="s-9") for _ in range(2)]
        booked = [await world.book(key="one", prefer="wait=5", campaign="gz-2020-03") for _ in range(2)]
    assert [heard.reason for heard in unknown] == ["unknown_slot", "unknown_slot"]
    assert [heard.status for heard in booked] == [201, 201]
    assert booked[0].json["id"] == booked[1].json["id"]


async def test_whatever_a_door_lets_through_the_fold_knows(world: World) -> None:
    """A campaign is offered only once the fold has sealed it, so no wish stands in the log before its definition."""
    half = campaign("half")
    ContactKeys(world.secrets.contact_folder).create("half", date.fromisoformat(half.deletion_day))
    world.write(1, *written(half)[:-1], c.Open(id="open-too-early-1", campaign="half"))
    world.model.fold(1)
    assert (await world.book(campaign="half")).reason == "unknown_campaign"
    world.write(1, *written(half)[-1:], c.Open(id="open-in-time-001", campaign="half"))
    end = world.end(1)
    heard = await world.book(campaign="half")  # written, not folded
    assert (heard.reason, world.end(1)) == ("unknown_campaign", end)
    world.model.fold(1)
    async with world.folding(1):
        assert (await world.book(campaign="half", prefer="wait=5")).status == 201


async def test_twenty_refusals_of_one_person_are_enough(world: World) -> None:
    async with world.folding():
        reasons = [(await world.book(prefer="wait=5", units=6)).reason for _ in range(21)]
    assert reasons == ["units_over_limit"] * 20 + ["too_many_tries"]


# -- bad input ----------------------------------------------------------------------------------------------------

WRONG = [
    ({"units": 0}, 400, "malformed", "units"),
    ({"units": "5"}, 400, "malformed", "units"),
    ({"units": 5.5}, 400, "malformed", "units"),
    ({"units": 0.0}, 400, "malformed", "units"),
    ({"units": 10**30}, 400, "malformed", "units"),
    ({"units": None}, 400, "malformed", "units"),
    ({"units": ...}, 400, "malformed", "units"),
    ({"phone": ...}, 400, "malformed", "phone"),
    ({"resident": {"document_type": "passport"}}, 400, "malformed", "resident.document_number"),
    ({"resident": {"document_type": "tarot", "document_number": "E1"}}, 400, "malformed", "resident.document_type"),
    ({"surprise": 1}, 400, "malformed", "surprise"),
    ({"document": "110105194912310021"}, 409, "document_invalid", "resident.document_number"),
    ({"document": "1" * 65}, 400, "malformed", "resident.document_number"),
    ({"phone": "110"}, 400, "phone_invalid", "phone"),
    ({"document_type": "military_id", "document": "军字第1234567号"}, 400, "document_type_not_accepted", None),
    ({"campaign": "nowhere"}, 404, "unknown_campaign", None),
    ({"slot": "s-3"}, 404, "unknown_slot", None),
]  # fmt: skip


@pytest.mark.parametrize(("change", "status", "reason", "field"), WRONG, ids=str)
async def test_what_is_wrong_with_a_booking_is_named_and_nothing_is_written(
    world: World, change: dict[str, object], status: int, reason: str, field: str | None
) -> None:
    end = world.end()
    heard = await world.book(**change)
    assert (heard.status, heard.reason, heard.json.get("field")) == (status, reason, field)
    assert world.end() == end


async def test_a_client_that_writes_five_as_5_0_books_five_and_it_is_the_same_wish(world: World) -> None:
    async with world.folding():
        first = await world.book(key="one", prefer="wait=5", units=5.0)
        again = await world.book(key="one", prefer="wait=5", units=5)
    assert (first.status, again.status) == (201, 201)
    assert first.json["id"] == again.json["id"]
    assert first.json["units"] == 5


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 5_000, b"\xff\xfe", b'{"campaign": "x"' + b" " * 100, b"null"], ids=repr
)
async def test_a_body_that_is_no_booking_is_told(world: World, body: bytes) -> None:
    heard = await world.ask("POST", "/v1/reservations", data=body, headers={"Idempotency-Key": "k"})
    assert (heard.status, heard.reason) == (400, "malformed")


async def test_a_body_above_16_kib_is_refused(world: World) -> None:
    heard = await world.ask("POST", "/v1/reservations", data=b" " * 16_385, headers={"Idempotency-Key": "k"})
    assert (heard.status, heard.reason) == (413, "too_large")


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "idempotency_key_required"),
        ({"Idempotency-Key": ""}, "malformed"),
        ({"Idempotency-Key": "k" * 65}, "malformed"),
        ({"Idempotency-Key": "two words"}, "malformed"),
    ],
)
async def test_a_key_is_needed(world: World, headers: dict[str, str], reason: str) -> None:
    heard = await world.ask("POST", "/v1/reservations", json=wish(), headers=headers)
    assert (heard.status, heard.reason) == (400, reason)


async def test_a_refusal_is_told_in_the_language_of_the_reader(world: World) -> None:
    titles = []
    for accepted in ("zh-CN", "zh-TW", "en", "fr"):
        heard = await world.ask("GET", "/v1/campaigns/nowhere", headers={"Accept-Language": accepted})
        assert heard.reason == "unknown_campaign"
        titles.append(heard.json["title"])
    assert len(set(titles)) == 3
    assert titles[2] == titles[3]  # English for whoever reads none of ours


# -- when something is away ---------------------------------------------------------------------------------------


async def test_a_log_that_is_away_is_told_before_anything_is_kept(world: World) -> None:
    world.producer.is_down = True
    heard = await world.book()
    assert (heard.status, heard.reason) == (503, "log_unavailable")
    assert int(heard.headers["Retry-After"]) >= 1


async def test_an_acknowledgement_that_fails_is_unknown_and_never_failed(world: World) -> None:
    world.producer.fails_after_writing = True
    heard = await world.book(key="same")
    assert (heard.status, heard.reason) == (504, "unknown_outcome")
    world.producer.fails_after_writing = False
    async with world.folding():
        while (again := await world.book(key="same", prefer="wait=5")).status == 503:
            await asyncio.sleep(0.02)  # the log is looked at again in growing pauses
    assert again.status == 201


async def test_without_redis_bookings_are_still_taken_and_their_place_is_not_guessed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "FRESH_S", 0.0)  # what was read before Redis went is old
    world.model.is_down = True
    heard = await world.book(prefer="wait=5")
    assert heard.status == 202
    assert heard.json["ahead"] is None


async def test_a_campaign_that_was_just_applied_can_be_booked_at_once(world: World) -> None:
    await world.apply(campaign("gz-2020-03"), partition=1)
    heard = await world.book(campaign="gz-2020-03")
    assert heard.status == 202
    assert heard.json["id"].startswith("01")


async def test_without_the_key_for_phones_nothing_is_taken(world: World) -> None:
    for key in world.secrets.contact_folder.iterdir():
        key.unlink()
    heard = await world.book()
    assert (heard.status, heard.reason) == (503, "catching_up")
