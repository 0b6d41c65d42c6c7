"""Ten thousand who send a header or a body byte by byte, and come back when they are cut.

    python -m tests.real.slow_senders PORT CONNECTIONS SECONDS

Prints a JSON line at the end: how many were open at once, how often one was cut.
"""

import asyncio
import json
import resource
import sys
from typing import Final, cast

import uvloop

DRIP_S: Final = 1.0
OPENED_A_SECOND: Final = 4_000
SPARE_FILES: Final = 200
HEADER: Final = b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "
BODY: Final = b"POST /v1/reservations HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 9000\r\n\r\n{"


class SlowSender(asyncio.Protocol):
    """One connection; every other one is slow in its body."""

    def __init__(self, attack: "Attack", start: bytes) -> None:
        self._attack = attack
        self._start = start
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are of no class of asyncio's
        self.transport.write(self._start)
        self._attack.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._attack.cut(self)


class Attack:
    """As many connections as wanted, for as long as wanted."""

    def __init__(self, port: int, connections: int) -> None:
        self._port = port
        self._connections = connections
        self._open: set[SlowSender] = set()
        self._coming = 0
        self.most = 0
        self.cuts = 0

    async def run(self, seconds: float) -> None:
        """Open what is missing, a bounded number a second, and send one byte on each."""
        loop = asyncio.get_running_loop()
        dripper = asyncio.create_task(self._drip())
        ends_s = loop.time() + seconds
        step_s = 0.02
        while loop.time() < ends_s:
            missing = self._connections - len(self._open) - self._coming
            for number in range(min(missing, int(OPENED_A_SECOND * step_s))):
                self._coming += 1
                asyncio.ensure_future(self._connect(HEADER if number % 2 else BODY))  # noqa: RUF006  # counted
            await asyncio.sleep(step_s)
        dripper.cancel()

    def opened(self, sender: SlowSender) -> None:
        self._open.add(sender)
        self.most = max(self.most, len(self._open))

    def cut(self, sender: SlowSender) -> None:
        self._open.discard(sender)
        self.cuts += 1

    async def _connect(self, start: bytes) -> None:
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: SlowSender(self, start), "127.0.0.1", self._port
            )
        except OSError:
            self.cuts += 1
        finally:
            self._coming -= 1

    async def _drip(self) -> None:
        while True:
            await asyncio.sleep(DRIP_S)
            for sender in list(self._open):
                if sender.transport is not None and not sender.transport.is_closing():
                    sender.transport.write(b"x")


def main(port: int, connections: int, seconds: float) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, connections + SPARE_FILES), hard))
    attack = Attack(port, connections)
    uvloop.run(attack.run(seconds))
    print(json.dumps({"most": attack.most, "cuts": attack.cuts}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
