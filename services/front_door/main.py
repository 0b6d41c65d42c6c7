"""The front door's process: how its parts are put together."""

from contextlib import AsyncExitStack
from typing import Annotated

import structlog
from msgspec import Meta

from services.front_door.calls import calls, openapi
from services.front_door.campaigns import Campaigns
from services.front_door.early_refusals import EarlyRefusals
from services.front_door.handlers import Handlers
from services.front_door.line import Line
from services.front_door.log_end import LogEnds
from services.front_door.look_up import LookUp
from services.front_door.offers import Offers
from services.front_door.pages.site import Site
from services.front_door.passes import Passes
from services.front_door.reservations import Reservations
from services.front_door.shedding import Shedding, SheddingSettings
from services.front_door.standing import Standings
from services.front_door.stock import StockView
from services.platform.admin import AdminServer, add_health_routes
from services.platform.contact import ContactKeys
from services.platform.health import Health
from services.platform.http_server import HttpServer, HttpSettings
from services.platform.identities import Identities
from services.platform.lifecycle import Stop, TaskSet, settle_memory
from services.platform.lifecycle import run as run_process
from services.platform.openapi import add_document_route, mount
from services.platform.pass_keys import PassKeys
from services.platform.router import Router
from services.platform.secrets import SECRETS, Secrets
from services.platform.settings import ProcessSettings
from services.platform.telemetry import configure_logging
from services.state.door import Door, open_door
from services.stream.group_commit import GroupCommitSettings
from services.stream.partition_reader import PartitionReader
from services.stream.topics import COMMANDS

log = structlog.get_logger(__name__)


class FrontDoorSettings(ProcessSettings, frozen=True, kw_only=True):
    """How a front door serves."""

    port: Annotated[int, Meta(description="Port for residents; 0 takes a free one.", ge=0, le=65535)] = 8080
    http: HttpSettings = HttpSettings()
    commit: GroupCommitSettings = GroupCommitSettings()
    shedding: SheddingSettings = SheddingSettings()


def router_of(door: Door, secrets: Secrets, log_ends: LogEnds, health: Health, settings: SheddingSettings) -> Router:
    """All routes of a front door, on an open door."""
    identities = Identities(secrets)
    campaigns = Campaigns(door.catalogue, ContactKeys(secrets.contact_folder))
    passes = Passes(identities, PassKeys(secrets))
    stock = StockView(door.catalogue)
    look_up = LookUp(door.reader, log_ends)
    early_refusals = EarlyRefusals(door.catalogue, look_up)
    line = Line(door.reader)
    reservations = Reservations(door, campaigns, identities, early_refusals, Shedding(line, settings))
    standings = Standings(door, campaigns, identities, passes, look_up)
    handlers = Handlers(
        campaigns=campaigns,
        offers=Offers(campaigns),
        stock=stock,
        reservations=reservations,
        standings=standings,
        passes=passes,
        line=line,
        identities=identities,
    )
    site = Site(campaigns=campaigns, stock=stock, reservations=reservations, standings=standings, identities=identities)
    router = Router()
    mount(router, calls(handlers))
    site.mount(router)
    add_document_route(router, openapi(handlers))
    add_health_routes(router, health)
    return router


async def main(settings: FrontDoorSettings, stop: Stop) -> None:
    """One front door, until it is asked to stop."""
    configure_logging("front-door", settings.log_level)
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
        looker = PartitionReader(settings, COMMANDS)
        stack.push_async_callback(looker.stop)
        router = router_of(door, secrets, LogEnds(looker), health, settings.shedding)
        server = HttpServer(router, settings.host, settings.port, settings.http)
        await server.start()
        stack.push_async_callback(server.stop)
        health.add("state", door.wrong)
        health.started()
        settle_memory()
        log.info("Serving", action="serving", host=settings.host, port=server.port, admin_port=admin.port)
        await stop.wait()


def run(settings: FrontDoorSettings) -> None:
    """The command `maskline front-door`."""
    run_process(lambda stop: main(settings, stop))
