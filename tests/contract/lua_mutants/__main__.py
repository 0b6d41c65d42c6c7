"""Which contract tests notice which mutants: see the package."""

import asyncio
import sys
import tempfile
from pathlib import Path

from infra.embedded.stores import running_stores
from tests.contract.lua_mutants import all_mutants
from tests.contract.lua_mutants.mutant import Mutant
from tests.contract.without_pytest import CALLS, RULES, Noticed, library_tests, run, the_library


async def who_notices(mutant: Mutant, url: str, tests: list[str]) -> list[str]:
    """Names of those of these tests, or of all, that fail on the mutant."""
    known, found = library_tests(RULES, *CALLS), []
    for name in tests or known:
        try:
            await run(known[name], the_library(url, mutant.library()))
        except Noticed:
            found.append(name)
    return found


async def main(words: str) -> int:
    """Tells who notices each mutant that holds `words`; without words, which ones their test lets live."""
    alive = 0
    with tempfile.TemporaryDirectory() as folder, running_stores(Path(folder)) as stores:
        for mutant in [mutant for table in all_mutants().values() for mutant in table if words in str(mutant)]:
            tests = await who_notices(mutant, stores.redis, [] if words else [mutant.caught_by])
            alive += not tests
            if words or not tests:
                print(f"{mutant}\n" + "\n".join(f"    {name}" for name in tests), flush=True)
    return alive > 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(" ".join(sys.argv[1:]))))
