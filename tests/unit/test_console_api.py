"""The API of the console: who may what, and what comes back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from services.console.users import Role, add_user, remove_user
from services.domain import commands as c
from services.domain.campaign_document import document
from services.platform.identities import Identities
from services.platform.pairing_codes import canonical_pairing_code, pairing_code_digest
from services.platform.secrets import Secrets
from services.state.errors import StateUnavailableError
from tests.unit.campaign_documents import RIGHT, changed, checked
from tests.unit.console_world import ADMIN_TOKEN, NAMES, PASSWORD, ConsoleWorld, console, installation

NAME = "gz-2020-02"
CAMPAIGN = checked(dict(RIGHT))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installation(tmp_path_factory.mktemp("installation"))


@pytest.fixture
async def world(data: Path, tmp_path: Path) -> AsyncIterator[ConsoleWorld]:
    async with console(data, tmp_path) as world:
        yield world


# -- signing in --------------------------------------------------------------------------------------------------------


async def test_a_user_signs_in_and_looks(world: ConsoleWorld) -> None:
    token = await world.sign_in(Role.VIEWER)
    assert (await world.get("/v1/campaigns", token=token)).json == {"campaigns": []}


@pytest.mark.parametrize("token", [None, "", "nobody.9999999999.x", ADMIN_TOKEN + "x", "vera.1.x", "a.b.c.d"])
async def test_without_a_token_of_ours_nothing_is_shown(world: ConsoleWorld, token: str | None) -> None:
    for path in ("/v1/campaigns", "/v1/terminals", "/v1/audit", "/v1/live", "/v1/live/now", f"/v1/campaigns/{NAME}"):
        answer = await world.get(path, token=token)
        assert (answer.status, answer.reason) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("user", "password"), [("vera", "another password"), ("nobody", PASSWORD), ("vera", ""), ("", PASSWORD)]
)
async def test_a_wrong_name_or_password_is_refused_in_the_same_words(
    world: ConsoleWorld, user: str, password: str
) -> None:
    answer = await world.post("/v1/session", {"user": user, "password": password}, token=None)
    assert answer.status == (401 if user and password else 400)


async def test_five_wrong_passwords_lock_a_name_for_a_minute(world: ConsoleWorld) -> None:
    for _ in range(5):
        assert (await world.post("/v1/session", {"user": "vera", "password": "wrong"}, token=None)).status == 401
    answer = await world.post("/v1/session", {"user": "vera", "password": PASSWORD}, token=None)
    assert answer.status == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    assert (await world.post("/v1/session", {"user": "olga", "password": PASSWORD}, token=None)).status == 201


async def test_a_user_who_is_removed_is_signed_out_at_once(world: ConsoleWorld) -> None:
    token = await world.sign_in(Role.OPERATOR)
    remove_user(world.data, NAMES[Role.OPERATOR])
    assert (await world.get("/v1/campaigns", token=token)).status == 401
    add_user(world.data, NAMES[Role.OPERATOR], Role.OPERATOR, "another few words")
    assert (await world.get("/v1/campaigns", token=token)).status == 401


async def test_a_cookie_is_enough_for_looking_and_never_for_changing(world: ConsoleWorld) -> None:
    await world.give(CAMPAIGN)
    cookie = f"maskline_session={await world.sign_in(Role.ADMIN)}"
    assert (await world.get("/v1/campaigns", token=None, Cookie=cookie)).status == 200
    answer = await world.post(f"/v1/campaigns/{NAME}/open", {"why": "x"}, token=None, Cookie=cookie)
    assert answer.status == 401


CHANGES = {
    f"/v1/campaigns/{NAME}/open": {"why": "x"},
    f"/v1/campaigns/{NAME}/slots/s-1/quota": {"why": "x", "change": 1},
    f"/v1/campaigns/{NAME}/slots/s-1/withdraw": {"why": "x", "keep": 0},
    f"/v1/campaigns/{NAME}/slots/s-1/withdraw?dry_run=true": {"why": "x", "keep": 0},
    f"/v1/campaigns/{NAME}/slots/s-1/move": {"why": "x", "keep": 0, "to": "s-2"},
    "/v1/terminals": {"pharmacy": "p-1", "why": "x"},
    "/v1/terminals/t-1/revoke": {"why": "x"},
    "/v1/rules": {"version": 1, "why": "x"},
    "/v1/campaigns/apply": dict(RIGHT),
    "/v1/campaigns/apply?dry_run=true": dict(RIGHT),
}


@pytest.mark.safety
@pytest.mark.parametrize("role", [Role.VIEWER, Role.APPEALS])
@pytest.mark.parametrize("path", CHANGES)
async def test_who_may_only_look_changes_nothing(world: ConsoleWorld, role: Role, path: str) -> None:
    await world.give(CAMPAIGN)
    before = len(world.system.commands(0))
    answer = await world.post(path, CHANGES[path], token=await world.sign_in(role))
    assert (answer.status, answer.reason) == (403, "forbidden")
    assert len(world.system.commands(0)) == before


@pytest.mark.control
async def test_with_every_role_allowed_a_viewer_would_change_something(
    world: ConsoleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.give(CAMPAIGN)
    monkeypatch.setattr(Role, "may_change", True)
    token = await world.sign_in(Role.VIEWER)
    assert (await world.post(f"/v1/campaigns/{NAME}/open", {"why": "x"}, token=token)).status == 200


# -- campaigns ---------------------------------------------------------------------------------------------------------


async def test_a_campaign_is_applied_and_shown(world: ConsoleWorld) -> None:
    applied = await world.post("/v1/campaigns/apply?why=first%20round", document(CAMPAIGN))
    assert applied.status == 200
    assert applied.json["change"] == "created"
    listed = (await world.get("/v1/campaigns")).json["campaigns"]
    assert [(one["campaign"], one["units"], one["units_left"], one["slots"]) for one in listed] == [(NAME, 150, 150, 2)]
    assert listed[0]["windows"] == [
        {"opens_at": "2020-02-01T20:00:00+08:00", "closes_at": "2020-02-02T00:00:00+08:00"}
    ]
    whole = (await world.get(f"/v1/campaigns/{NAME}")).json
    assert whole["definition"]["controller"] == RIGHT["controller"]
    assert world.system.every(c.SealDefinition)[0].why == "first round"


async def test_progress_comes_line_by_line(world: ConsoleWorld) -> None:
    answer = await world.post("/v1/campaigns/apply", dict(RIGHT), Accept="application/x-ndjson")
    lines = [msgspec.json.decode(line) for line in answer.text.splitlines()]
    assert [line.get("step") for line in lines] == ["define", "pharmacies", "slots", "seal", None]
    assert lines[-1]["result"]["change"] == "created"
    other = changed("slots", 0, "units", to=7)
    answer = await world.post("/v1/campaigns/apply", other, Accept="application/x-ndjson", Accept_Language="zh-CN")
    (line,) = [msgspec.json.decode(line) for line in answer.text.splitlines()]
    assert line["problem"]["reason"] == "already_defined"
    assert line["problem"]["status"] == 409


async def test_a_campaign_that_was_changed_is_told_as_it_is_now(world: ConsoleWorld) -> None:
    await world.post("/v1/campaigns/apply", dict(RIGHT))
    before = (await world.get(f"/v1/campaigns/{NAME}")).json
    answer = await world.post("/v1/campaigns/apply?why=a%20slip", changed("title", "en", to="Masks for all"))
    assert (answer.status, answer.json["change"]) == (200, "changed")
    after = (await world.get(f"/v1/campaigns/{NAME}")).json
    assert (before["definition"]["title"]["en"], after["definition"]["title"]["en"]) == (
        RIGHT["title"]["en"], "Masks for all"
    )  # fmt: skip
    assert after["numbers"]["title"]["en"] == "Masks for all"
    assert after["numbers"]["revision"] == answer.json["revision"] != before["numbers"]["revision"]
    (newest, *_) = (await world.get("/v1/audit")).json["entries"]
    assert (newest["command"], newest["why"], newest["outcome"]) == ("change_rules", "a slip", "rules_changed")


async def test_a_dry_run_says_what_would_be_done(world: ConsoleWorld) -> None:
    answer = await world.post("/v1/campaigns/apply?dry_run=true", dict(RIGHT))
    assert (answer.json["change"], answer.json["units"], answer.json["commands"]) == ("new", 150, 4)
    assert world.system.commands(0) == []
    assert (await world.post("/v1/campaigns/apply?dry_run=perhaps", dict(RIGHT))).status == 400


async def test_a_document_is_checked_with_everything_that_is_wrong_in_it(world: ConsoleWorld) -> None:
    right = await world.post("/v1/campaigns/check", dict(RIGHT), token=await world.sign_in(Role.VIEWER))
    assert (right.status, right.json["units"], right.json["slots"]) == (200, 150, 2)
    wrong = changed("mode", to="lottery")
    wrong["slots"][0]["pharmacy"] = "p-9"
    answer = await world.post("/v1/campaigns/check", wrong)
    assert answer.reason == "malformed"
    told = "\n".join(f"{problem['field']}: {problem['what']}" for problem in answer.json["problems"])
    assert "mode: `lottery` is not enforced by this version" in told
    assert "p-9" in told


NO_DOCUMENTS = [b"", b"{", b"[]", b"7", b'{"campaign":1}', b"[" * 50_000, b"\xff\xfe", b'"\xed\xa0\x80"']


@pytest.mark.parametrize("body", NO_DOCUMENTS)
async def test_what_is_no_campaign_document_is_refused_in_words(world: ConsoleWorld, body: bytes) -> None:
    for path in ("/v1/campaigns/check", "/v1/campaigns/apply"):
        answer = await world.post(path, body)
        assert (answer.status, answer.reason) == (400, "malformed")


@pytest.mark.parametrize("path", [path for path in CHANGES if "apply" not in path])
async def test_garbage_is_answered_in_words_and_nothing_is_done(world: ConsoleWorld, path: str) -> None:
    await world.give(CAMPAIGN)
    before = len(world.system.commands(0))
    for body in (*NO_DOCUMENTS, b"[" * 16_000, b'{"why":["x"]}', b'{"why":"x","colour":1}'):
        if len(body) <= 16 * 1024:
            answer = await world.post(path, body)
            assert (answer.status, answer.reason) == (400, "malformed"), body[:20]
    assert (await world.post(path, b" " * (16 * 1024 + 1))).status == 413
    assert len(world.system.commands(0)) == before


async def test_a_document_over_16_mib_is_refused(world: ConsoleWorld) -> None:
    answer = await world.post("/v1/campaigns/check", b" " * (16 * 1024 * 1024 + 1))
    assert answer.status == 413


async def test_phases_are_changed_by_hand_with_who_and_why(world: ConsoleWorld) -> None:
    await world.give(CAMPAIGN)
    token = await world.sign_in(Role.OPERATOR)
    for verb, phase in (("open", "open"), ("pause", "paused"), ("resume", "open"), ("close", "closed")):
        answer = await world.post(f"/v1/campaigns/{NAME}/{verb}", {"why": f"to {verb}"}, token=token)
        assert (answer.status, answer.json) == (200, {"campaign": NAME, "phase": phase})
        assert (await world.get("/v1/campaigns")).json["campaigns"][0]["phase"] == phase
    for kind in (c.Open, c.Pause, c.Resume, c.Close):
        (command,) = world.system.every(kind)
        assert (command.actor, command.why) == ("user:olga", f"to {kind.__name__.lower()}")


async def test_a_phase_that_does_not_allow_it_is_named(world: ConsoleWorld) -> None:
    await world.give(CAMPAIGN)
    answer = await world.post(f"/v1/campaigns/{NAME}/pause", {"why": "x"}, Accept_Language="en")
    assert (answer.status, answer.reason, answer.json["phase"]) == (409, "wrong_phase", "scheduled")


async def test_the_same_key_again_changes_nothing_twice(world: ConsoleWorld) -> None:
    await world.give(CAMPAIGN)
    path = f"/v1/campaigns/{NAME}/slots/s-1/quota"
    first = await world.post(path, {"change": 50, "why": "a delivery"}, key="k")
    again = await world.post(path, {"change": 50, "why": "a delivery"}, key="k")
    assert first.json == again.json == {"campaign": NAME, "slot": "s-1", "quota": 150, "left": 150}
    other = await world.post(path, {"change": -150, "why": "all back"}, key="k")
    assert other.json["quota"] == 0


async def test_a_quota_never_falls_below_what_is_given_out(world: ConsoleWorld) -> None:
    document = changed("slots", 0, "starts_at", to="2090-02-03T09:00:00+08:00")
    document["slots"][0]["ends_at"] = "2090-02-03T12:00:00+08:00"  # nobody books in a slot that is over
    await world.give(checked(document))
    await world.post(f"/v1/campaigns/{NAME}/open", {"why": "x"})
    world.system.write(0, c.Reserve(campaign=NAME, slot="s-1", units=3, resident="r" * 16, pass_no="p" * 16,
                                    digest="d" * 8, last4_hash="h" * 8))  # fmt: skip
    answer = await world.post(f"/v1/campaigns/{NAME}/slots/s-1/quota", {"change": -98, "why": "x"})
    assert (answer.reason, answer.json["confirmed"]) == ("below_confirmed", 3)
    slots = (await world.get(f"/v1/campaigns/{NAME}/slots")).json
    assert [(one["slot"], one["taken"], one["left"]) for one in slots["slots"]] == [("s-2", 0, 50), ("s-1", 3, 97)]
    assert (await world.get(f"/v1/campaigns/{NAME}/slots?pharmacy=p-2")).json["total"] == 1
    assert (await world.get(f"/v1/campaigns/{NAME}/slots?first=2")).json == {
        "campaign": NAME, "slots": [], "total": 2, "next": None
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/campaigns/none/open", f"/v1/campaigns/{NAME}/slots/none/quota"])
async def test_what_is_not_there_is_404(world: ConsoleWorld, path: str) -> None:
    await world.give(CAMPAIGN)
    body = {"why": "x", "change": 1} if "quota" in path else {"why": "x"}
    answer = await world.post(path, body)
    assert answer.status == 404


async def test_without_a_key_or_a_reason_nothing_is_changed(world: ConsoleWorld) -> None:
    await world.give(CAMPAIGN)
    before = len(world.system.commands(0))
    for path, body in CHANGES.items():
        assert (await world.post(path, body, key=None)).reason == "idempotency_key_required"
        if isinstance(body, dict) and "why" in body:
            for wrong in ({**body, "why": ""}, {k: v for k, v in body.items() if k != "why"}, {**body, "extra": 1}):
                assert (await world.post(path, wrong)).reason == "malformed"
    assert len(world.system.commands(0)) == before


async def test_a_log_that_is_away_is_told_and_a_late_acknowledgement_is_unknown(world: ConsoleWorld) -> None:
    await world.give(CAMPAIGN)
    world.system.producer.fails_after_writing = True
    answer = await world.post(f"/v1/campaigns/{NAME}/open", {"why": "x"}, key="k")
    assert (answer.status, answer.reason) == (504, "unknown_outcome")
    answer = await world.post(f"/v1/campaigns/{NAME}/close", {"why": "x"})
    assert (answer.status, answer.reason) == (503, "log_unavailable")
    assert "Retry-After" in answer.headers
    world.system.producer.fails_after_writing = False
    while (answer := await world.post(f"/v1/campaigns/{NAME}/open", {"why": "x"}, key="k")).status == 503:
        await asyncio.sleep(0.02)
    assert (answer.status, answer.json["phase"]) == (200, "open")


async def test_a_redis_that_is_away_is_503(world: ConsoleWorld) -> None:
    await world.give(CAMPAIGN)
    world.system.reader.error = StateUnavailableError(what="the test says so")
    for path in ("/v1/terminals", f"/v1/campaigns/{NAME}/slots", "/v1/campaigns/none"):
        answer = await world.get(path)
        assert (answer.status, answer.reason) == (503, "catching_up")


# -- terminals ---------------------------------------------------------------------------------------------------------


async def test_a_terminal_is_invited_with_a_code_that_only_this_answer_has(world: ConsoleWorld) -> None:
    await world.give(CAMPAIGN)
    wish = {"pharmacy": "p-1", "why": "a new counter"}
    first = await world.post("/v1/terminals", wish, key="k")
    again = await world.post("/v1/terminals", wish, key="k")
    assert first.status == 201
    assert first.json == again.json
    code = first.json["pairing_code"]
    assert canonical_pairing_code(code) == code
    identities = Identities(Secrets.load(world.data / "secrets"))
    digest = pairing_code_digest(identities, code)
    assert {invited.code_digest for invited in world.system.every(c.InviteTerminal)} == {digest}
    assert code.encode() not in world.system.values()
    other = await world.post("/v1/terminals", wish)
    assert other.json["pairing_code"] != code
    assert other.json["terminal"] != first.json["terminal"]


async def test_terminals_are_listed_paired_and_revoked(world: ConsoleWorld) -> None:
    await world.give(CAMPAIGN)
    await world.post("/v1/terminals", {"pharmacy": "p-1", "terminal": "till-1", "why": "x"})
    (invited,) = world.system.every(c.InviteTerminal)
    pair = c.PairTerminal(id="p" * 16, code_digest=invited.code_digest, token_digest="t" * 16)
    assert [one["state"] for one in (await world.get("/v1/terminals")).json["terminals"]] == ["invited"]
    world.system.write(0, pair, at_ms=invited.expires_ms - 1_000)
    assert [one["state"] for one in (await world.get("/v1/terminals")).json["terminals"]] == ["paired"]
    revoked = await world.post("/v1/terminals/till-1/revoke", {"why": "stolen"})
    assert (revoked.status, revoked.json["state"]) == (200, "revoked")
    for unknown in ("till-2", "%ff", "%20", "a" * 60):
        assert (await world.post(f"/v1/terminals/{unknown}/revoke", {"why": "x"})).status == 404


async def test_a_name_is_given_once_and_a_pharmacy_must_be_known(world: ConsoleWorld) -> None:
    await world.give(CAMPAIGN)
    wish = {"pharmacy": "p-1", "terminal": "till-1", "why": "x"}
    assert (await world.post("/v1/terminals", wish)).status == 201
    assert (await world.post("/v1/terminals", wish)).reason == "terminal_exists"
    assert (await world.post("/v1/terminals", {**wish, "pharmacy": "p-9"})).status == 404


async def test_a_pharmacy_of_two_regions_needs_its_region(world: ConsoleWorld) -> None:
    await world.give(CAMPAIGN)
    await world.give(checked({**RIGHT, "campaign": "fs-1", "region": "foshan"}), partition=1)
    wish = {"pharmacy": "p-1", "terminal": "till-1", "why": "x"}
    answer = await world.post("/v1/terminals", wish)
    assert (answer.reason, answer.json["field"]) == ("malformed", "region")
    answer = await world.post("/v1/terminals", {**wish, "region": "foshan"})
    assert (answer.status, answer.json["partition"], answer.json["pairing_code"][:3]) == (201, 1, "01-")
    answer = await world.post("/v1/terminals", {**wish, "region": "guangzhou"})
    assert answer.reason == "terminal_exists"
