"""The function library in Redis: named by its own text, several versions side by side."""

import re

import pytest
from redis.exceptions import ResponseError

from services.domain.reasons import Reason
from services.state.library import FILES, build, source, with_numbers
from tests.contract.worlds import (
    LuaWorld,
    a_rush,
    batch_of,
    decided_by_the_model,
    differences,
)


def test_the_library_is_loaded_under_the_digest_of_its_text() -> None:
    library, other = build(), build("redis.register_function{function_name = FUNCTION_NAME, callback = function() end}")
    assert library.name == build().name != other.name
    assert library.function == f"{library.name}_fold"
    assert library.text.startswith(f"#!lua name={library.name}\n")


async def test_two_versions_of_the_library_stand_side_by_side_and_fold_the_same_log(
    lua: LuaWorld,
) -> None:
    newer = build("\n".join(["-- another version", *map(source, FILES)]))
    other = lua.another_call(newer)
    await other.load_library()
    log = a_rush()
    model, facts = await decided_by_the_model(log)
    for at in range(0, len(log), 5):
        call = other if at % 2 else lua.call
        folded = await call.fold(batch_of(at, log[at : at + 5]), 0)
        assert folded.decisions == facts[at : at + 5]
    assert differences(await model.rows(), await lua.rows()) == []
    await other.drop()


async def test_loading_a_library_that_is_there_already_is_no_error(lua: LuaWorld) -> None:
    await lua.call.load_library()
    assert (await lua.fold_batch(a_rush())).status == "ok"


async def test_a_library_that_is_not_there_is_told_by_redis(lua: LuaWorld) -> None:
    await lua.redis.function_flush()
    with pytest.raises(ResponseError, match="Function not found"):
        await lua.fold_batch(a_rush())


def test_names_of_the_domain_become_numbers_when_the_library_is_built() -> None:
    assert with_numbers("row[SLOT.taken] = REASON.SOLD_OUT") == f"row[8] = {int(Reason.SOLD_OUT)}"
    assert re.findall(r"\b(?:HEAD|SLOT|CAMPAIGN|RESERVATION|FACT|REASON|PHASE)\.\w+", build().text) == []


@pytest.mark.parametrize("wrong", ["row[SLOT.takn]", "REASON.SOLDOUT", "HEAD.get"])
def test_a_name_that_the_domain_does_not_have_is_found_when_the_library_is_built(wrong: str) -> None:
    with pytest.raises((KeyError, ValueError)):
        build(wrong)


def test_every_lua_file_says_what_it_is_about() -> None:
    assert [file for file in FILES if not source(file).startswith("-- ")] == []
