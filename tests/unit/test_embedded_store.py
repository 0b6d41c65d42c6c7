"""What the embedded store is started with."""

import sys
from pathlib import Path

import pytest

from infra.embedded import commands
from infra.embedded.commands import store_environment
from infra.embedded.stores import running_stores


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LD_PRELOAD", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)


def installed(monkeypatch: pytest.MonkeyPatch, library: str | None) -> None:
    monkeypatch.setattr(commands, "find_library", lambda name: library if name == "jemalloc" else None)


def test_jemalloc_is_taken_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "libjemalloc.so.2")
    assert store_environment() == {"LD_PRELOAD": "libjemalloc.so.2"}


def test_without_jemalloc_the_c_library_keeps_small_memory_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, None)
    assert store_environment() == {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=60000"}


@pytest.mark.parametrize(("library", "name"), [("libjemalloc.so.2", "LD_PRELOAD"), (None, "GLIBC_TUNABLES")])
def test_a_setting_that_is_there_stays(monkeypatch: pytest.MonkeyPatch, library: str | None, name: str) -> None:
    installed(monkeypatch, library)
    monkeypatch.setenv(name, "what the operator wants")
    assert store_environment() == {name: "what the operator wants"}


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process has loaded")
def test_the_running_store_has_what_was_found(tmp_path: Path) -> None:
    told = store_environment()
    with running_stores(tmp_path) as stores:
        loaded = Path(f"/proc/{stores.store_pid}/maps").read_text()
    assert ("libjemalloc" in loaded) == ("LD_PRELOAD" in told)
