"""PostgreSQL on this machine: one server with the database of the ledger, its data in a folder that is kept.

    server = PostgresServer(folder, port)
    await server.prepare(tell)
    Launcher(server.specs(), …)
    await server.check_login()

password      of the only user, 0600
data/         made once by initdb, under another name until it is whole

It never runs as root (it refuses), and its data may lie where its user cannot walk to, as in a home folder: so it gets
its folder opened, and a name for it that needs no permission but that for the folder itself. (Not /proc/self/cwd: up to
version 15 its programs walk to their own folder at first, and do not find back.)
"""

import asyncio
import os
import re
import secrets
import shutil
import signal
import struct
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from infra.embedded.commands import LOOPBACK
from infra.launcher.guard import FOLDER_FD, guarded, opened_for_program
from infra.launcher.process import ProcessSpec
from infra.local.missing import PartMissing
from infra.local.unprivileged import own_folder, user_for
from services.platform.errors import MasklineError
from services.platform.private_files import create_private, read_private

SERVICE: Final = "postgres"
INSTALL: Final = "apt-get install postgresql"
OLDEST_POSTGRES: Final = 14
DEBIANS: Final = Path("/usr/lib/postgresql")
USER: Final = "maskline"
"""Of the server, and the name of its database."""
DATA: Final = "data"
UNFINISHED: Final = "data.unfinished"
PASSWORD: Final = "password"
MAKE_TIMEOUT_S: Final = 120.0
ANSWER_TIMEOUT_S: Final = 1.0
LOGIN_TIMEOUT_S: Final = 20.0
PROTOCOL: Final = 3 << 16
LAST_LINES: Final = 4
SELF: Final = f"/proc/self/fd/{FOLDER_FD}"
SETTINGS: Final = {
    "listen_addresses": LOOPBACK,
    # Its own folder may have a longer path than a socket's name can have, and /tmp belongs to everybody.
    "unix_socket_directories": "",
    "max_connections": "50",
    "shared_buffers": "64MB",
    # An event that the ledger has acknowledged is not sent again.
    "fsync": "on",
    "synchronous_commit": "on",
    "log_min_messages": "warning",
    # Rows may hold what nobody should read in a log.
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
}


class PostgresDataRefused(MasklineError):
    """The PostgreSQL data in {folder} cannot be used: {what}.

    Put the right folder there. The ledger is made again from the log, so it may be thrown away: remove the folder.
    """


class PostgresNotMade(MasklineError):
    """PostgreSQL's data folder {folder} could not be made: {tail}"""


class PostgresLoginRefused(MasklineError):
    """PostgreSQL at port {port} does not let us in with the password in {path}: {tail}.

    Put the right password there. The ledger is made again from the log, so its data may be thrown away: remove
    {folder}.
    """


def find_postgres() -> Path:
    """The folder of its programs. Raises PartMissing.

    Debian leaves them out of the PATH, a folder for each version; the newest counts.
    """
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(DEBIANS.glob("*/bin"), key=lambda path: -_number(path.parent.name))
    for folder in folders:
        if all((folder / name).exists() for name in ("initdb", "postgres", "psql")):
            if (version := _version(folder)) < OLDEST_POSTGRES:
                why = f"{folder} is version {version}, and {OLDEST_POSTGRES} or newer is needed"
                raise PartMissing(part="PostgreSQL", why=why, command=INSTALL)
            return folder
    why = f"there is no `initdb` on the PATH or in {DEBIANS}"
    raise PartMissing(part="PostgreSQL", why=why, command=INSTALL)


class PostgresServer:
    """One server; its data is in `folder`. The port may be another at every start."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._programs = Path()
        self._user = ""

    @property
    def url(self) -> str:
        """With the password: not for command lines. `prepare` comes first."""
        return f"postgresql://{USER}:{self._password()}@{LOOPBACK}:{self._port}/{USER}"

    @property
    def address(self) -> str:
        """Without the password."""
        return f"postgresql://{USER}@{LOOPBACK}:{self._port}/{USER}"

    async def prepare(self, tell: Callable[[str], None]) -> None:
        """Everything before the first start. Raises PartMissing, PostgresDataRefused, PostgresNotMade."""
        self._programs = find_postgres()
        self._user = user_for("PostgreSQL", (SERVICE,), INSTALL)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self._folder / DATA).exists():
            tell("Making PostgreSQL's data folder, once.")
            await self._make()
        self._check()

    def specs(self) -> list[ProcessSpec]:
        """The server; `prepare` comes first."""
        options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        program = [str(self._programs / "postgres"), "-D", SELF, "-p", str(self._port), *options]
        return [
            ProcessSpec(
                name=SERVICE,
                service=SERVICE,
                # Asked to end with SIGTERM it waits for its clients to leave; they are stopped before it.
                command=guarded(program, user=self._user, folder=self._folder / DATA, at_our_death=signal.SIGQUIT),
                is_ready=self._lets_in,
            )
        ]

    async def check_login(self) -> None:
        """Whether the password is the right one. Raises PostgresLoginRefused."""
        process = await asyncio.create_subprocess_exec(
            str(self._programs / "psql"), "-X", "-q", "-A", "-t", "-c", "SELECT 1",
            "-h", LOOPBACK, "-p", str(self._port), "-U", USER, USER,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "PGPASSWORD": self._password(), "PGCONNECT_TIMEOUT": str(int(LOGIN_TIMEOUT_S))},
        )  # fmt: skip
        told = await _answer(process, LOGIN_TIMEOUT_S)
        if process.returncode:
            path, folder = self._folder / PASSWORD, self._folder
            raise PostgresLoginRefused(port=self._port, path=path, folder=folder, tail=_tail(told))

    async def _make(self) -> None:
        """initdb and the database, under another name until both are whole."""
        create_private(self._folder / PASSWORD, secrets.token_urlsafe(24).encode())
        unfinished, told_once = self._folder / UNFINISHED, self._folder / "password.initdb"
        shutil.rmtree(unfinished, ignore_errors=True)
        own_folder(unfinished, self._user)
        told_once.write_bytes((self._folder / PASSWORD).read_bytes())
        own = user_to_give = self._user
        try:
            if own:
                shutil.chown(told_once, user_to_give)
            with opened_for_program(told_once) as password:
                where = ("-D", SELF, "-U", USER, "-E", "UTF8", "--locale=C", "--data-checksums")
                safe = ("--auth=scram-sha-256", f"--pwfile=/proc/self/fd/{password}")
                await self._run("initdb", *where, *safe, keep_open=(password,))
            await self._run("postgres", "--single", "-D", SELF, "postgres", say=f"CREATE DATABASE {USER};\n")
        finally:
            told_once.unlink(missing_ok=True)
        unfinished.rename(self._folder / DATA)

    async def _run(self, program: str, *arguments: str, say: str = "", keep_open: tuple[int, ...] = ()) -> None:
        """A program in the unfinished folder, as the server's user. Raises PostgresNotMade."""
        folder = self._folder / UNFINISHED
        process = await asyncio.create_subprocess_exec(
            *guarded([str(self._programs / program), *arguments], user=self._user, folder=folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=keep_open,
        )
        told = await _answer(process, MAKE_TIMEOUT_S, say)
        if process.returncode:
            raise PostgresNotMade(folder=folder, tail=_tail(told))

    def _check(self) -> None:
        """Whether this server can use this data. Raises PostgresDataRefused."""
        data = self._folder / DATA
        try:
            theirs = (data / "PG_VERSION").read_text("ascii").strip()
        except OSError as error:
            raise PostgresDataRefused(folder=data, what=f"PG_VERSION cannot be read ({error.strerror})") from error
        if theirs != (ours := str(_version(self._programs))):
            raise PostgresDataRefused(folder=data, what=f"it was made by PostgreSQL {theirs}, and this is {ours}")
        if not (self._folder / PASSWORD).exists():
            raise PostgresDataRefused(folder=data, what=f"its password {self._folder / PASSWORD} is missing")
        own_folder(data, self._user)

    def _password(self) -> str:
        return read_private(self._folder / PASSWORD).decode().strip()

    async def _lets_in(self) -> bool:
        """Whether it asks for the password; while it recovers it answers with an error."""
        words = b"".join(word.encode() + b"\0" for word in ("user", USER, "database", USER, ""))
        hello = struct.pack(">ii", 8 + len(words), PROTOCOL) + words
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(LOOPBACK, self._port)
                try:
                    writer.write(hello)
                    return await reader.readexactly(1) == b"R"
                finally:
                    writer.close()
        return False


async def _answer(process: asyncio.subprocess.Process, timeout_s: float, say: str = "") -> str:
    try:
        async with asyncio.timeout(timeout_s):
            told, _ = await process.communicate(say.encode() or None)
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return told.decode(errors="replace")


def _tail(told: str) -> str:
    return " ".join(line.strip() for line in told.splitlines()[-LAST_LINES:])


def _version(programs: Path) -> int:
    """`postgres (PostgreSQL) 15.14 (Debian …)` is 15."""
    told = subprocess.run(
        [programs / "postgres", "--version"], capture_output=True, text=True, timeout=LOGIN_TIMEOUT_S, check=False
    ).stdout
    found = re.search(r"\) (\d+)", told)
    return int(found[1]) if found else 0


def _number(name: str) -> int:
    return int(name) if name.isdigit() else 0
