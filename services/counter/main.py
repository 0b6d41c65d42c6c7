"""The counter's process: how its parts are put together."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Annotated

import structlog
from msgspec import Meta

from services.counter.allowance import Allowance
from services.counter.bookings import Bookings
from services.counter.calls import calls, openapi
from services.counter.days import PharmacyDays
from services.counter.handlers import Handlers
from services.counter.lockout import Lockout
from services.counter.offline import OfflineRecords
from services.counter.pages.handlers import Pages
from services.counter.pickups import PickUps
from services.counter.records import Records
from services.counter.showing import Showing
from services.counter.stock import Stock
from services.counter.terminals import Terminals, Tokens
from services.platform.admin import AdminServer, add_health_routes
from services.platform.contact import ContactKeys
from services.platform.forms import Nonces
from services.platform.health import Health
from services.platform.http_server import HttpServer, HttpSettings
from services.platform.identities import Identities
from services.platform.lifecycle import Stop, TaskSet, settle_memory
from services.platform.lifecycle import run as run_process
from services.platform.openapi import add_document_route, mount
from services.platform.pass_keys import PassKeys
from services.platform.router import Router
from services.platform.secrets import SECRETS, Secrets
from services.platform.settings import ProcessSettings, Settings
from services.platform.telemetry import configure_logging
from services.state.desk import Desk
from services.state.door import Door, open_door
from services.stream.group_commit import GroupCommitSettings

log = structlog.get_logger(__name__)


class TillSettings(Settings, frozen=True, kw_only=True):
    """How terminals are served."""

    decision_timeout_s: Annotated[
        float, Meta(description="Seconds that a terminal waits for a decision before 504.", gt=0)
    ] = 10.0
    max_in_flight: Annotated[
        int, Meta(description="Commands of terminals that may wait for their decision; beyond: 503.", ge=1)
    ] = 500
    lookups_per_minute: Annotated[
        int, Meta(description="Documents that one terminal may look up in a minute; beyond: 429.", ge=1, le=1_000)
    ] = 30
    secure_cookies: Annotated[
        bool, Meta(description="Send the page's cookies over HTTPS only: wherever TLS stands in front.")
    ] = False


class CounterSettings(ProcessSettings, frozen=True, kw_only=True):
    """How a counter serves."""

    port: Annotated[int, Meta(description="Port for pharmacies; 0 takes a free one.", ge=0, le=65535)] = 8081
    http: HttpSettings = HttpSettings()
    commit: GroupCommitSettings = GroupCommitSettings()
    till: TillSettings = TillSettings()


def wall_clock_ms() -> int:
    """Now. It chooses what is shown first; what is decided, the fold decides by the time of the record."""
    return time.time_ns() // 1_000_000


def router_of(
    door: Door, secrets: Secrets, health: Health, settings: TillSettings, now_ms: Callable[[], int] = wall_clock_ms
) -> Router:
    """All routes of a counter, on an open door."""
    identities, pass_keys = Identities(secrets), PassKeys(secrets)
    desk = Desk(door, decision_timeout_s=settings.decision_timeout_s, max_in_flight=settings.max_in_flight)
    days = PharmacyDays(door.catalogue, now_ms)
    records = Records(door, desk)
    allowance = Allowance(settings.lookups_per_minute)
    terminals = Terminals(desk, door.partitions, Tokens(secrets), identities)
    showing = Showing(desk, records, days, identities, pass_keys, Lockout(), allowance, now_ms)
    pick_ups = PickUps(desk, records, showing, identities)
    stock = Stock(desk, records, days, identities, now_ms)
    bookings = Bookings(door, desk, records, identities, ContactKeys(secrets.contact_folder), pass_keys)
    offline = OfflineRecords(desk, door.catalogue, identities, pass_keys)
    handlers = Handlers(
        desk=desk,
        terminals=terminals,
        pick_ups=pick_ups,
        showing=showing,
        stock=stock,
        bookings=bookings,
        offline=offline,
        pass_keys=pass_keys,
    )
    pages = Pages(
        terminals=terminals,
        pick_ups=pick_ups,
        showing=showing,
        stock=stock,
        bookings=bookings,
        days=days,
        nonces=Nonces(secrets.id_key, "counter"),
        secure_cookies=settings.secure_cookies,
    )
    router = Router()
    mount(router, calls(handlers))
    add_document_route(router, openapi(handlers))
    pages.mount(router)
    add_health_routes(router, health)
    return router


async def main(settings: CounterSettings, stop: Stop) -> None:
    """One counter, until it is asked to stop."""
    configure_logging("counter", settings.log_level)
    log.info("Starting", action="starting", settings=settings.lines())
    secrets = Secrets.load(settings.data / SECRETS, settings.secret_files)
    health = Health()
    async with AsyncExitStack() as stack:
        admin = AdminServer(settings.host, settings.admin_port, health)
        await admin.start()
        stack.push_async_callback(admin.stop)
        tasks = await stack.enter_async_context(TaskSet(stop))
        door = await stack.enter_async_context(
            open_door(settings, tasks, key_check=secrets.key_check(), commit_settings=settings.commit)
        )
        router = router_of(door, secrets, health, settings.till)
        server = HttpServer(router, settings.host, settings.port, settings.http)
        await server.start()
        stack.push_async_callback(server.stop)
        health.add("state", door.wrong)
        health.started()
        settle_memory()
        log.info("Serving", action="serving", host=settings.host, port=server.port, admin_port=admin.port)
        await stop.wait()


def run(settings: CounterSettings) -> None:
    """The command `maskline counter`."""
    run_process(lambda stop: main(settings, stop))
