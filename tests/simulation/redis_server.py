"""Redis as the allocators and doors see it: one fold per partition, connections that break, copies that are old.

The server folds by `fold_port`; connections keep the order of what is sent on them, also when whoever sent it
has given up long ago: such a call is executed late, beside newer ones from other connections.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, cast

from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as NotInTime

from services.state.fold_call import Batch, FoldCall, Folded, LogIdentity
from services.state.library import Library
from services.state.redis_client import AbstractConnection, RedisError
from tests.simulation.fold_port import Call, FoldPort, Reply, Rows
from tests.simulation.promises import Promises
from tests.simulation.protections import Protection
from tests.simulation.surroundings import Surroundings
from tests.simulation.virtual_loop import Process
from tests.simulation.weather import Fate

SERVER: Final = "redis"
TAG_LENGTH: Final = len("{p00}:")
READ_TIMEOUT_S: Final = 0.5


class Shard:
    """The rows of one partition, and every state they were in."""

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.history: list[Rows] = [{}]


class SimulatedRedis:
    """The server."""

    def __init__(self, around: Surroundings, port: FoldPort, promises: Promises) -> None:
        self.shards: Final = [Shard() for _ in range(around.partitions)]
        self.around: Final = around
        self.is_away = False
        self.has_library = True
        self.foreign: Final[dict[int, Rows]] = {}
        """Partitions where another log's state stands at the moment."""
        self._port: Final = port
        self._promises: Final = promises

    def is_reached_by(self, process: Process) -> bool:
        """Whether a message of a process gets here at all."""
        return not self.is_away and SERVER not in process.cut_from

    def execute(self, process: Process, words: Sequence[Any]) -> Any:
        """One command, at once and in one step; an exception stands for an error reply."""
        match words:
            case ["FOLD", int(partition), Call() as call]:
                if not self.has_library:
                    return ResponseError("Function not found")
                return self._fold(process, partition, call)
            case ["FUNCTION", "LOAD", _]:
                if self.has_library:
                    return ResponseError("Library already exists")
                self.has_library = True
                return b"OK"
            case ["MGET", *keys]:
                return [self.shards[int(key[2:4])].rows.get(key[TAG_LENGTH:]) for key in keys]
        raise NotImplementedError(f"the simulated Redis does not know {words[:2]}")

    def swap(self, partition: int, foreign: Rows) -> Rows:
        """Another log's state stands where this partition's stood; what stood there. Nobody may touch it."""
        shard = self.shards[partition]
        self._promises.forgotten += 1
        self.foreign[partition] = dict(foreign)
        own, shard.rows = shard.rows, foreign
        return own

    def swap_back(self, partition: int, own: Rows) -> None:
        """The right state is there again."""
        shard = self.shards[partition]
        self._promises.forgotten += 1
        if shard.rows != self.foreign.pop(partition):
            self._promises.folded_into_another_log(partition)
        shard.rows = own

    def put_back(self, partition: int, rows: Rows) -> None:
        """A partition's rows are those of an earlier moment (a lost tail, a restored copy), or none at all."""
        shard = self.shards[partition]
        self._promises.forgotten += 1
        self._promises.check_rows(partition, shard.rows)
        shard.rows = dict(rows)

    def _fold(self, process: Process, partition: int, call: Call) -> Folded:
        shard = self.shards[partition]
        reply = self._port.fold(shard.rows, call)
        if reply.head is not None:
            shard.history.append(dict(shard.rows))
            self._promises.folded(partition, reply)
        self._tell(process, partition, reply)
        self.around.done(process)
        return reply.folded

    def _tell(self, process: Process, partition: int, reply: Reply) -> None:
        if self.around.trace.is_kept:
            done = f"applied {min(reply.applied)} to {max(reply.applied)}" if reply.applied else "applied nothing"
            head = f", published {reply.head.published}, trimmed {reply.head.trimmed}" if reply.head else ""
            came = f"{reply.folded.status}, {done}, {reply.folded.position}"
            self.around.note("redis", f"p{partition} for {process.name}: {came}{head}")


class _Line:
    """One TCP connection: first in, first out, both ways."""

    def __init__(self, redis: SimulatedRedis, process: Process) -> None:
        self.replies: deque[Any] = deque()
        self.waiter: Any = None
        self._redis = redis
        self._process = process
        self._world = redis.around.loop.world
        self._is_broken = False
        self._arrives_s = 0.0
        self._answers_s = 0.0

    def send(self, words: Sequence[Any]) -> None:
        """What is sent arrives in order, or nothing does from there on."""
        around = self._redis.around
        now_s = around.loop.now_s
        fate = around.weather.fate(around.chance)
        if self._is_broken:
            return
        if fate is Fate.IS_LOST or not self._redis.is_reached_by(self._process):
            self._break()
            return
        delay_s = around.weather.late_s(around.chance) if fate is Fate.IS_LATE else around.delay_s()
        self._arrives_s = max(self._arrives_s, now_s + delay_s)
        self._world.at(self._arrives_s, self._arrived, words, fate)

    def _arrived(self, words: Sequence[Any], fate: Fate) -> None:
        around = self._redis.around
        if self._redis.is_away:
            self._break()
            return
        reply = self._redis.execute(self._process, words)
        if fate is Fate.IS_UNHEARD:
            self._break()
        if self._is_broken:  # what was under way is done, and nobody hears of it
            return
        now_s = around.loop.now_s
        self._answers_s = max(self._answers_s, now_s + around.delay_s())
        self._world.at(self._answers_s, self._answered, reply)

    def _break(self) -> None:
        """A reset is heard; a broken path is not, until the time-out."""
        around = self._redis.around
        if self._is_broken:
            return
        self._is_broken = True
        if around.chance.random() < 0.5:
            self._world.after(around.delay_s(), self._answered, NotConnected("Connection reset"))

    def _answered(self, reply: Any) -> None:
        self.replies.append(reply)
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class SimulatedConnection:
    """What `FoldCall` and the readers send over; stands for redis-py's AbstractConnection."""

    def __init__(self, redis: SimulatedRedis, process: Process, timeout_s: float) -> None:
        self._redis = redis
        self._process = process
        self._timeout_s = timeout_s
        self._line: _Line | None = None

    async def send_command(self, *words: Any) -> None:
        """Connects first where it must, as redis-py does."""
        if self._line is None:
            await self._wait(self._redis.around.delay_s())
            if not self._redis.is_reached_by(self._process):
                raise NotConnected("Connection refused")
            self._line = _Line(self._redis, self._process)
        self._line.send(words)

    async def read_response(self, disable_decoding: bool = False) -> Any:
        """The oldest reply; after a time-out the connection is gone."""
        line = self._line
        if line is None:
            raise NotConnected("Connection closed")
        if not line.replies:
            loop = self._redis.around.loop
            line.waiter = loop.create_future()
            timer = loop.call_later(self._timeout_s, _expire, line.waiter)
            try:
                await line.waiter
            except NotInTime:
                self._line = None
                raise
            finally:
                timer.cancel()
                line.waiter = None
        reply = line.replies.popleft()
        if isinstance(reply, RedisError):
            if not isinstance(reply, ResponseError):
                self._line = None
            raise reply
        return reply

    async def disconnect(self, *, nowait: bool = False) -> None:
        """What was sent travels on."""
        self._line = None

    async def _wait(self, seconds: float) -> None:
        loop = self._redis.around.loop
        until = loop.create_future()
        loop.call_later(seconds, _end, until)
        await until


class SimulatedFoldCall(FoldCall):
    """A fold call on a simulated connection. It sends the batch as it is: what is between is not simulated."""

    def __init__(
        self, redis: SimulatedRedis, process: Process, timeout_s: float, partition: int, identity: LogIdentity
    ) -> None:
        connection = SimulatedConnection(redis, process, timeout_s)
        super().__init__(cast("AbstractConnection", connection), cast("Library", _Library), partition, identity)
        self._partition = partition
        self._is_helpful = redis.around.has(Protection.A_LOST_LIBRARY_IS_LOADED_AGAIN)

    async def send(self, batch: Batch, published: int) -> None:
        await self._connection.send_command("FOLD", self._partition, Call(self._identity, batch, published))
        self._in_flight += 1

    async def load_library(self) -> None:
        if self._is_helpful:
            await super().load_library()

    async def receive(self) -> Folded:
        folded: Folded = await self._connection.read_response()
        self._in_flight -= 1
        return folded


class _Library:
    """Stands for the function library: there is one, and it can be lost."""

    text = "the fold"
    function = "fold"


class SimulatedRedisClient:
    """The reading client: every call may fail, none is repeated."""

    def __init__(self, redis: SimulatedRedis, process: Process) -> None:
        self._redis = redis
        self._process = process

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Values of one partition's keys, as they stand at one moment."""
        around = self._redis.around
        fate = around.weather.fate(around.chance)
        answer: asyncio.Future[list[bytes | None]] = around.loop.create_future()
        if self._redis.is_reached_by(self._process) and fate in (Fate.ARRIVES, Fate.IS_DOUBLE):
            around.loop.world.after(around.delay_s(), self._arrived, keys, answer)
        elif around.chance.random() < 0.5:
            raise NotConnected("Connection refused")
        timer = around.loop.call_later(READ_TIMEOUT_S, _expire, answer)
        try:
            return await answer
        finally:
            timer.cancel()

    def _arrived(self, keys: Sequence[str], answer: "asyncio.Future[list[bytes | None]]") -> None:
        values = self._redis.execute(self._process, ["MGET", *keys])
        self._redis.around.loop.world.after(self._redis.around.delay_s(), _answer, answer, values)


def _answer(waiter: Any, values: Any) -> None:
    if not waiter.done():
        waiter.set_result(values)


def _expire(waiter: Any) -> None:
    if not waiter.done():
        waiter.set_exception(NotInTime("Timeout reading from socket"))


def _end(waiter: Any) -> None:
    if not waiter.done():
        waiter.set_result(None)
