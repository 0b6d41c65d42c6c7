"""What the stories change is still there. Belongs to `make test`: who changes the library hears of it at once."""

import pytest

from tests.chaos import altered, next_version
from tests.contract import patched_library


@pytest.mark.parametrize(
    "changes",
    [
        altered.UNBOUNDED_TIME,
        altered.ANY_VERSION,
        patched_library.POSITION_CHECK,
        patched_library.GAP_CHECK,
        next_version.changes_of_the_library(next_version.VERSION),
    ],
    ids=["time", "version", "position", "gap", "next version"],
)
def test_the_library_has_every_text_that_a_story_changes(changes: tuple[tuple[str, str], ...]) -> None:
    assert patched_library.without(*changes).name != patched_library.without().name
