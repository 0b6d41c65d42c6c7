"""One booking in one transaction, written twice: by the client, statement by statement, and as one stored function."""

import uuid
from typing import NamedTuple, Protocol

import asyncpg


class Wish(NamedTuple):
    """Units in a slot for somebody."""

    campaign: str
    slot: str
    units: int
    resident: str
    phone: str
    key: str


class Refused(Exception):
    """It is not booked; the reason is a word of our contract."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Books(Protocol):
    """The id of the reservation. Raises Refused, and the errors of the database."""

    async def __call__(self, connection: asyncpg.Connection, wish: Wish, /) -> str: ...


async def client_side(connection: asyncpg.Connection, wish: Wish) -> str:
    """Six round trips, with the slot's row locked during three of them."""
    try:
        async with connection.transaction():
            return await _book(connection, wish)
    except asyncpg.UniqueViolationError as error:
        raise Refused("already_reserved") from error


async def _book(connection: asyncpg.Connection, wish: Wish) -> str:
    is_open = await connection.fetchval("SELECT is_open FROM campaigns WHERE campaign = $1", wish.campaign)
    if not is_open:
        raise Refused("unknown_campaign" if is_open is None else "not_open")
    before = await connection.fetchrow(
        "SELECT id, idempotency_key FROM reservations WHERE campaign = $1 AND resident = $2",
        wish.campaign, wish.resident,
    )  # fmt: skip
    if before is not None:
        if before["idempotency_key"] != wish.key:
            raise Refused("already_reserved")
        return str(before["id"])
    free = await connection.fetchval(
        "SELECT quota - taken FROM slots WHERE campaign = $1 AND slot = $2 FOR UPDATE", wish.campaign, wish.slot
    )
    if free is None or free < wish.units:
        raise Refused("unknown_slot" if free is None else "slot_full")
    reservation = uuid.uuid4()
    await connection.execute(
        "INSERT INTO reservations (id, campaign, slot, units, resident, phone, idempotency_key)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        reservation, wish.campaign, wish.slot, wish.units, wish.resident, wish.phone, wish.key,
    )  # fmt: skip
    await connection.execute(
        "UPDATE slots SET taken = taken + $3 WHERE campaign = $1 AND slot = $2", wish.campaign, wish.slot, wish.units
    )
    return str(reservation)


async def stored(connection: asyncpg.Connection, wish: Wish) -> str:
    """One round trip."""
    told: str = await connection.fetchval(
        "SELECT book($1, $2, $3, $4, $5, $6, $7)",
        uuid.uuid4(), wish.campaign, wish.slot, wish.units, wish.resident, wish.phone, wish.key,
    )  # fmt: skip
    if "_" in told:  # reasons have one, ids have none
        raise Refused(told)
    return told


VARIANTS: dict[str, Books] = {"client": client_side, "stored": stored}
