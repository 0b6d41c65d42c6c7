"""The console's process: how its parts are put together."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Annotated

import structlog
from msgspec import Meta

from services.console.applying import Applying
from services.console.audit_trail import Trail
from services.console.calls import calls, openapi
from services.console.campaigns import Campaigns
from services.console.desk import OpsDesk
from services.console.handlers import Handlers
from services.console.live import Live
from services.console.pages.site import Site
from services.console.reports import Reports
from services.console.rules_in_force import Rules
from services.console.sign_in import SignIn, read_admin_token
from services.console.terminals import Terminals
from services.console.users import Users
from services.console.valve import Valves
from services.console.withdrawals import Withdrawals
from services.platform.admin import AdminServer, add_health_routes
from services.platform.contact import ContactKeys
from services.platform.forms import Nonces
from services.platform.health import Health
from services.platform.http_server import HttpServer, HttpSettings
from services.platform.identities import Identities
from services.platform.lifecycle import Stop, TaskSet, settle_memory
from services.platform.lifecycle import run as run_process
from services.platform.openapi import add_document_route, mount
from services.platform.router import Router
from services.platform.secrets import SECRETS, Secrets
from services.platform.settings import ProcessSettings, Settings
from services.platform.telemetry import configure_logging
from services.sql.database import Database, DatabaseSettings
from services.state.door import Door, open_door
from services.stream.partition_reader import LogReader, PartitionReader
from services.stream.topics import COMMANDS

log = structlog.get_logger(__name__)


class OpsSettings(Settings, frozen=True, kw_only=True):
    """How the ops team is served."""

    decision_timeout_s: Annotated[
        float, Meta(description="Seconds that an operator waits for a decision before 504.", gt=0)
    ] = 10.0
    pairing_code_valid_s: Annotated[
        float, Meta(description="Seconds for which a pairing code can be used.", gt=0, le=30 * 86_400)
    ] = 24 * 3600.0
    report_timeout_s: Annotated[
        float, Meta(description="Seconds for a report, with those before it; a query ends by --ledger-timeout-s.", gt=0)
    ] = 20.0
    max_watchers: Annotated[int, Meta(description="Live views at once; more are refused.", ge=1)] = 50
    secure_cookies: Annotated[
        bool, Meta(description="Send the pages' cookies over HTTPS only: wherever TLS stands in front.")
    ] = False


class ConsoleSettings(ProcessSettings, frozen=True, kw_only=True):
    """How a console serves."""

    port: Annotated[int, Meta(description="Port for the ops team; 0 takes a free one.", ge=0, le=65535)] = 8082
    http: HttpSettings = HttpSettings(max_connections=500, backlog=256)
    ops: OpsSettings = OpsSettings()
    database: DatabaseSettings = DatabaseSettings()


class Parts:
    """What stands behind the routes of a console."""

    def __init__(
        self,
        door: Door,
        looker: LogReader,
        secrets: Secrets,
        sign_in: SignIn,
        settings: OpsSettings,
        ledger: Database | None = None,
    ) -> None:
        identities = Identities(secrets)
        self.sign_in = sign_in
        self.secure_cookies = settings.secure_cookies
        self.nonces = Nonces(secrets.id_key, "console")
        self.desk = OpsDesk(door, decision_timeout_s=settings.decision_timeout_s)
        self.campaigns = Campaigns(self.desk, identities)
        self.withdrawals = Withdrawals(self.desk, self.campaigns, identities)
        self.valves = Valves(self.desk, identities, self.campaigns)
        self.applying = Applying(self.desk, identities, ContactKeys(secrets.contact_folder))
        self.terminals = Terminals(self.desk, identities, code_valid_s=settings.pairing_code_valid_s)
        self.rules = Rules(self.desk, identities)
        self.trail = Trail(self.desk, looker)
        self.live = Live(self.desk, self.campaigns, looker, max_watchers=settings.max_watchers)
        self.reports = Reports(self.desk, self.campaigns, ledger, timeout_s=settings.report_timeout_s)

    def router(self, health: Health) -> Router:
        """All routes."""
        handlers = Handlers(
            sign_in=self.sign_in,
            campaigns=self.campaigns,
            withdrawals=self.withdrawals,
            applying=self.applying,
            terminals=self.terminals,
            rules=self.rules,
            trail=self.trail,
            live=self.live,
            reports=self.reports,
            valves=self.valves,
        )
        router = Router()
        mount(router, calls(handlers))
        add_document_route(router, openapi(handlers))
        site = Site(
            desk=self.desk,
            sign_in=self.sign_in,
            campaigns=self.campaigns,
            withdrawals=self.withdrawals,
            terminals=self.terminals,
            trail=self.trail,
            live=self.live,
            reports=self.reports,
            nonces=self.nonces,
            secure_cookies=self.secure_cookies,
        )
        site.mount(router)
        add_health_routes(router, health)
        return router


async def main(settings: ConsoleSettings, stop: Stop) -> None:
    """One console, until it is asked to stop."""
    configure_logging("console", settings.log_level)
    log.info("Starting", action="starting", settings=settings.lines())
    secrets = Secrets.load(settings.data / SECRETS, settings.secret_files)
    sign_in = SignIn(Users(settings.data), secrets, read_admin_token(settings.data))
    health = Health()
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(AdminServer(settings.host, settings.admin_port, health))
        tasks = await stack.enter_async_context(TaskSet(stop))
        door = await stack.enter_async_context(open_door(settings, tasks, key_check=secrets.key_check()))
        looker = PartitionReader(settings, COMMANDS)
        stack.push_async_callback(looker.stop)
        ledger = Database(settings.database) if settings.database.ledger else None
        if ledger is not None:
            stack.callback(ledger.close)
        parts = Parts(door, looker, secrets, sign_in, settings.ops, ledger)
        server = await stack.enter_async_context(
            HttpServer(parts.router(health), settings.host, settings.port, settings.http)
        )
        stack.callback(parts.live.close)  # first of all: a stop waits for requests, and these never end
        health.add("state", door.wrong)
        health.started()
        settle_memory()
        log.info("Serving", action="serving", host=settings.host, port=server.port, admin_port=admin.port)
        await stop.wait()


def run(settings: ConsoleSettings) -> None:
    """The command `maskline console`."""
    run_process(lambda stop: main(settings, stop))
