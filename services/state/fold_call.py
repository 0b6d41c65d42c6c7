"""The fold call: one batch of commands in, their decisions out, and the position moved, in one atomic step.

Calls of a partition go over one connection in the order of their submission, at most CALLS_IN_FLIGHT of them: a
second connection could reorder them. Reordering would not harm the state (the fold refuses a gap and repeats nothing),
but it would cost a seek.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from services.domain.commands import Command
from services.domain.rows import Facts
from services.state.keys import head_key
from services.state.library import Library
from services.state.redis_client import AbstractConnection, ResponseError
from services.state.wire import values_of

MAX_COMMANDS_PER_CALL = 1_000
COMMANDS_PER_CALL = 80  # what a call allocates stays in a core's cache, and nobody waits long for it
BYTES_PER_CALL = 40_000
"""… nor for long ones: eighty bookings are 23,000 bytes, four chunks of a list 38,000, which change as many rows as one
call may. What it leaves would be sent, and decoded, again and again."""
CALLS_IN_FLIGHT = 4  # Redis has the next ones while an answer is read


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records of one partition, decoded: `commands[i]` stands at offset `start + i`."""

    start: int
    timestamps_ms: Sequence[int]
    digests: Sequence[int]
    commands: Sequence[Command]

    @property
    def end(self) -> int:
        """One past the last offset."""
        return self.start + len(self.commands)


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Which log this is, and which keys made its pseudonyms; the genesis record says both."""

    log: str
    key_check: str


class Folded(msgspec.Struct, array_like=True, frozen=True):
    """What the fold answered.

    `status` is ok, gap, other_log, other_key or rules_too_new (see `fold.lua`). `decisions[i]` belongs to offset
    `batch.start + i`; None where the recorded decision is gone, which means that it was published. There may be fewer
    than the batch has commands: the fold says with `position` how far it came.
    """

    status: str
    position: int
    decisions: list[Facts | bool]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Folded).decode


class FoldCall:
    """Folds batches of one partition over one connection. Not for more than one task at a time.

    `send` and `receive` let the next batches travel while Redis works on the first; answers come in the order of
    sending. After any error the connection is dropped, and with it what was in flight: those outcomes are unknown, and
    the same batches may simply be folded again, for the fold repeats nothing.
    """

    def __init__(self, connection: AbstractConnection, library: Library, partition: int, identity: LogIdentity) -> None:
        self._connection = connection
        self._library = library
        self._head = head_key(partition)
        self._identity = identity
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """Batches sent and not yet answered."""
        return self._in_flight

    async def send(self, batch: Batch, published: int) -> None:
        """Send a batch; `published` is the offset below which all events are acknowledged."""
        if len(batch.commands) > MAX_COMMANDS_PER_CALL:
            raise ValueError(f"{len(batch.commands)} commands in one call; {MAX_COMMANDS_PER_CALL} is the bound")
        payload = [
            self._identity.log,
            self._identity.key_check,
            batch.start,
            batch.end,
            published,
            batch.timestamps_ms,
            batch.digests,
        ]
        await self._connection.send_command(
            "FCALL", self._library.function, 1, self._head, _encode(payload), values_of(batch.commands)
        )
        self._in_flight += 1

    async def receive(self) -> Folded:
        """The answer to the oldest batch in flight."""
        reply = await self._connection.read_response(disable_decoding=True)
        self._in_flight -= 1
        return _decode(reply)

    async def fold(self, batch: Batch, published: int) -> Folded:
        """Send one batch and wait for its answer."""
        await self.send(batch, published)
        return await self.receive()

    async def load_library(self) -> None:
        """Make the function known to Redis, with nothing in flight. It survives a restart of Redis, not its loss."""
        await self._connection.send_command("FUNCTION", "LOAD", self._library.text)
        try:
            await self._connection.read_response()
        except ResponseError as error:
            if "already exists" not in str(error):
                raise

    async def drop(self) -> None:
        """Forget the connection and whatever was in flight on it."""
        self._in_flight = 0
        await self._connection.disconnect(nowait=True)
