"""The admin port: alive, ready, numbers."""

from __future__ import annotations

import json

import pytest

from services.platform.admin import AdminServer
from services.platform.health import Health
from tests.integration.http_world import client_of, got


@pytest.fixture
def health() -> Health:
    return Health()


async def test_a_process_is_alive_before_it_is_ready(health: Health) -> None:
    async with AdminServer("127.0.0.1", 0, health) as admin, client_of(admin) as client:
        client.send(got("/livez"))
        assert (await client.answer())[0] == 200
        client.send(got("/readyz"))
        status, _, body = await client.answer()
        assert (status, json.loads(body)["failing"]) == (503, {"start": "still starting"})
        health.started()
        client.send(got("/readyz"))
        assert (await client.answer())[0] == 200


async def test_a_failing_check_is_named(health: Health) -> None:
    health.started()
    health.add("redis", lambda: "does not answer since 4 s")
    async with AdminServer("127.0.0.1", 0, health) as admin, client_of(admin) as client:
        client.send(got("/readyz"))
        status, _, body = await client.answer()
        assert (status, json.loads(body)) == (503, {"ready": False, "failing": {"redis": "does not answer since 4 s"}})


async def test_the_numbers_are_in_prometheus_format(health: Health) -> None:
    async with AdminServer("127.0.0.1", 0, health) as admin, client_of(admin) as client:
        client.send(got("/metrics"))
        status, headers, body = await client.answer()
        assert status == 200
        assert headers["content-type"].startswith("text/plain; version=0.0.4")
        assert b"# TYPE maskline_http_answers_total counter" in body


async def test_anything_else_is_a_problem(health: Health) -> None:
    async with AdminServer("127.0.0.1", 0, health) as admin, client_of(admin) as client:
        client.send(got("/"))
        assert await client.problem() == (404, "not_found")
