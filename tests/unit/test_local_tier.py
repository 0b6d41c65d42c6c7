"""The real tier before it starts: what is missing is told at once, ports, room, whose folder it is, nginx's files."""

import datetime as dt
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
import yaml
from cryptography import x509

from infra.launcher.data_folder import locked
from infra.launcher.endpoints import ProcessEndpoint
from infra.launcher.guard import FOLDER_FD, guarded
from infra.launcher.ports import PortInUse
from infra.local import nginx, postgres
from infra.local.keeper import LocalSettings, edge_ports
from infra.local.missing import PartMissing, PartsMissing
from infra.local.nginx import filled, make_certificate
from infra.local.nginx_problems import problem_texts
from infra.local.parts import FINDERS, DiskAlmostFull, check_parts, check_room
from infra.local.prometheus import scrape_config
from infra.local.smoke import NothingRuns, smoke
from infra.local.up_and_down import NotOurs, StillStarting, down, up
from infra.local.where import KEEPER, MARK, Where, begun, keeper_of, read_where, write_mark, write_where

GUARD_TIMEOUT_S = 20.0


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing on the PATH but what a test puts there, nothing where Debian puts it, no cached jars, no wheel."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(nginx, "DEBIANS", str(tmp_path / "no-nginx"))
    monkeypatch.setattr(postgres, "DEBIANS", tmp_path / "no-postgres")
    monkeypatch.setattr("infra.embedded.binaries.STORE_WHEEL", "a_wheel_that_is_not_there")
    return programs


def put(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    program.chmod(0o755)


def test_all_that_is_missing_is_told_at_once_each_with_the_command_that_installs_it(bare_machine: Path) -> None:
    with pytest.raises(PartsMissing) as told:
        check_parts()
    for part, command in {
        "Java 17": "openjdk-17-jre-headless",
        "Maven": "maven",
        "Redis": "redis-server",
        "PostgreSQL": "postgresql",
        "nginx": "nginx-light",
        "Prometheus": "prometheus",
    }.items():
        assert f"{part}: there is n" in str(told.value)
        assert f"Install it: apt-get install {command}" in str(told.value)
    assert f"needs {len(FINDERS)} things" in str(told.value)
    assert "make deps-debian" in str(told.value)


def test_where_only_one_part_is_missing_it_is_told_alone(bare_machine: Path) -> None:
    put(bare_machine, "java", "echo 'openjdk version \"21\" 2023-09-19' >&2")
    for name in ("mvn", "redis-server", "nginx", "prometheus", "initdb", "psql"):
        put(bare_machine, name, "exit 1")
    put(bare_machine, "postgres", "echo 'postgres (PostgreSQL) 13.4'")
    with pytest.raises(PartMissing, match="PostgreSQL is missing: .* is version 13, and 14 or newer is needed") as told:
        check_parts()
    assert not isinstance(told.value, PartsMissing)


def test_a_port_that_is_taken_is_told_with_what_it_was_meant_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        with pytest.raises(PortInUse, match="meant for the front door, is taken(?s:.*)--ports-from"):
            edge_ports(taken.getsockname()[1])


def test_a_disk_that_is_almost_full_is_told_before_anything_starts(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    check_room(tmp_path, least_bytes=free // 2)
    with pytest.raises(DiskAlmostFull, match=r"There are \d+ MB free where .* needs \d+ to start"):
        check_room(tmp_path, least_bytes=free * 2)


# ------------------------------------------------------------------------------------------------- whose folder it is




def test_down_where_nothing_runs_says_so_and_changes_nothing(tmp_path: Path) -> None:
    lines: list[str] = []
    down(LocalSettings(folder=tmp_path), lines.append, wipe=False)
    assert lines == [f"No real tier runs in {tmp_path}."]


def test_a_folder_that_make_up_did_not_make_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(NotOurs):
        down(LocalSettings(folder=tmp_path), print, wipe=True)
    assert (tmp_path / "thesis.tex").exists()


def test_a_folder_of_ours_is_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "local"
    with locked(folder / KEEPER):
        (folder / "secrets").mkdir()
    down(LocalSettings(folder=folder), lambda _: None, wipe=True)
    assert not folder.exists()


@pytest.mark.safety
def test_a_process_that_only_has_the_number_of_a_dead_keeper_is_left_alone(tmp_path: Path) -> None:
    with locked(tmp_path / KEEPER):
        write_mark(tmp_path)
        mark = tmp_path / KEEPER / MARK
        mark.write_text(json.dumps({"pid": os.getpid(), "started": "Thu Jan  1 00:00:00 1970"}), "utf-8")
        assert keeper_of(tmp_path) is None
        with pytest.raises(StillStarting):
            down(LocalSettings(folder=tmp_path), print, wipe=False)


@pytest.mark.control
def test_without_the_time_of_its_start_that_process_would_be_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.local.where.begun", lambda _pid: "Thu Jan  1 00:00:00 1970")
    with locked(tmp_path / KEEPER):
        write_mark(tmp_path)
        assert keeper_of(tmp_path) == os.getpid()


def test_a_keeper_is_known_by_its_lock_its_number_and_its_beginning(tmp_path: Path) -> None:
    with locked(tmp_path / KEEPER):
        write_mark(tmp_path)
        assert keeper_of(tmp_path) == os.getpid()
    assert keeper_of(tmp_path) is None  # the lock is free: it ended
    assert begun(os.getpid())


def test_what_a_killed_keeper_left_does_not_count_for_the_next_one(tmp_path: Path) -> None:
    with locked(tmp_path / KEEPER):
        write_mark(tmp_path)
        left = Where(keeper=os.getpid() + 1, edge={}, prometheus="", postgres="", processes=[])
        write_where(tmp_path, left)
        assert read_where(tmp_path) is None
        write_where(tmp_path, msgspec.structs.replace(left, keeper=os.getpid()))
        assert read_where(tmp_path) is not None


def test_up_does_not_start_a_second_one_beside_one_that_is_starting(tmp_path: Path) -> None:
    with locked(tmp_path / KEEPER), pytest.raises(StillStarting):
        up(LocalSettings(folder=tmp_path), print)


def test_smoke_where_nothing_runs_says_how_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(NothingRuns, match="make up"):
        smoke(LocalSettings(folder=tmp_path), print)


# ------------------------------------------------------------------------------------------------- files that are made


@pytest.mark.parametrize("name", ["public", "staff"])
def test_every_name_in_nginxs_files_has_a_value(name: str) -> None:
    of_public = ("REDIRECT", "LISTEN", "FRONT_DOORS", "TLS", "WORKERS", "REQUESTS_PER_S")
    of_staff = ("COUNTER", "CONSOLE", "COUNTER_LISTEN", "CONSOLE_LISTEN", "TLS")
    values = dict.fromkeys([*(of_public if name == "public" else of_staff), "OPEN_FILES", "CONNECTIONS"], "x")
    made = filled((nginx.HERE / f"{name}.conf").read_text("utf-8"), values)
    settings = [line for line in made.splitlines() if not line.lstrip().startswith("#")]
    assert not [line for line in settings if "@" in line.replace("@problem_", "").replace("@gone", "")]
    assert "client_header_timeout 5s;" in made
    assert "access_log off;" in made


def test_nginx_speaks_three_languages() -> None:
    made = problem_texts()
    assert "未" in made or "请" in made
    for language in ("zh-Hans", "zh-Hant", "en"):
        assert f"        {language} '{{\"type\"" in made


def test_a_certificate_is_made_once_and_kept_while_it_holds(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    first = (tmp_path / "tls.crt").read_bytes()
    make_certificate(tmp_path)
    assert (tmp_path / "tls.crt").read_bytes() == first
    made = x509.load_pem_x509_certificate(first)
    assert made.not_valid_after_utc > dt.datetime.now(dt.UTC) + dt.timedelta(days=30)
    assert (tmp_path / "tls.key").stat().st_mode & 0o077 == 0


def test_prometheus_asks_every_process_that_has_an_admin_port() -> None:
    admins = ["http://127.0.0.1:9000", "http://127.0.0.1:9001"]
    doors = [ProcessEndpoint(service="front-door", index=at, pid=1, admin=url) for at, url in enumerate(admins)]
    made = yaml.safe_load(scrape_config([*doors, ProcessEndpoint(service="broker", index=0, pid=1)]))
    (job,) = made["scrape_configs"]
    assert job["job_name"] == "front-door"
    assert [found["targets"] for found in job["static_configs"]] == [[urlsplit(url).netloc] for url in admins]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_guarded_program_finds_its_folder_open(tmp_path: Path) -> None:
    program = f"import os; print(os.readlink('/proc/self/fd/{FOLDER_FD}'))"
    command = guarded([sys.executable, "-c", program], folder=tmp_path)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=GUARD_TIMEOUT_S, check=True)
    assert ended.stdout.strip() == str(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_what_a_guarded_program_is_handed_never_stands_where_it_has_its_folder(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.write_text("the file")
    program = f"""
import os, subprocess, sys
from pathlib import Path
from infra.launcher.guard import guarded, opened_for_program
while os.dup(1) < {FOLDER_FD} - 1: pass  # the next number would be the folder's
with opened_for_program(Path({str(file)!r})) as handed:
    read = f"print(open('/proc/self/fd/{{handed}}').read())"
    subprocess.run(guarded([sys.executable, "-c", read], folder=Path({str(folder)!r})), pass_fds=(handed,), check=True)
"""
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=GUARD_TIMEOUT_S, check=False
    )
    assert told.stdout == "the file\n", told.stderr
