"""Which partitions an allocator is told to fold."""

import pytest

from services.allocator.main import chosen_partitions
from services.state.stopped import PartitionStoppedError


@pytest.mark.parametrize(("words", "chosen"), [("all", [0, 1, 2, 3]), ("2", [2]), ("0,2-3", [0, 2, 3]), ("1-1,1", [1])])
def test_partitions_are_chosen_in_words(words: str, chosen: list[int]) -> None:
    assert chosen_partitions(words, 4) == chosen


@pytest.mark.parametrize("words", ["", "one", "0,", "-1", "1-", "1-x", "3-1", "1.5", "\u00b2"])
def test_words_that_name_no_partitions_are_refused_with_the_right_ones(words: str) -> None:
    with pytest.raises(PartitionStoppedError, match="write 'group', 'all', or a list as in 0,2,5-7"):
        chosen_partitions(words, 4)


@pytest.mark.parametrize("words", ["4", "0-4", "0-99999999999999"])
def test_a_partition_that_the_log_does_not_have_is_told(words: str) -> None:
    with pytest.raises(PartitionStoppedError, match="the log has partitions 0 to 3"):
        chosen_partitions(words, 4)
