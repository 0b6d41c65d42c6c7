"""What breaks: processes die and pause, the group is shuffled, Redis loses its memory, brokers go, cables are cut.

A disaster takes something away and gives it back by itself after a while. `Healer` gives everything back at once.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from services.domain.rows import HEAD
from services.state.readers import decode_row
from tests.contract.worlds import encode_row
from tests.simulation.kafka_log import BROKERS
from tests.simulation.kafka_log import SERVER as KAFKA
from tests.simulation.redis_server import SERVER as REDIS
from tests.simulation.virtual_loop import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

MAX_PAUSE_S: Final = 30.0
MAX_HICCUP_S: Final = 3.0
RESTART_S: Final = 3.0
RECENT_STATES: Final = 4
OTHER_LOG: Final = "log-of-elsewhere"


class Disasters:
    """Chance breaks something, again and again, until `stop`."""

    def __init__(self, world: "World", kinds: list[str]) -> None:
        self._world: Final = world
        self._around: Final = world.around
        self._kinds: Final = kinds
        self._is_over = False
        self._known: Final[dict[str, Callable[[], None]]] = {
            "pause": self._pause_somebody,
            "kill": self._kill_somebody,
            "stop": self._stop_somebody,
            "rebalance": self._rebalance,
            "old_redis": self._put_redis_back,
            "empty_redis": self._empty_redis,
            "no_redis": self._take_redis_away,
            "other_redis": self._swap_redis,
            "broker": self._lose_a_broker,
            "expired": self._forget_commits,
            "cut": self._cut_a_cable,
            "clock": self._turn_a_clock,
            "rebuild": self._world.rebuild,
        }

    @staticmethod
    def kinds() -> list[str]:
        """All that can happen."""
        return [
            "pause", "kill", "stop", "rebalance", "old_redis", "empty_redis", "no_redis", "other_redis", "broker",
            "expired", "cut", "clock", "rebuild",
        ]  # fmt: skip

    def begin(self) -> None:
        """Wait for the first one."""
        self._next()

    def stop(self) -> None:
        """No more."""
        self._is_over = True

    def strike(self, process: Process) -> None:
        """Somebody is hit just when a server did what it asked, and before it hears of it."""
        if self._is_over or not process.acts:
            return
        if self._around.chance.random() < 0.5 and "kill" in self._kinds:
            self._kill(process)
        elif "pause" in self._kinds:
            self._pause(process)

    def hold(self, process: Process) -> None:
        """A process is busy with something else for a moment: collecting garbage, or without a core."""
        if not self._is_over and process.acts:
            process.pause()
            self._later(self._around.chance.random() * MAX_HICCUP_S, process.resume)

    def _next(self) -> None:
        chance, weather = self._around.chance, self._around.weather
        self._around.loop.world.after(chance.expovariate(1 / weather.seconds_between_disasters), self._happen)

    def _happen(self) -> None:
        if self._is_over or not self._kinds:
            return
        self._known[self._around.chance.choice(self._kinds)]()
        self._next()

    # -- processes --------------------------------------------------------------------------------------------------

    def _pause_somebody(self) -> None:
        if victims := [process for process in self._world.processes() if process.acts]:
            self._pause(self._around.chance.choice(victims))

    def _pause(self, process: Process) -> None:
        seconds = self._around.chance.random() ** 2 * MAX_PAUSE_S
        self._note(f"{process.name} is paused for {seconds:.1f} s")
        process.pause()
        self._later(seconds, lambda: self._resume(process))

    def _resume(self, process: Process) -> None:
        if process.is_paused:
            self._note(f"{process.name} goes on")
            process.resume()

    def _kill_somebody(self) -> None:
        if victims := [process for process in self._world.processes() if not process.is_dead]:
            self._kill(self._around.chance.choice(victims))

    def _kill(self, process: Process) -> None:
        self._note(f"{process.name} is killed")
        process.kill()
        self._later(self._around.chance.random() * RESTART_S, lambda: self._world.replace(process))

    def _stop_somebody(self) -> None:
        if self._around.chance.random() < 0.7 and (allocators := self._world.running_allocators()):
            allocator = self._around.chance.choice(allocators)
            self._note(f"{allocator.process.name} is asked to stop")
            self._world.stop_allocator(allocator)
        elif doors := self._world.running_doors():
            door = self._around.chance.choice(doors)
            self._note(f"{door.process.name} is asked to stop")
            self._world.stop_door(door)

    def _cut_a_cable(self) -> None:
        if victims := [process for process in self._world.processes() if process.acts]:
            process, server = self._around.chance.choice(victims), self._around.chance.choice((REDIS, KAFKA))
            self._note(f"{process.name} cannot reach {server}")
            process.cut_from.add(server)
            self._later(self._around.chance.random() * 12.0, lambda: process.cut_from.discard(server))

    def _turn_a_clock(self) -> None:
        if victims := self._world.processes():
            process = self._around.chance.choice(victims)
            process.skew_s = self._around.chance.choice((0.0, 1.0, -1.0, 300.0, -300.0, 1e9))
            self._note(f"{process.name}'s clock is wrong by {process.skew_s:g} s")

    # -- servers ----------------------------------------------------------------------------------------------------

    def _rebalance(self) -> None:
        if self._world.log.group is not None:
            self._world.log.group.rebalance("a disaster")

    def _forget_commits(self) -> None:
        self._note("committed offsets expire")
        if self._world.log.group is not None:
            self._world.log.group.expire()

    def _put_redis_back(self) -> None:
        redis, chance = self._world.redis, self._around.chance
        partition = chance.randrange(self._around.partitions)
        if partition in redis.foreign:
            return
        history = redis.shards[partition].history
        newest = chance.random() < 0.6  # a replica that lagged a little is what mostly happens
        back = chance.randint(1, min(RECENT_STATES, len(history))) if newest else chance.randint(1, len(history))
        self._note(f"Redis p{partition} is as it was {back} calls ago")
        redis.put_back(partition, history[-back])

    def _empty_redis(self) -> None:
        redis = self._world.redis
        for partition in range(self._around.partitions):
            if partition not in redis.foreign:
                redis.put_back(partition, {})
        redis.has_library = self._around.chance.random() < 0.5
        self._note(f"Redis is empty, {'with' if redis.has_library else 'without'} its library")

    def _swap_redis(self) -> None:
        redis, chance = self._world.redis, self._around.chance
        partition = chance.randrange(self._around.partitions)
        shard = redis.shards[partition]
        # As far along as ours, mostly: what is behind is found out by its gap alone.
        foreign = dict(shard.rows if chance.random() < 0.7 else chance.choice(shard.history))
        head = decode_row(HEAD, foreign.get(HEAD))
        if head is None or partition in redis.foreign:
            return
        foreign[HEAD] = encode_row(msgspec.structs.replace(head, log=OTHER_LOG))
        seconds = chance.random() * 15.0
        self._note(f"Redis p{partition} has another log's state for {seconds:.1f} s")
        own = redis.swap(partition, foreign)
        self._later(seconds, lambda: redis.swap_back(partition, own))

    def _take_redis_away(self) -> None:
        seconds = self._around.chance.random() * 8.0
        self._note(f"Redis is away for {seconds:.1f} s")
        self._world.redis.is_away = True
        self._later(seconds, self._bring_redis)

    def _bring_redis(self) -> None:
        self._world.redis.is_away = False

    def _lose_a_broker(self) -> None:
        log, chance = self._world.log, self._around.chance
        if not log.brokers:
            return
        broker = chance.choice(sorted(log.brokers))
        self._note(f"broker {broker} of {BROKERS} is killed")
        log.lose_broker(broker)
        self._later(chance.random() * 15.0, lambda: log.brokers.add(broker))

    def _later(self, seconds: float, give_back: Callable[[], None]) -> None:
        self._around.loop.world.after(seconds, give_back)

    def _note(self, what: str) -> None:
        self._around.note("DISASTER", what)
