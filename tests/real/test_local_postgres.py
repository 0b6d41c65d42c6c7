"""PostgreSQL of the real tier: made once, kept, and what is wrong with its folder told in words."""

from pathlib import Path

import pytest

from infra.launcher.ports import free_ports
from infra.local.postgres import (
    DATA,
    PASSWORD,
    PostgresDataRefused,
    PostgresLoginRefused,
    PostgresServer,
    find_postgres,
)
from infra.local.running import RunningParts, in_own_loop


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With data in it, made by the real initdb. Raises PartMissing."""
    find_postgres()
    made = tmp_path_factory.mktemp("sql") / "postgres"
    in_own_loop(PostgresServer(made, 1).prepare(lambda _: None))
    return made


def silent(_: str) -> None:
    """Nobody listens."""


async def test_a_server_lets_in_who_has_the_password_and_says_what_to_do_where_it_is_wrong(folder: Path) -> None:
    (port,) = free_ports(1)
    server = PostgresServer(folder, port)
    await server.prepare(silent)
    running = RunningParts(server.specs(), folder.parent)
    password = (folder / PASSWORD).read_bytes()
    try:
        running.start()
        await server.check_login()
        (folder / PASSWORD).write_bytes(b"another")
        with pytest.raises(PostgresLoginRefused, match="authentication failed(?s:.*)Put the right password there"):
            await server.check_login()
    finally:
        (folder / PASSWORD).write_bytes(password)
        running.stop()


async def test_data_is_made_once(folder: Path) -> None:
    told: list[str] = []
    await PostgresServer(folder, 1).prepare(told.append)
    assert told == []


async def test_data_of_another_version_is_refused(folder: Path) -> None:
    version = folder / DATA / "PG_VERSION"
    known = version.read_text()
    version.write_text("9.6\n")
    try:
        with pytest.raises(PostgresDataRefused, match=r"it was made by PostgreSQL 9\.6, and this is \d+"):
            await PostgresServer(folder, 1).prepare(silent)
    finally:
        version.write_text(known)


async def test_data_whose_password_is_lost_is_refused(folder: Path) -> None:
    password = folder / PASSWORD
    password.rename(folder / "away")
    try:
        with pytest.raises(PostgresDataRefused, match="password .* is missing"):
            await PostgresServer(folder, 1).prepare(silent)
    finally:
        (folder / "away").rename(password)
