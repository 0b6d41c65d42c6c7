"""Which version of the rules is in force, and how an admin puts a newer one in force: in every partition, once."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.console.users import Role
from services.domain import commands as c
from services.domain.limits import RULES_VERSION
from services.state.errors import StateUnavailableError
from tests.unit.console_world import ConsoleWorld, console, installation

NEXT = RULES_VERSION + 1
WISH = {"version": NEXT, "why": "every allocator is new"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installation(tmp_path_factory.mktemp("installation"))


@pytest.fixture
async def world(data: Path, tmp_path: Path) -> AsyncIterator[ConsoleWorld]:
    async with console(data, tmp_path, decision_timeout_s=0.5) as world:
        yield world


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Console and fold are of the next version."""
    monkeypatch.setattr("services.console.rules_in_force.KNOWN", NEXT)
    monkeypatch.setattr("services.domain.fold.RULES_VERSION", NEXT)


def in_force(*versions: int) -> list[dict[str, Any]]:
    return [{"partition": partition, "version": version} for partition, version in enumerate(versions)]


async def test_everybody_who_has_signed_in_sees_what_is_in_force(world: ConsoleWorld) -> None:
    answer = await world.get("/v1/rules", token=await world.sign_in(Role.VIEWER))
    assert answer.json == {"known": RULES_VERSION, "partitions": in_force(1, 1)}
    assert (await world.get("/v1/rules", token=None)).status == 401


@pytest.mark.usefixtures("newer")
async def test_a_newer_version_is_put_in_force_in_every_partition_and_stands_in_the_audit_trail(
    world: ConsoleWorld,
) -> None:
    answer = await world.post("/v1/rules", WISH, token=await world.sign_in(Role.ADMIN))
    assert (answer.status, answer.json) == (200, {"known": NEXT, "partitions": in_force(NEXT, NEXT)})
    for partition in range(2):
        (entry,) = (await world.get(f"/v1/audit?partition={partition}")).json["entries"]
        told = (entry["command"], entry["actor"], entry["why"], entry["version"], entry["outcome"])
        assert told == ("adopt_rules", "user:ada", WISH["why"], NEXT, "rules_adopted")


@pytest.mark.usefixtures("newer")
async def test_the_same_key_again_has_the_same_answer_and_an_older_version_changes_nothing(
    world: ConsoleWorld,
) -> None:
    first = await world.post("/v1/rules", WISH, key="the-key")
    assert (await world.post("/v1/rules", WISH, key="the-key")).json == first.json
    assert (await world.post("/v1/rules", {**WISH, "version": 1})).json["partitions"] == in_force(NEXT, NEXT)


async def test_a_version_that_this_console_does_not_know_is_refused_in_words(world: ConsoleWorld) -> None:
    """Its allocators most likely do not know it either, and would stop for good."""
    answer = await world.post("/v1/rules", WISH)
    assert (answer.status, answer.reason, answer.json["field"]) == (400, "malformed", "version")
    assert f"at most {RULES_VERSION}" in answer.json["detail"]
    assert world.system.every(c.AdoptRules) == []


@pytest.mark.safety
@pytest.mark.parametrize("role", [Role.VIEWER, Role.APPEALS, Role.OPERATOR])
async def test_only_an_admin_puts_rules_in_force(world: ConsoleWorld, role: Role) -> None:
    answer = await world.post("/v1/rules", {**WISH, "version": 1}, token=await world.sign_in(role))
    assert (answer.status, answer.reason) == (403, "forbidden")
    assert world.system.every(c.AdoptRules) == []


@pytest.mark.control
async def test_without_the_look_at_the_role_an_operator_would(
    world: ConsoleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.console.handlers.Role", SimpleNamespace(ADMIN=Role.OPERATOR))
    token = await world.sign_in(Role.OPERATOR)
    assert (await world.post("/v1/rules", {**WISH, "version": 1}, token=token)).status == 200


@pytest.mark.parametrize("body", [{}, {"version": 1}, {"version": 0, "why": "x"}, {"version": 1, "why": ""}])
async def test_a_version_and_a_reason_are_asked_for(world: ConsoleWorld, body: dict[str, Any]) -> None:
    assert (await world.post("/v1/rules", body)).status == 400
    assert (await world.post("/v1/rules", {**WISH, "version": 1}, key=None)).reason == "idempotency_key_required"


@pytest.mark.usefixtures("newer")
async def test_a_partition_that_does_not_answer_is_named_and_the_same_key_goes_on(
    world: ConsoleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its allocator is an old one, which stops there."""
    fold = world.system.store.fold
    with monkeypatch.context() as stopped:
        stopped.setattr(world.system.store, "fold", lambda partition: [] if partition == 1 else fold(partition))
        answer = await world.post("/v1/rules", WISH, key="the-key")
    assert (answer.status, answer.reason) == (504, "unknown_outcome")
    assert answer.json["partitions"] == [
        {"partition": 0, "version": NEXT}, {"partition": 1, "version": 1, "reason": "unknown_outcome"}
    ]  # fmt: skip
    assert (await world.post("/v1/rules", WISH, key="the-key")).json["partitions"] == in_force(NEXT, NEXT)


async def test_what_cannot_be_looked_at_is_null(world: ConsoleWorld) -> None:
    world.system.reader.error = StateUnavailableError(what="the test says so")
    assert (await world.get("/v1/rules")).json["partitions"] == [
        {"partition": 0, "version": None}, {"partition": 1, "version": None}
    ]  # fmt: skip
