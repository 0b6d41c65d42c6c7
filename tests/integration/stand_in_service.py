"""A service as the launcher sees one: the child's side of `lifecycle`, and an admin port with /readyz.

python stand_in_service.py ADMIN_PORT [never-ready | ends-at-once | stubborn | orphan]
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

from services.platform import lifecycle


async def serve(stop: lifecycle.Stop, port: int, behaviour: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        status = "503 Service Unavailable" if behaviour == "never-ready" else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port):
        if behaviour == "stubborn":
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
        await stop.wait()


def main(port: int, behaviour: str) -> None:
    if behaviour == "ends-at-once":
        print("Redis at redis://nowhere does not answer.")
        raise SystemExit(2)
    work: Callable[[lifecycle.Stop], Awaitable[None]] = lambda stop: serve(stop, port, behaviour)  # noqa: E731
    if behaviour == "orphan":  # the control: a service that does nothing to end with its launcher
        asyncio.run(serve(lifecycle.Stop(), port, behaviour))
    else:
        lifecycle.run(work)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
