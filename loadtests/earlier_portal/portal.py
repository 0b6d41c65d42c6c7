"""The earlier portal's process: `python -m loadtests.earlier_portal.portal --variant client --commit on --port N`.

An honest one: uvloop, aiohttp, asyncpg with prepared statements and a pool, the same checks of the request as ours, and
nothing in its way. The address of its database stands in MASKLINE_EARLIER_PORTAL_DATABASE.
"""

import argparse
import asyncio
import os
from typing import Annotated, Final

import asyncpg
import msgspec
import uvloop
from aiohttp import web
from msgspec import Meta

from loadtests.earlier_portal.bookings import VARIANTS, Books, Refused, Wish
from services.domain import documents
from services.domain.documents import DocumentInvalid, DocumentType
from services.domain.phones import PhoneInvalid, canonical_phone
from services.platform.crypto import KeyedDigest

DATABASE: Final = "MASKLINE_EARLIER_PORTAL_DATABASE"
POOL_CONNECTIONS: Final = 40
"""More wait for each other in the database instead of here, and it was slower with 100."""
PEPPER: Final = bytes(32)
BACKLOG: Final = 2_048
STATUS: Final = {"unknown_campaign": 404, "unknown_slot": 404}


class Resident(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who books."""

    document_type: DocumentType
    document_number: str


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same body as ours."""

    campaign: str
    slot: str
    units: Annotated[int, Meta(ge=1)]
    resident: Resident
    phone: str


class Portal:
    """Takes bookings, each in one transaction."""

    def __init__(self, pool: asyncpg.Pool, book: Books) -> None:
        self._pool = pool
        self._book = book
        self._people = KeyedDigest(PEPPER)
        self._decode = msgspec.json.Decoder(Request).decode

    async def reserve(self, request: web.Request) -> web.Response:
        """POST /v1/reservations"""
        try:
            wish = self._wish(self._decode(await request.read()), request.headers["Idempotency-Key"])
        except (msgspec.ValidationError, msgspec.DecodeError, KeyError, DocumentInvalid, PhoneInvalid):
            return _answer(400, {"reason": "malformed"})
        try:
            async with self._pool.acquire() as connection:
                reservation = await self._book(connection, wish)
        except Refused as refused:
            return _answer(STATUS.get(refused.reason, 409), {"reason": refused.reason})
        return _answer(201, {"id": reservation, "state": "confirmed"})

    def _wish(self, asked: Request, key: str) -> Wish:
        number = documents.canonical(asked.resident.document_type, asked.resident.document_number)
        resident = self._people.text(f"{asked.resident.document_type}:{number}".encode(), 16)
        return Wish(asked.campaign, asked.slot, asked.units, resident, canonical_phone(asked.phone), key)


def _answer(status: int, content: dict[str, str]) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(content), content_type="application/json")


async def serve(arguments: argparse.Namespace) -> None:
    """Until it is killed."""
    async with asyncpg.create_pool(
        os.environ[DATABASE],
        min_size=POOL_CONNECTIONS,
        max_size=POOL_CONNECTIONS,
        server_settings={"synchronous_commit": arguments.commit},
    ) as pool:
        portal = Portal(pool, VARIANTS[arguments.variant])
        app = web.Application()
        app.router.add_post("/v1/reservations", portal.reserve)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", arguments.port, backlog=BACKLOG).start()
        await asyncio.Event().wait()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--variant", choices=sorted(VARIANTS), required=True)
    parser.add_argument("--commit", choices=["on", "off"], required=True)
    parser.add_argument("--port", type=int, required=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
