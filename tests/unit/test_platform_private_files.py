"""Files that only their owner may read."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.platform.private_files import (
    MAX_PRIVATE_FILE_BYTES,
    NotPrivateMaterial,
    OthersCanRead,
    create_private,
    delete_private,
    read_private,
    replace_private,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "one"


def test_a_new_file_and_its_folder_are_for_the_owner_only(path: Path) -> None:
    create_private(path, b"key")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert read_private(path) == b"key"


def test_of_many_creators_one_wins_and_all_read_the_same(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda number: create_private(path, b"%d" % number), range(32)))
    assert won.count(True) == 1
    assert read_private(path) == b"%d" % won.index(True)


def test_nothing_half_written_is_left_behind(path: Path) -> None:
    create_private(path, b"key")
    create_private(path, b"late")
    assert [each.name for each in path.parent.iterdir()] == ["one"]


def test_a_file_that_others_can_read_is_refused_with_the_command_that_mends_it(path: Path) -> None:
    create_private(path, b"key")
    path.chmod(0o644)
    with pytest.raises(OthersCanRead, match=f"chmod 600 {path}"):
        read_private(path)


def test_a_folder_that_others_can_read_is_refused_with_the_command_that_mends_it(path: Path) -> None:
    create_private(path, b"key")
    path.parent.chmod(0o755)
    with pytest.raises(OthersCanRead, match=f"chmod 700 {path.parent}"):
        read_private(path)


def test_a_huge_file_is_not_read(path: Path) -> None:
    create_private(path, bytes(MAX_PRIVATE_FILE_BYTES + 1))
    with pytest.raises(NotPrivateMaterial, match="larger"):
        read_private(path)


def test_a_folder_in_the_place_of_a_file_is_named(path: Path) -> None:
    path.mkdir(parents=True, mode=0o700)
    path.parent.chmod(0o700)
    with pytest.raises(NotPrivateMaterial, match="directory"):
        read_private(path)


def test_replacing_keeps_the_mode(path: Path) -> None:
    replace_private(path, b"old")
    replace_private(path, b"new")
    assert read_private(path) == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_deleting_twice_says_that_it_was_gone(path: Path) -> None:
    create_private(path, b"key")
    assert delete_private(path)
    assert not delete_private(path)
