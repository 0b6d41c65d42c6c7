"""Front doors and the people before them.

A door is what every door of ours stands on: the real group commit, the real reader of the state, the real waiter for
decisions. People come with one wish each, hear an answer, an error or nothing, and come again with the same wish, at
the same door or another, as clients with an `Idempotency-Key` do.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from services.domain.commands import Genesis, Tick, encode
from services.platform.errors import MasklineError
from services.state.decisions import DecisionGoneError, DecisionWaiter
from services.state.door import Door
from services.state.errors import CatchingUpError
from services.state.readers import StateReader
from services.state.redis_client import Redis
from services.stream.errors import LogUnavailable, Overloaded, UnknownOutcome
from services.stream.group_commit import GroupCommit, GroupCommitSettings
from services.stream.place import PartitionId, Place
from services.stream.topics import COMMANDS
from tests import builders as b
from tests.simulation.allocators import TasksOfAProcess
from tests.simulation.kafka_log import SimulatedLog, SimulatedProducer
from tests.simulation.promises import Promises
from tests.simulation.protections import Protection
from tests.simulation.redis_server import SimulatedRedis, SimulatedRedisClient
from tests.simulation.surroundings import Surroundings, clock_ms
from tests.simulation.virtual_loop import Process

COMMIT: Final = GroupCommitSettings(max_pending=12, max_batch_records=8, ack_timeout_s=4.0, trial_pending=2)
POLL_INTERVAL_S: Final = 1.0
"""Between two looks for decisions: hundreds of times ours, for a schedule's sake."""
ANSWER_TIMEOUT_S: Final = 10.0
PATIENCE_S: Final = 25.0
"""After which somebody who hears nothing (the door died) goes to another one."""
GENESIS: Final = Genesis(log=b.LOG, key_check=b.KEY_CHECK, rules=1)


@dataclass(slots=True)
class Wish:
    """One command, and what became of it so far."""

    partition: int
    value: bytes
    tries_left: int
    place: Place | None = None
    is_answered: bool = False


class ForgetfulReader(StateReader):
    """For the control: a reader that never looks whether Redis is behind."""

    def _check_not_behind(self, partition: int, position: int) -> None:
        pass


class SimulatedDoor:
    """One front door's process."""

    def __init__(
        self, around: Surroundings, log: SimulatedLog, redis: SimulatedRedis, promises: Promises, process: Process
    ) -> None:
        self.process: Final = process
        self._around: Final = around
        self._promises: Final = promises
        self._door: Door | None = None
        self._parts = (SimulatedProducer(log, process), cast("Redis", SimulatedRedisClient(redis, process)))
        self._tasks = TasksOfAProcess(around, process)
        self._tasks.start(self._open(), "open")

    async def _open(self) -> None:
        around = self._around
        producer, client = self._parts
        partitions = [PartitionId(p) for p in range(around.partitions)]
        commit = GroupCommit(producer, COMMANDS, partitions, COMMIT)
        kind = StateReader if around.has(Protection.READINGS_NEVER_STEP_BACK) else ForgetfulReader
        self._door = Door(commit, kind(client), dict.fromkeys(partitions, GENESIS), client)
        self._door.decisions = DecisionWaiter(self._door.reader, poll_interval_s=POLL_INTERVAL_S)
        self._tasks.start(commit.run(), "group-commit")

    def come(self, wish: Wish, heard: Callable[[bool], None]) -> None:
        """Somebody wants something; `heard` is called when they have their answer, or an error (False)."""
        self._tasks.start(self._serve(wish, heard), "serve")

    async def _serve(self, wish: Wish, heard: Callable[[bool], None]) -> None:
        place = wish.place
        try:
            # Whoever knows their place may ask there, or send the same again; the answer is the same.
            if place is None or self._around.chance.random() < 0.5:
                place = await self._offer(wish)
            heard(place is not None and await self._tell(place))
        except MasklineError as error:
            self._around.note(self.process.name, f"p{wish.partition}: {type(error).__name__}")
            heard(False)

    async def _offer(self, wish: Wish) -> Place | None:
        """The command's place; None where it is unknown. Raises what group commit raises before it keeps anything."""
        promises, around = self._promises, self._around
        if self._door is None:
            return None
        promises.may_be_written(wish.partition, wish.value)
        try:
            place = await self._door.commit.offer(PartitionId(wish.partition), wish.value)
        except (LogUnavailable, Overloaded):
            promises.surely_not_written(wish.partition, wish.value)
            raise
        except UnknownOutcome:
            if not around.has(Protection.TIME_OUTS_ARE_UNKNOWN):
                promises.surely_not_written(wish.partition, wish.value)
            raise
        promises.was_acknowledged(place, wish.value)
        wish.place = place
        return place

    async def _tell(self, place: Place) -> bool:
        assert self._door is not None
        try:
            facts = await self._door.decided(place, ANSWER_TIMEOUT_S)
        except DecisionGoneError:
            self._promises.was_gone(place)
            return True
        if facts is None:
            if not self._around.has(Protection.DECISIONS_ARE_WAITED_FOR):
                self._promises.was_gone(place)
            return False
        self._promises.was_told(place, facts)
        await self._look_again(place)
        return True

    async def _look_again(self, place: Place) -> None:
        """Whoever has heard the decision looks at the reservation once more: it must not be gone."""
        assert self._door is not None
        await asyncio.sleep(self._around.chance.random() * 8.0)
        try:
            reading = await self._door.reader.read(place.partition, [])
        except CatchingUpError:
            return
        if reading.head.position <= place.offset:
            self._promises.stepped_back(place, reading.head.position)

    async def stop(self) -> None:
        """Write what was taken, and refuse the rest."""
        if self._door is not None:
            await self._door.commit.stop()

    async def tick(self, interval_s: float) -> None:
        """What the clock does: tell every partition the time, for ever."""
        around = self._around
        while True:
            await asyncio.sleep(interval_s)
            value = encode(Tick(at_ms=max(0, clock_ms(self.process, around.loop.now_s))))
            for partition in range(around.partitions):
                self.come(Wish(partition, value, 0), lambda _: None)


@dataclass(slots=True)
class People:
    """Everybody who wants something, as one process that never fails: it is their patience that ends."""

    around: Surroundings
    doors: Callable[[], list[SimulatedDoor]]

    def want(self, partition: int, value: bytes, at_s: float, tries: int) -> Wish:
        """Somebody comes at this time, and again if they hear nothing good."""
        wish = Wish(partition, value, tries)
        self.around.loop.world.at(at_s, self._go, wish)
        return wish

    def _go(self, wish: Wish) -> None:
        if wish.is_answered or wish.tries_left == 0:
            return
        wish.tries_left -= 1
        world, chance = self.around.loop.world, self.around.chance
        doors = self.doors()
        if not doors:
            world.after(1.0 + chance.random(), self._go, wish)
            return
        patience = world.after(PATIENCE_S, self._go, wish)

        def heard(is_good: bool) -> None:
            patience.cancel()
            if is_good:
                wish.is_answered = True
            else:
                world.after(0.2 + chance.random() * 4.0, self._go, wish)

        chance.choice(doors).come(wish, heard)
