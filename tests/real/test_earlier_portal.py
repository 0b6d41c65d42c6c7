"""The earlier portal is an honest one: it books, repeats, refuses and never oversells, in both variants."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from loadtests.earlier_portal.running import EarlierPortal, running_earlier_portal
from loadtests.http_client import HttpClient
from tests.bench.wishes import Wish, wide_campaign, wishes

UNITS = 10
PEOPLE = 60


@pytest.fixture(scope="module")
def portal() -> Iterator[EarlierPortal]:
    with running_earlier_portal() as portal:
        yield portal


@pytest.fixture(params=["client", "stored"])
async def client(portal: EarlierPortal, request: pytest.FixtureRequest) -> AsyncIterator[HttpClient]:
    async with portal.serving(request.param, commit="on") as url:
        client = HttpClient(url, max_connections=PEOPLE, timeout_s=10.0)
        yield client
        client.close()


async def book(client: HttpClient, wish: Wish, **changes: Any) -> tuple[int, dict[str, Any]]:
    body = msgspec.json.encode(msgspec.json.decode(wish.body) | changes)
    answer = await client.request("POST", "/v1/reservations", body, wish.headers)
    return answer.status, msgspec.json.decode(answer.body)


async def test_it_books_repeats_and_refuses(
    portal: EarlierPortal, client: HttpClient, request: pytest.FixtureRequest
) -> None:
    campaign = wide_campaign(request.node.callspec.params["client"], 1, UNITS)
    await portal.apply(campaign)
    first, second = wishes(campaign, 2, seed=7)
    status, booked = await book(client, first)
    assert (status, booked["state"]) == (201, "confirmed")
    assert await book(client, first) == (201, booked)
    again = Wish({"Idempotency-Key": "another"}, first.body)
    assert await book(client, again) == (409, {"reason": "already_reserved"})
    assert await book(client, second, slot="nowhere") == (404, {"reason": "unknown_slot"})
    assert await book(client, second, campaign="nowhere") == (404, {"reason": "unknown_campaign"})
    assert await book(client, second, units=UNITS) == (409, {"reason": "slot_full"})
    assert await book(client, second, phone="none") == (400, {"reason": "malformed"})


async def test_whoever_comes_at_once_gets_what_there_is_and_no_more(
    portal: EarlierPortal, client: HttpClient, request: pytest.FixtureRequest
) -> None:
    variant = request.node.callspec.params["client"]
    campaign = wide_campaign(f"{variant}-rush", 1, UNITS)
    await portal.apply(campaign)
    heard = await asyncio.gather(*(book(client, wish) for wish in wishes(campaign, PEOPLE, seed=8)))
    assert sorted(status for status, _ in heard) == [201] * UNITS + [409] * (PEOPLE - UNITS)
    assert await portal.oversold() == 0
