"""What could be wrong in the Lua, rule by rule: one module for each `.lua` file, and who must notice.

A mutant takes a piece out of one function of the library, or puts another in its place, and names the contract test
that says the rule. `test_lua_mutants.py` runs that test on the library as it is, which it passes, and on the mutant,
which it must not. A mutant that nobody notices is a rule that no contract test says.

    python -m tests.contract.lua_mutants              # mutants that their test lets live
    python -m tests.contract.lua_mutants take_back    # of those whose rule or words hold this: every test that notices
"""

from importlib import import_module
from pathlib import Path

from services.state.library import FILES
from tests.contract.lua_mutants.mutant import Mutant

FOLDER = Path(__file__).parent


def all_mutants() -> dict[str, tuple[Mutant, ...]]:
    """By `.lua` file; a file without a table has none."""
    return {file: _table(file) for file in FILES}


def _table(file: str) -> tuple[Mutant, ...]:
    if not (FOLDER / f"{file}.py").exists():
        return ()
    mutants: tuple[Mutant, ...] = import_module(f"{__name__}.{file}").MUTANTS
    return mutants
