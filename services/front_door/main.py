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
from services.front_door.rushes import Rushes
from services.front_door.shedding import Shedding, SheddingSettings
from services.front_door.standing import Standings
from services.front_door.stock import StockView
from services.front_door.tickets import Tickets
from services.front_door.waiting_room import WaitingRoom
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


class Parts:
    """What stands behind the routes of a front door, on an open door."""

    def __init__(self, door: Door, secrets: Secrets, log_ends: LogEnds, settings: SheddingSettings) -> None:
        self.identities = Identities(secrets)
        self.campaigns = Campaigns(door.catalogue, ContactKeys(secrets.contact_folder))
        self.passes = Passes(self.identities, PassKeys(secrets))
        self.stock = StockView(door.catalogue)
        self.line = Line(door.reader)
        self.waiting_room = WaitingRoom(door, Tickets(secrets.ticket_key))
        look_up = LookUp(door.reader, log_ends)
        self.shedding = Shedding(self.line, settings)
        self.rushes = Rushes(door, self.shedding, self.identities)
        self.reservations = Reservations(
            door=door,
            campaigns=self.campaigns,
            identities=self.identities,
            early_refusals=EarlyRefusals(door.catalogue, look_up),
            shedding=self.shedding,
            waiting_room=self.waiting_room,
        )
        self.standings = Standings(door, self.campaigns, self.identities, self.passes, look_up)

    def router(self, health: Health) -> Router:
        """All routes."""
        handlers = Handlers(
            campaigns=self.campaigns,
            offers=Offers(self.campaigns),
            stock=self.stock,
            waiting_room=self.waiting_room,
            reservations=self.reservations,
            standings=self.standings,
            passes=self.passes,
            line=self.line,
            identities=self.identities,
        )
        site = Site(
            campaigns=self.campaigns,
            stock=self.stock,
            reservations=self.reservations,
            standings=self.standings,
            identities=self.identities,
            waiting_room=self.waiting_room,
        )
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
        looker = PartitionReader(settings, COMMANDS, looks_only=True)
        stack.push_async_callback(looker.stop)
        parts = Parts(door, secrets, LogEnds(looker), settings.shedding)
        tasks.start(parts.rushes.watch(), "rushes")
        server = HttpServer(parts.router(health), settings.host, settings.port, settings.http)
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
