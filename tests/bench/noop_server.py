"""What the front door's cost is measured against: a `web.Application` that reads and decodes the same body, no more.

python -m tests.bench.noop_server     prints its port
"""

import asyncio
import sys

import msgspec
import uvloop
from aiohttp import web

from services.front_door.messages import ReservationRequest
from services.platform.lifecycle import settle_memory

_decode = msgspec.json.Decoder(ReservationRequest).decode


async def book(request: web.Request) -> web.Response:
    """Reads, decodes, answers."""
    _decode(await request.read())
    return web.Response(status=202, body=b"{}", content_type="application/json")


async def main() -> None:
    """Serve until killed."""
    app = web.Application()
    app.router.add_post("/v1/reservations", book)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    server = site._server
    assert isinstance(server, asyncio.base_events.Server) or server is not None
    settle_memory()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
