"""At the counter: what is shown finds its reservation, and is handed out once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.counter.contract import Reservation
from services.domain import commands as c
from services.domain.rows import ReservationState
from services.platform.crypto import base64url
from services.platform.passes import PassSigner
from services.platform.secrets import Secrets
from tests.unit.counter_world import APPEAL, DAY_MS, MIDNIGHT_MS, NOON_MS, SLOTS, CounterWorld, counter, slot


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CounterWorld]:
    async with counter(tmp_path) as world:
        yield world


# -- the pass ----------------------------------------------------------------------------------------------------------


async def test_a_pass_is_handed_out_and_the_answer_says_how_many(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001", units=5)
    heard = await till.picks_up(anna)
    assert heard.status == 200
    told = Reservation(**heard.json)
    assert (told.state, told.units, told.campaign, told.slot) == ("picked_up", 5, "gz-2020-02", "s-morning")
    assert (told.starts_at, told.ends_at) == ("2020-02-01T09:00:00+08:00", "2020-02-01T13:00:00+08:00")
    assert told.pharmacy_name == "Yong'an pharmacy"
    assert told.picked_up_at.startswith("2020-02-01T12:0")
    assert world.row(anna).state == ReservationState.PICKED_UP


async def test_the_same_key_gets_the_same_answer_and_another_key_hears_when_and_where(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    first = await till.picks_up(anna, key="once")
    again = await till.picks_up(anna, key="once")
    assert (again.status, again.json) == (200, first.json)
    other = await till.picks_up(anna, key="twice")
    assert (other.status, other.reason) == (409, "already_picked_up")
    assert other.json["when"] == first.json["picked_up_at"]
    assert (other.json["pharmacy"], other.json["terminal"]) == ("p-1", "till-1")
    assert other.json["how_to_appeal"] == APPEAL


async def test_a_repeat_is_answered_as_the_first_time_also_after_an_undo(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    await till.picks_up(anna, key="once")
    await till.post(f"/v1/pickups/{anna.pass_no}/undo", {"why": "slip"})
    again = await till.picks_up(anna, key="once")
    assert (again.status, again.json["state"]) == (200, "picked_up")
    assert world.row(anna).state == ReservationState.CONFIRMED


async def test_another_pharmacy_hears_which_one_it_is(world: CounterWorld) -> None:
    till, anna = await world.paired("till-2", "p-2"), world.books("A0000001")
    heard = await till.picks_up(anna)
    assert (heard.status, heard.reason) == (409, "other_pharmacy")
    assert (heard.json["pharmacy"], heard.json["pharmacy_name"]) == ("p-1", "Yong'an pharmacy")


async def test_the_wrong_day_is_answered_with_the_right_time(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001", "s-tomorrow")
    heard = await till.picks_up(anna)
    assert (heard.status, heard.reason) == (409, "wrong_time")
    assert heard.json["starts_at"] == "2020-02-02T09:00:00+08:00"
    world.time_is(NOON_MS + DAY_MS)
    assert (await till.picks_up(anna)).status == 200


async def test_what_its_owner_cancelled_is_not_handed_out(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    shown = world.pass_of(anna)
    world.time_is(NOON_MS + 60_000)
    world.cancels(anna)
    for n in range(2):  # when it was cancelled, however often it was shown since
        world.time_is(NOON_MS + (5 + n) * 60_000)
        heard = await till.post("/v1/pickups", {"pass": shown})
        assert (heard.status, heard.reason) == (409, "cancelled")
        assert heard.json["when"].startswith("2020-02-01T12:03")  # the log's clock is 120 s past the tick of 12:01


@pytest.mark.parametrize("edit", [lambda text: text[:-2], lambda text: text.replace("M1", "M2"), lambda _: "hello"])
async def test_a_torn_or_changed_pass_is_not_known(world: CounterWorld, edit: object) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    assert callable(edit)
    heard = await till.post("/v1/pickups", {"pass": edit(world.pass_of(anna))})
    assert (heard.status, heard.reason) == (404, "unknown_pass")
    assert world.row(anna).state == ReservationState.CONFIRMED


async def test_a_pass_whose_reservation_was_deleted_on_its_day_is_not_known_and_the_answer_says_why(
    world: CounterWorld,
) -> None:
    delete_ms = MIDNIGHT_MS + 3 * DAY_MS
    await world.applies(*SLOTS, campaign="over", delete_ms=delete_ms)
    till, anna = await world.paired(), world.books("A0000001", campaign="over")
    shown = world.pass_of(anna)
    world.cancels(anna)
    world.time_is(delete_ms)
    world.time_is(delete_ms)  # a tick is believed from the next record on
    world.write(c.Purge(campaign="over", pass_nos=[anna.pass_no]))
    heard = await till.post("/v1/pickups", {"pass": shown})
    assert (heard.status, heard.reason, heard.json["deleted_on"]) == (404, "unknown_pass", "2020-02-16")
    told = await till.post(f"/v1/reservations/{anna.pass_no}/cancel", {"why": "a test"})
    assert told.status == 404


@pytest.mark.safety
async def test_a_pass_that_somebody_else_signed_hands_nothing_out(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    heard = await till.post("/v1/pickups", {"pass": forged(world.pass_of(anna), _another_signer(world))})
    assert heard.reason == "unknown_pass"
    assert world.row(anna).state == ReservationState.CONFIRMED


async def test_a_pass_of_a_key_that_came_while_the_counter_runs_hands_out(
    world: CounterWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    world.secrets = world.secrets.rotate_pass_key()
    monkeypatch.setattr("services.platform.pass_keys.LOOK_AGAIN_S", 0.0)  # two seconds later
    assert (await till.post("/v1/pickups", {"pass": world.pass_of(anna)})).status == 200


@pytest.mark.control
async def test_without_the_check_of_signatures_the_forged_pass_hands_out(
    world: CounterWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    text = forged(world.pass_of(anna), _another_signer(world))
    monkeypatch.setattr(
        "services.platform.pass_keys.PassKeys.verify", lambda _self, _text: Claimed(anna.pass_no), raising=True
    )
    assert (await till.post("/v1/pickups", {"pass": text})).status == 200


class Claimed:
    """What the pass claims."""

    def __init__(self, pass_no: str) -> None:
        self.pass_no, self.pharmacy = pass_no, "p-1"


def _another_signer(world: CounterWorld) -> PassSigner:
    return Secrets.create(world.secrets.contact_folder.parents[1] / "another").pass_signer()


def forged(text: str, signer: PassSigner) -> str:
    """The same claims, signed with another key that says it is ours."""
    signed = text.rpartition(".")[0]
    return f"{signed}.{base64url(signer._key.sign(signed.encode()))}"


async def test_a_pass_of_another_region_is_sent_to_its_pharmacy_if_it_names_one(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    text = world.pass_of(anna, pharmacy="far-away")
    world.folded.reader.states[1].rows.pop(f"r:{anna.pass_no}")
    heard = await till.post("/v1/pickups", {"pass": text})
    assert (heard.status, heard.reason, heard.json["pharmacy"]) == (409, "other_pharmacy", "far-away")


# -- the short code ----------------------------------------------------------------------------------------------------


async def test_the_short_code_with_the_last_four_hands_out(world: CounterWorld) -> None:
    till = await world.paired()
    people = [world.books(f"A000{n:04d}", units=1) for n in range(40)]  # more than one chunk of the day's list
    for booking in (people[0], people[31], people[32], people[39]):
        shown = {"short_code": world.short_code(booking), "document_last4": booking.last4}
        heard = await till.post("/v1/pickups", shown)
        assert (heard.status, heard.json["pass_no"]) == (200, booking.pass_no)


async def test_the_last_four_may_be_typed_small_or_wide(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A00000012X")
    heard = await till.post("/v1/pickups", {"short_code": world.short_code(anna), "document_last4": "０12ｘ"})
    assert heard.status == 200


async def test_the_right_code_with_somebody_elses_document_is_not_known(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    heard = await till.post("/v1/pickups", {"short_code": world.short_code(anna), "document_last4": "0002"})
    assert (heard.status, heard.reason) == (404, "unknown_pass")


async def test_a_code_of_tomorrow_is_answered_with_its_time(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001", "s-tomorrow")
    code = world.short_code(anna, day="2020-02-02")
    heard = await till.post("/v1/pickups", {"short_code": code, "document_last4": anna.last4})
    assert (heard.status, heard.reason) == (409, "wrong_time")
    assert heard.json["starts_at"] == "2020-02-02T09:00:00+08:00"


@pytest.mark.safety
async def test_five_wrong_codes_lock_the_terminal_for_short_codes_and_no_other(world: CounterWorld) -> None:
    till, other = await world.paired(), await world.paired("till-2", "p-1")
    anna, bo = world.books("A0000001"), world.books("A0000002")
    right = {"short_code": world.short_code(anna), "document_last4": anna.last4}
    for guess in range(5):
        wrong = await till.post("/v1/pickups", right | {"document_last4": f"999{guess}"})
        assert wrong.reason == "unknown_pass"
    locked = await till.post("/v1/pickups", right)
    assert (locked.status, locked.reason) == (429, "terminal_locked")
    assert 1 <= int(locked.headers["Retry-After"]) <= 60
    assert (await till.picks_up(bo)).status == 200
    assert (await other.post("/v1/pickups", right)).status == 200


@pytest.mark.control
async def test_without_the_lock_a_sixth_guess_is_heard(world: CounterWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.counter.lockout.WRONG_TRIES", 1_000_000)
    monkeypatch.setattr("services.counter.lockout.Lockout.check", lambda *_: None)
    till, anna = await world.paired(), world.books("A0000001")
    right = {"short_code": world.short_code(anna), "document_last4": anna.last4}
    for guess in range(5):
        await till.post("/v1/pickups", right | {"document_last4": f"999{guess}"})
    assert (await till.post("/v1/pickups", right)).status == 200


# -- the document ------------------------------------------------------------------------------------------------------


async def test_the_document_hands_out_what_its_holder_has(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    heard = await till.post("/v1/pickups", {**anna.shown, "document_number": " a-000 0001 "})
    assert (heard.status, heard.json["pass_no"]) == (200, anna.pass_no)
    command = world.folded.commands(1, c.PickUp)[-1]
    assert isinstance(command, c.PickUp)
    assert command.shown == "document"


async def test_of_several_bookings_the_one_for_here_and_now_is_handed_out(world: CounterWorld) -> None:
    await world.applies(slot("s-later", day=1), slot("s-second", "p-2"), campaign="gz-second")
    await world.applies(slot("s-third"), campaign="gz-third")
    world.books("A0000001", "s-tomorrow")
    world.books("A0000001", "s-second", campaign="gz-second")
    here = world.books("A0000001", "s-third", campaign="gz-third")
    till = await world.paired()
    heard = await till.post("/v1/pickups", here.shown)
    assert (heard.status, heard.json["pass_no"]) == (200, here.pass_no)


@pytest.mark.safety
async def test_a_repeat_by_document_never_hands_out_a_second_booking(world: CounterWorld) -> None:
    await world.applies(slot("s-second", hour=15), campaign="gz-second")
    first = world.books("A0000001")
    second = world.books("A0000001", "s-second", campaign="gz-second")
    till = await world.paired()
    answers = [await till.post("/v1/pickups", first.shown, key="once") for _ in range(2)]
    assert [heard.status for heard in answers] == [200, 200]
    assert answers[0].json == answers[1].json
    states = {world.row(each).state for each in (first, second)}
    assert states == {ReservationState.PICKED_UP, ReservationState.CONFIRMED}


@pytest.mark.control
async def test_without_the_memory_of_the_key_a_repeat_hands_out_both(
    world: CounterWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.applies(slot("s-second", hour=15), campaign="gz-second")
    first = world.books("A0000001")
    second = world.books("A0000001", "s-second", campaign="gz-second")
    till = await world.paired()
    monkeypatch.setattr("services.counter.showing.pick_up_id", lambda *_: "forgotten")
    for _ in range(2):
        await till.post("/v1/pickups", first.shown, key="once")
    assert {world.row(each).state for each in (first, second)} == {ReservationState.PICKED_UP}


async def test_somebody_who_booked_nothing_is_not_known(world: CounterWorld) -> None:
    till = await world.paired()
    heard = await till.post("/v1/pickups", {"document_type": "passport", "document_number": "A0000009"})
    assert (heard.status, heard.reason) == (404, "unknown_pass")


async def test_a_document_number_that_cannot_be_is_answered_without_repeating_it(world: CounterWorld) -> None:
    till = await world.paired()
    for path in ("/v1/pickups", "/v1/lookups"):
        heard = await till.post(path, {"document_type": "cn_resident_id", "document_number": "110105194912310021"})
        assert (heard.status, heard.reason) == (409, "document_invalid")
        assert "1101051949" not in heard.text


# -- undo, look-up, cancel ---------------------------------------------------------------------------------------------


async def test_a_slip_of_the_hand_is_taken_back_by_the_same_terminal(world: CounterWorld) -> None:
    till, other = await world.paired(), await world.paired("till-2", "p-1")
    anna = world.books("A0000001")
    await till.picks_up(anna)
    refused = await other.post(f"/v1/pickups/{anna.pass_no}/undo", {"why": "slip"})
    assert (refused.status, refused.reason) == (409, "other_terminal")
    heard = await till.post(f"/v1/pickups/{anna.pass_no}/undo", {"why": "slip"})
    assert (heard.status, heard.json["state"]) == (200, "confirmed")
    again = await till.post(f"/v1/pickups/{anna.pass_no}/undo", {"why": "slip"})
    assert (again.status, again.reason) == (409, "not_picked_up")


async def test_after_five_minutes_nothing_is_taken_back(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    await till.picks_up(anna)
    world.time_is(NOON_MS + 10 * 60_000)
    heard = await till.post(f"/v1/pickups/{anna.pass_no}/undo", {"why": "slip"})
    assert (heard.status, heard.reason) == (409, "undo_too_late")


async def test_a_key_is_not_mixed_up_between_calls(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    await till.picks_up(anna, key="one")
    heard = await till.post(f"/v1/pickups/{anna.pass_no}/undo", {"why": "slip"}, key="one")
    assert heard.json["state"] == "confirmed"


async def test_a_look_up_finds_everything_that_a_document_has(world: CounterWorld) -> None:
    await world.applies(slot("s-second", "p-2"), campaign="gz-second")
    here, there = world.books("A0000001"), world.books("A0000001", "s-second", campaign="gz-second")
    world.cancels(world.books("A0000002"))
    till = await world.paired()
    await till.picks_up(here)
    heard = await till.post("/v1/lookups", here.shown)
    assert heard.status == 200
    found = {each["pass_no"]: (each["state"], each["pharmacy"]) for each in heard.json["reservations"]}
    assert found == {here.pass_no: ("picked_up", "p-1"), there.pass_no: ("confirmed", "p-2")}
    nobody = await till.post("/v1/lookups", {"document_type": "passport", "document_number": "A0000002"})
    assert nobody.json == {"reservations": []}


async def test_what_an_impostor_booked_is_cancelled_for_its_owner_who_may_book_again(world: CounterWorld) -> None:
    till, stolen = await world.paired(), world.books("A0000001")
    heard = await till.post(f"/v1/reservations/{stolen.pass_no}/cancel", {"why": "not booked by the holder"})
    assert (heard.status, heard.json["state"]) == (200, "cancelled")
    assert world.row(world.books("A0000001")).state == ReservationState.CONFIRMED
    command = world.folded.commands(1, c.Cancel)[-1]
    assert isinstance(command, c.Cancel)
    assert (command.terminal, command.why) == ("till-1", "not booked by the holder")


async def test_what_was_handed_out_is_not_cancelled(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    await till.picks_up(anna)
    heard = await till.post(f"/v1/reservations/{anna.pass_no}/cancel", {"why": "please"})
    assert (heard.status, heard.reason) == (409, "already_picked_up")


@pytest.mark.parametrize("pass_no", ["x" * 16, "short", "x" * 17, "%00", "a b", "p\u00e4ss-nummer-1234"])
async def test_a_pass_number_that_nobody_has_is_not_known(world: CounterWorld, pass_no: str) -> None:
    till = await world.paired()
    for path in (f"/v1/pickups/{pass_no}/undo", f"/v1/reservations/{pass_no}/cancel"):
        heard = await till.post(path, {"why": "x"})
        assert (heard.status, heard.reason) == (404, "unknown_reservation")


@pytest.mark.parametrize("shown_as", ["document", "short_code"])
async def test_a_campaign_that_the_counter_has_not_looked_at_yet_is_handed_out_all_the_same(
    world: CounterWorld, shown_as: str
) -> None:
    till = await world.paired()
    await world.applies(slot("s-new"), campaign="gz-new", looked_at=False)
    anna = world.books("A0000001", "s-new", campaign="gz-new")
    code = {"short_code": world.short_code(anna), "document_last4": anna.last4}
    heard = await till.post("/v1/pickups", anna.shown if shown_as == "document" else code)
    assert (heard.status, heard.json["pass_no"]) == (200, anna.pass_no)


async def test_a_look_up_in_the_first_second_of_a_campaign_finds_what_was_booked(world: CounterWorld) -> None:
    till = await world.paired()
    await world.applies(slot("s-new"), campaign="gz-new", looked_at=False)
    anna = world.books("A0000001", "s-new", campaign="gz-new")
    heard = await till.post("/v1/lookups", anna.shown)
    assert [each["pass_no"] for each in heard.json["reservations"]] == [anna.pass_no]


async def test_no_document_goes_into_the_log(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A7654321")
    await till.post("/v1/pickups", anna.shown)
    await till.post("/v1/lookups", anna.shown)
    text = "".join(c.encode(command).decode() for command in world.folded.commands(1))
    assert "A7654321" not in text
    assert till.token not in text


async def test_midnight_belongs_to_the_day_that_begins(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001", "s-tomorrow")
    code = {"short_code": world.short_code(anna, day="2020-02-02"), "document_last4": anna.last4}
    world.time_is(MIDNIGHT_MS + DAY_MS)
    assert (await till.post("/v1/pickups", code)).status == 200
