"""A terminal is paired once, signs in with its token, and is nobody once it is revoked."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.counter.lockout import LOCKED_FOR_S, WITHIN_S, WRONG_TRIES, Lockout
from services.counter.terminals import KNOWN_FOR_S, Token, Tokens, read_token
from services.domain import commands as c
from services.platform.problems import Problem
from tests.unit.counter_world import NOON_MS, CounterWorld, Till, counter


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CounterWorld]:
    async with counter(tmp_path) as world:
        yield world


async def test_a_code_gives_a_token_and_the_token_signs_in(world: CounterWorld) -> None:
    heard = await world.pairs(world.invites("till-1", "p-1"))
    assert heard.status == 201
    assert heard.json == {"token": heard.json["token"], "terminal": "till-1", "pharmacy": "p-1"}
    assert heard.headers["Cache-Control"] == "no-store"
    assert (await Till(world, heard.json["token"]).get("/v1/slots")).json["pharmacy"] == "p-1"


async def test_a_code_may_be_typed_carelessly(world: CounterWorld) -> None:
    code = world.invites("till-1", "p-1")
    assert (await world.pairs(f" {code.lower().replace('-', ' ')} ")).status == 201


async def test_the_same_code_and_key_again_give_the_same_token_and_another_key_none(world: CounterWorld) -> None:
    code = world.invites("till-1", "p-1")
    first = await world.pairs(code, key="mine")
    again = await world.pairs(code, key="mine")
    other = await world.pairs(code, key="theirs")
    assert (again.status, again.json) == (201, first.json)
    assert (other.status, other.reason) == (409, "pairing_code_used")


async def test_log_and_state_know_neither_code_nor_token(world: CounterWorld) -> None:
    code = world.invites("till-1", "p-1")
    token = (await world.pairs(code)).json["token"]
    state = "".join(map(str, world.folded.reader.states[1].rows.values()))
    text = state + "".join(c.encode(command).decode() for command in world.folded.commands(1))
    assert code not in text
    assert token.rpartition(".")[2] not in text


@pytest.mark.parametrize("code", ["", "x", "01-0000-0000", "99-0000-0000", "０1-0000-0000"])
async def test_a_code_that_nobody_gave_out_is_refused_before_the_log(world: CounterWorld, code: str) -> None:
    before = len(world.folded.commands(1))
    heard = await world.pairs(code or "-")
    assert (heard.status, heard.reason) == (404, "unknown_pairing_code")
    assert len(world.folded.commands(1)) == before


async def test_trying_a_used_code_with_ever_new_keys_leaves_no_record(world: CounterWorld) -> None:
    code = world.invites("till-1", "p-1")
    await world.pairs(code, key="mine")
    before = len(world.folded.commands(1))
    for key in range(3):
        assert (await world.pairs(code, key=f"k{key}")).reason == "pairing_code_used"
    assert len(world.folded.commands(1)) == before


async def test_a_code_is_worth_nothing_after_its_time(world: CounterWorld) -> None:
    heard = await world.pairs(world.invites("till-1", "p-1", expires_ms=NOON_MS - 1))
    assert (heard.status, heard.reason) == (409, "pairing_code_expired")


async def test_nobody_gets_in_without_a_genuine_token(world: CounterWorld) -> None:
    till = await world.paired()
    secret = till.token.rpartition(".")[2]
    wrong = ["", "x", f"00.till-1.{secret}", f"01.till-2.{secret}", f"09.till-1.{secret}", f"01.till-1.{'x' * 22}"]
    for token in wrong:
        heard = await Till(world, token).get("/v1/today")
        assert (heard.status, heard.reason) == (401, "unauthorized")
        assert heard.headers["WWW-Authenticate"] == "Bearer"
    heard = await world.ask("GET", "/v1/today", headers={"Authorization": f"Basic {till.token}"})
    assert heard.status == 401


async def test_an_invited_terminal_that_was_never_paired_has_no_token(world: CounterWorld) -> None:
    world.invites("till-1", "p-1")
    assert (await Till(world, f"01.till-1.{'x' * 22}").get("/v1/today")).status == 401


async def test_a_revoked_terminal_is_out_within_a_second(
    world: CounterWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = await world.paired()
    assert (await till.get("/v1/today")).status == 200
    world.write(c.RevokeTerminal(id=world.id(), terminal="till-1"))
    later = time.monotonic() + KNOWN_FOR_S
    monkeypatch.setattr("services.counter.terminals.time.monotonic", lambda: later)
    assert (await till.get("/v1/today")).status == 401


@pytest.mark.safety
async def test_a_terminal_revoked_a_moment_ago_hands_nothing_out_although_its_token_is_still_known(
    world: CounterWorld,
) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    await till.get("/v1/today")
    world.write(c.RevokeTerminal(id=world.id(), terminal="till-1"))
    heard = await till.picks_up(anna)
    assert (heard.status, heard.reason) == (401, "unknown_terminal")
    assert world.row(anna).state == 1


@pytest.mark.control
async def test_without_the_check_in_the_fold_a_revoked_terminal_hands_out(
    world: CounterWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    await till.get("/v1/today")
    world.write(c.RevokeTerminal(id=world.id(), terminal="till-1"))
    monkeypatch.setattr("services.domain.rules.reservations.is_paired", lambda *_: True)
    assert (await till.picks_up(anna)).status == 200


def test_a_token_shows_its_secret_only_where_it_is_asked_for() -> None:
    token = Token(12, "yx.01.till", "s" * 22)
    assert "s" * 22 not in repr(token)
    assert read_token(token.text) == token


async def test_secrets_of_codes_and_keys_never_meet(world: CounterWorld) -> None:
    tokens = Tokens(world.secrets)
    made = {tokens.secret(code, key) for code in ("01-AAAA-AAAA", "01-AAAA-AAAB") for key in ("k", "l")}
    assert len(made) == 4
    assert all(len(secret) == 22 for secret in made)


# -- the lock ----------------------------------------------------------------------------------------------------------


class Clock:
    """Seconds, as the test says."""

    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def is_locked(lockout: Lockout) -> bool:
    try:
        lockout.check("till")
    except Problem as problem:
        return problem.reason == "terminal_locked"
    return False


def test_the_lock_opens_after_a_minute_and_closes_again_after_five_more() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    for _ in range(2):
        for _ in range(WRONG_TRIES):
            assert not is_locked(lockout)
            lockout.wrong("till")
        assert is_locked(lockout)
        clock.now_s += LOCKED_FOR_S - 1
        assert is_locked(lockout)
        clock.now_s += 1
        assert not is_locked(lockout)


def test_wrong_codes_over_a_long_day_lock_nobody_out() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    for _ in range(100):
        lockout.wrong("till")
        clock.now_s += WITHIN_S / 3
        assert not is_locked(lockout)
