"""The earlier portal on this machine: a PostgreSQL of its own and a process in front of it, gone afterwards."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import asyncpg

from infra.launcher.guard import guarded
from infra.launcher.ports import free_ports
from infra.local.running import running_postgres
from loadtests.earlier_portal.portal import DATABASE
from services.domain.campaign import Campaign

SCHEMA: Final = Path(__file__).parent / "schema.sql"
READY_TIMEOUT_S: Final = 20.0
LOOK_S: Final = 0.05
STOP_TIMEOUT_S: Final = 5.0


class EarlierPortal:
    """The portal's database, and the portals in front of it one after the other."""

    def __init__(self, database: str) -> None:
        self._database = database

    async def prepare(self) -> None:
        """Its tables, in an empty database."""
        await self._run(await asyncio.to_thread(SCHEMA.read_text, "utf-8"))

    async def apply(self, campaign: Campaign) -> None:
        """A campaign that is open, and nobody has booked in it."""
        connection = await asyncpg.connect(self._database)
        try:
            await connection.execute("INSERT INTO campaigns VALUES ($1, true)", campaign.campaign)
            rows = [(campaign.campaign, slot.id, slot.units) for slot in campaign.slots]
            await connection.copy_records_to_table("slots", records=rows, columns=["campaign", "slot", "quota"])
            await connection.execute("VACUUM ANALYZE")
        finally:
            await connection.close()

    async def oversold(self) -> int:
        """Slots that gave out more than they have, or count other than what was reserved."""
        connection = await asyncpg.connect(self._database)
        try:
            return int(
                await connection.fetchval(
                    "SELECT count(*) FROM slots s WHERE taken > quota OR taken <> coalesce((SELECT sum(units)"
                    " FROM reservations r WHERE r.campaign = s.campaign AND r.slot = s.slot), 0)"
                )
            )
        finally:
            await connection.close()

    @asynccontextmanager
    async def serving(self, variant: str, *, commit: str) -> AsyncIterator[str]:
        """Its address, for the length of a block. `commit` is PostgreSQL's synchronous_commit, on or off."""
        (port,) = free_ports(1)
        words = ("--variant", variant, "--commit", commit, "--port", str(port))
        process = await asyncio.create_subprocess_exec(
            *guarded([sys.executable, "-m", "loadtests.earlier_portal.portal", *words]),
            env={**os.environ, DATABASE: self._database},
        )
        try:
            await _listens(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)

    async def _run(self, statements: str) -> None:
        connection = await asyncpg.connect(self._database)
        try:
            await connection.execute(statements)
        finally:
            await connection.close()


async def _listens(port: int) -> None:
    async with asyncio.timeout(READY_TIMEOUT_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(LOOK_S)
            else:
                writer.close()
                return


@contextmanager
def running_earlier_portal() -> Iterator[EarlierPortal]:
    """With a database of its own. Raises PartMissing where there is no PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="maskline-earlier-") as folder, running_postgres(Path(folder)) as postgres:
        portal = EarlierPortal(postgres.url)
        asyncio.run(portal.prepare())
        yield portal
