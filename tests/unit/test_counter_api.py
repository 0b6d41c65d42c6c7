"""The counter's contract: what is refused before anything is done, and what is said when log or state are away."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.counter.main import CounterSettings, TillSettings
from services.platform.crypto import from_base64url
from services.platform.metrics import REFUSED_BEFORE_LOG
from services.platform.passes import PassVerifier
from services.platform.settings import build
from services.state.errors import CatchingUpError, StateUnavailableError
from tests.unit.counter_world import CounterWorld, counter


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CounterWorld]:
    async with counter(tmp_path, TillSettings(decision_timeout_s=0.2)) as world:
        yield world


# -- what is refused before anything is done ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"pass": "x", "short_code": "12345678"}, ""),
        ({"short_code": "12345678"}, ""),
        ({"document_type": "passport"}, ""),
        ({"pass": None}, "pass"),
        ({"pass": ""}, "pass"),
        ({"pass": "x" * 300}, "pass"),
        ({"short_code": "1234567", "document_last4": "0001"}, "short_code"),
        ({"short_code": 12345678, "document_last4": "0001"}, "short_code"),
        ({"short_code": "12345678", "document_last4": "001"}, "document_last4"),
        ({"document_type": "library_card", "document_number": "1"}, "document_type"),
        ({"pass": "x", "pharmacy": "p-1"}, "pharmacy"),
        ([], ""),
    ],
)
async def test_what_is_shown_is_exactly_one_thing(world: CounterWorld, body: Any, field: str) -> None:
    heard = await (await world.paired()).post("/v1/pickups", body)
    assert (heard.status, heard.reason, heard.json["field"]) == (400, "malformed", field)


CALLS = {
    "/v1/pickups": 16 * 1024,
    "/v1/pickups/AbC_-6UZvbbbYyiX/undo": 16 * 1024,
    "/v1/pickups/batch": 1024 * 1024,
    "/v1/lookups": 16 * 1024,
    "/v1/reservations": 16 * 1024,
    "/v1/reservations/AbC_-6UZvbbbYyiX/cancel": 16 * 1024,
    "/v1/slots/s-morning/quota": 16 * 1024,
    "/v1/terminals": 16 * 1024,
}
"""Every call with a body, and how many bytes it may have."""


@pytest.mark.parametrize("path", CALLS)
async def test_garbage_is_answered_in_words_and_nothing_is_done(world: CounterWorld, path: str) -> None:
    till = await world.paired()
    before = len(world.folded.values(1))
    headers = {"Authorization": f"Bearer {till.token}", "Idempotency-Key": "k"}
    deep = [b"[" * 15_000, b'{"a":' * 3_000]
    for content in (b"", b"{", b"\xff", b"null", b"[]", b"7", *deep, b'{"why":["x"]}', b'{"colour":1}'):
        heard = await world.ask("POST", path, data=content, headers=headers)
        assert (heard.status, heard.reason) == (400, "malformed"), content[:20]
    heard = await world.ask("POST", path, data=io.BytesIO(b" " * (CALLS[path] + 1)), headers=headers)
    assert (heard.status, heard.reason) == (413, "too_large")
    assert len(world.folded.values(1)) == before


async def test_whatever_changes_something_needs_a_key_and_a_token(world: CounterWorld) -> None:
    till = await world.paired()
    for path in ("/v1/pickups", f"/v1/pickups/{'x' * 16}/undo", f"/v1/reservations/{'x' * 16}/cancel",
                 "/v1/slots/s-morning/quota", "/v1/reservations", "/v1/pickups/batch"):  # fmt: skip
        signed_in = {"Authorization": f"Bearer {till.token}"}
        assert (await world.ask("POST", path, json={}, headers=signed_in)).reason == "idempotency_key_required"
        assert (await world.ask("POST", path, json={}, headers={"Idempotency-Key": "k"})).reason == "unauthorized"
        bad_key = signed_in | {"Idempotency-Key": "x" * 65}
        assert (await world.ask("POST", path, json={}, headers=bad_key)).json["field"] == "Idempotency-Key"
    assert (await world.ask("POST", "/v1/terminals", json={"pairing_code": "x"})).reason == "idempotency_key_required"
    assert (await world.ask("POST", "/v1/lookups", json={})).reason == "unauthorized"


async def test_a_method_that_a_path_has_not_is_405_and_a_path_that_is_not_there_404(world: CounterWorld) -> None:
    heard = await world.ask("DELETE", "/v1/pickups")
    assert (heard.status, heard.headers["Allow"]) == (405, "POST")
    assert (await world.ask("POST", "/v1/nothing", json={})).reason == "not_found"


async def test_refusals_speak_the_language_of_the_terminal(world: CounterWorld) -> None:
    till = await world.paired()
    heard = await till.post("/v1/pickups", {"pass": "x"}, **{"Accept-Language": "zh-TW"})
    assert heard.json["title"] != (await till.post("/v1/pickups", {"pass": "x"})).json["title"]


# -- keys --------------------------------------------------------------------------------------------------------------


async def test_the_published_keys_verify_passes_without_a_network(world: CounterWorld) -> None:
    anna = world.books("A0000001")
    heard = await world.ask("GET", "/v1/keys")
    assert heard.status == 200
    verifier = PassVerifier([from_base64url(key["public_key"]) for key in heard.json["keys"]])
    assert verifier.verify(world.pass_of(anna)).pass_no == anna.pass_no
    assert heard.headers["Cache-Control"] == "public, max-age=60"


# -- when log or state are away ----------------------------------------------------------------------------------------


async def test_what_the_log_did_not_take_is_refused_and_may_be_tried_again(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    world.folded.producer.is_down = True
    heard = await till.picks_up(anna, key="k")
    assert (heard.status, heard.reason) == (503, "log_unavailable")
    assert int(heard.headers["Retry-After"]) >= 1
    assert world.row(anna).state == 1


async def test_what_the_log_may_have_is_unknown_and_the_same_key_tells(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    world.folded.producer.fails_after_writing = True
    heard = await till.picks_up(anna, key="k")
    assert (heard.status, heard.reason) == (504, "unknown_outcome")
    world.folded.producer.fails_after_writing = False
    for _ in range(50):  # the log is asked again in growing pauses
        heard = await till.picks_up(anna, key="k")
        if heard.status == 200:
            break
        await asyncio.sleep(0.05)
    assert heard.status == 200
    assert len(world.row(anna).history) == 1


async def test_what_is_not_decided_in_time_is_unknown(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    shown = {"pass": world.pass_of(anna)}
    world.folded.reader.held = True
    heard = await till.post("/v1/pickups", shown, key="k")
    assert (heard.status, heard.reason) == (504, "unknown_outcome")
    world.folded.reader.held = False
    assert (await till.post("/v1/pickups", shown, key="k")).status == 200


@pytest.mark.parametrize(
    "error", [StateUnavailableError(what="TimeoutError"), CatchingUpError(partition=1, position=3, seen=9)]
)
async def test_a_state_that_cannot_be_read_is_503_before_the_log_and_unknown_after_it(
    world: CounterWorld, error: Exception
) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    shown = {"pass": world.pass_of(anna)}
    assert (await till.get("/v1/today")).status == 200
    world.folded.reader.error = error  # type: ignore[assignment]
    looked_up = await till.post("/v1/lookups", anna.shown)
    assert (looked_up.status, looked_up.reason) == (503, "catching_up")
    heard = await till.post("/v1/pickups", shown, key="k")
    assert (heard.status, heard.reason) == (504, "unknown_outcome")
    world.folded.reader.error = None
    assert (await till.post("/v1/pickups", shown, key="k")).status == 200
    assert len(world.row(anna).history) == 1


async def test_a_token_that_cannot_be_checked_now_is_not_called_wrong(world: CounterWorld) -> None:
    till = await world.paired()
    world.folded.reader.error = StateUnavailableError(what="TimeoutError")
    assert (await till.get("/v1/today")).reason == "catching_up"


async def test_more_than_may_wait_are_refused_before_their_body_is_read(tmp_path: Path) -> None:
    async with counter(tmp_path, TillSettings(max_in_flight=1, decision_timeout_s=1.0)) as world:
        till, anna = await world.paired(), world.books("A0000001")
        shown = {"pass": world.pass_of(anna)}
        await till.get("/v1/today")
        world.folded.reader.held = True
        first = asyncio.create_task(till.post("/v1/pickups", shown))
        await asyncio.sleep(0.1)
        counted = REFUSED_BEFORE_LOG.counts["overloaded",]
        heard = await till.post("/v1/pickups", {"not": "read"})
        assert (heard.status, heard.reason) == (503, "overloaded")
        assert REFUSED_BEFORE_LOG.counts["overloaded",] == counted + 1
        world.folded.reader.held = False
        assert (await first).status == 200


# -- the description ---------------------------------------------------------------------------------------------------


async def test_every_answer_of_the_day_is_described(world: CounterWorld) -> None:
    heard = await world.ask("GET", "/openapi.json")
    paths = heard.json["paths"]
    assert set(paths) == {
        "/v1/terminals",
        "/v1/keys",
        "/v1/pickups",
        "/v1/pickups/batch",
        "/v1/pickups/{pass_no}/undo",
        "/v1/lookups",
        "/v1/reservations",
        "/v1/reservations/{pass_no}/cancel",
        "/v1/slots",
        "/v1/slots/{slot}/quota",
        "/v1/today",
    }
    assert heard.json["openapi"] == "3.1.0"
    assert (await world.ask("GET", "/livez")).status == 200
    assert (await world.ask("GET", "/readyz")).status == 200
    assert (await world.ask("GET", "/metrics")).status == 404


def test_the_settings_are_one_flat_list_of_options() -> None:
    settings = build(CounterSettings, {"port": 0, "decision_timeout_s": 3.0, "max_connections": 10})
    assert isinstance(settings, CounterSettings)
    assert (settings.port, settings.till.decision_timeout_s, settings.http.max_connections) == (0, 3.0, 10)
    assert any(line.startswith("secure_cookies") for line in settings.lines())
    assert msgspec.structs.asdict(settings.till)["max_in_flight"] == 500
