"""Waiting rooms as they are now: a place that one process told must not be further back in the answer of another.

So every poll is answered from a reading that began after it came. All that come within READ_EVERY_S share one: what
polls cost Redis does not grow with those who wait.
"""

import asyncio
from dataclasses import replace
from typing import Final

from services.domain.reasons import DoorReason
from services.platform.problems import Problem
from services.state.catalogue import CampaignView
from services.state.errors import CatchingUpError, StateUnavailableError
from services.state.readers import StateReader

READ_EVERY_S: Final = 0.02


class Rooms:
    """Reads them."""

    def __init__(self, reader: StateReader) -> None:
        self._reader: Final = reader
        self._loop: Final = asyncio.get_running_loop()
        self._reading: dict[str, asyncio.Future[CampaignView]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def now(self, view: CampaignView) -> CampaignView:
        """The campaign and its room as of an instant after this call. Raises Problem 503 where Redis does not tell."""
        reading = self._reading.get(view.name)
        if reading is None:
            reading = self._reading[view.name] = self._loop.create_future()
            task = asyncio.create_task(self._read(view, reading), name=f"room-{view.name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(reading)

    async def _read(self, view: CampaignView, reading: asyncio.Future[CampaignView]) -> None:
        try:
            await asyncio.sleep(READ_EVERY_S)
            del self._reading[view.name]  # who comes from now on waits for the next one
            as_of_s = self._loop.time()
            row, room = (await self._reader.read(view.partition, [f"c:{view.name}", f"q:{view.row.no}"])).rows
        except (CatchingUpError, StateUnavailableError) as error:
            problem = Problem(DoorReason.CATCHING_UP)
            problem.__cause__ = error
            reading.set_exception(problem)
            reading.exception()  # whoever asked may be gone
        else:
            reading.set_result(replace(view, row=row, room=room, as_of_s=as_of_s))
