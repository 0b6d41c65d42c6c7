"""The admin port of a process: is it alive, is it ready, and its numbers. For operators and the launcher only."""

from __future__ import annotations

from aiohttp import web

from services.platform.health import Health
from services.platform.http_answers import TEXT, Answer, json_answer
from services.platform.http_connections import HttpSettings
from services.platform.http_server import HttpServer
from services.platform.metrics import scrape
from services.platform.router import Router

METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
ADMIN_SETTINGS = HttpSettings(max_connections=100, backlog=64, keepalive_timeout_s=15.0, drain_timeout_s=1.0)


class AdminServer(HttpServer):
    """`GET /livez`, `/readyz`, `/metrics` on a port of its own; port 0 takes a free one."""

    def __init__(self, host: str, port: int, health: Health) -> None:
        router = Router()
        add_health_routes(router, health)
        router.get("/metrics", _metrics)
        super().__init__(router, host, port, ADMIN_SETTINGS)


def add_health_routes(router: Router, health: Health) -> None:
    """`/livez` says that the process answers at all, `/readyz` that it can do its work (503 names what is missing)."""

    async def readyz(_request: web.BaseRequest) -> Answer:
        failing = health.failing()
        return json_answer(503 if failing else 200, {"ready": not failing, "failing": failing})

    router.get("/livez", _livez)
    router.get("/readyz", readyz)


async def _livez(_request: web.BaseRequest) -> Answer:
    return Answer(200, b"alive\n", TEXT)


async def _metrics(_request: web.BaseRequest) -> Answer:
    return Answer(200, scrape(), METRICS_TYPE)
