"""An allocator, or a rebuild, whose fold applies whatever it is sent, applied before or not: the crash tests' control.

The text of the library is changed here, in the test; there is no switch for it in the product.
"""

import sys

from services import cli
from services.allocator import main as allocator
from services.audit import main as audit
from services.state.library import Library, build

APPLIED_BEFORE = (
    "  for offset = from, math.min(to, position) - 1 do decisions[offset - from + 1] = recorded(offset) end\n"
)
APPLY_NEW_ONES = "  for offset = position, to - 1 do\n"
A_GAP = "  if from > position then return pack({'gap', position, {}}) end\n"


def without_position_check() -> Library:
    """The library that forgets what was applied."""
    whole = build()
    text = whole.text
    for part, instead in ((APPLIED_BEFORE, ""), (APPLY_NEW_ONES, "  for offset = from, to - 1 do\n"), (A_GAP, "")):
        assert text.count(part) == 1, f"the library no longer has: {part}"
        text = text.replace(part, instead)
    return Library(name=whole.name, text=text)


if __name__ == "__main__":
    for module in (allocator, audit):
        vars(module)["build"] = without_position_check
    sys.argv[0] = "maskline"
    cli.main()
