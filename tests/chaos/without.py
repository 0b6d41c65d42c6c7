"""The product with one protection taken away: `python -m tests.chaos.without PROTECTION SERVICE …`.

Nothing of this is a switch of the product: a text of the library is changed, or an object replaced, in this process.
"""

import sys
from collections.abc import Callable
from typing import Final

from services import cli
from tests.integration.allocator_without_position_check import without_position_check


def position_check() -> None:
    """The fold applies whatever it is sent, applied before or not."""
    from services.allocator import main

    vars(main)["build"] = without_position_check


PROTECTIONS: Final[dict[str, Callable[[], None]]] = {"position_check": position_check}

if __name__ == "__main__":
    PROTECTIONS[sys.argv.pop(1)]()
    sys.argv[0] = "maskline"
    cli.main()
