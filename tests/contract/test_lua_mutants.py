"""Each rule of the Lua, spoilt by hand, and noticed by the contract test that says the rule.

A new rule needs mutants of its own: `lua_mutants/<file>.py` has those of `<file>.lua`. Write what could be wrong with
it, `Mutant(function, "does what is wrong", piece of its text, what stands there instead, name of the test)`, one for
each reason and fact that it gives and each condition that it asks. Then `python -m tests.contract.lua_mutants <words>`
tells which tests notice; where it is none, the contract test is missing.
"""

import re
from collections import Counter

import pytest

from services.state.library import FILES, build, source
from tests.contract.lua_mutants import all_mutants
from tests.contract.lua_mutants.mutant import Mutant, functions_of
from tests.contract.without_pytest import CALLS, RULES, Noticed, library_tests, run, the_library

MUTANTS = [mutant for table in all_mutants().values() for mutant in table]
NAMED = re.compile(r"\b(?:REASON|FACT)\.[A-Z_]+")
# What has no rule in it and cannot be seen to fail.
DECIDES_NOTHING = {
    "forget_slots": "a call that knew which rows earlier calls filled up would cut rows that nobody writes",
    "read_named": "what a purge does not read ahead is read when it is asked for",
    "read_who_has": "what stands on a sheet as well",
}


@pytest.mark.control
@pytest.mark.embedded
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
async def test_a_library_that_is_wrong_in_one_place_is_noticed(valkey: str, mutant: Mutant) -> None:
    test = library_tests(RULES, *CALLS)[mutant.caught_by]
    await run(test, the_library(valkey, build()))
    with pytest.raises(Noticed):
        await run(test, the_library(valkey, mutant.library()))


@pytest.mark.parametrize("file", FILES)
def test_every_function_of_the_library_has_a_mutant(file: str) -> None:
    functions = set(functions_of(file)) - set(DECIDES_NOTHING)
    tried = {mutant.rule for mutant in all_mutants()[file]}
    assert functions - tried == set(), f"write what could be wrong with them into lua_mutants/{file}.py"
    assert tried - functions == set(), f"not in {file}.lua: mutants stand in the table of their file"


def test_every_rule_that_a_command_has_has_a_mutant() -> None:
    registered = set(re.findall(r"^(?:function )?RULES\.(\w+)", "\n".join(map(source, FILES)), re.MULTILINE))
    assert "change_slot" in registered
    assert registered - {mutant.rule for mutant in MUTANTS} == set(), "write what could be wrong with them"


def test_every_reason_and_every_fact_that_the_library_gives_has_a_mutant() -> None:
    given = set(NAMED.findall("\n".join(map(source, FILES))))
    tried = {name for mutant in MUTANTS for name in NAMED.findall(mutant.old)}
    assert given - tried == set(), "write a mutant that does not give them, or gives another in their place"


def test_no_two_mutants_have_the_same_name() -> None:
    assert [name for name, count in Counter(map(str, MUTANTS)).items() if count > 1] == []
