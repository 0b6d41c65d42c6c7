"""`maskline up`: a whole system until somebody stops it.

Where the data folder has users (`access/`, as `make up TLS=1` makes it), each service comes to Kafka and Redis as its
own; otherwise all of them as the one that is named, or as nobody.
"""

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from infra.launcher.endpoints import Endpoints
from infra.launcher.first_steps import ADMIN_TOKEN
from infra.launcher.services import service_specs
from infra.launcher.system import UpSettings, running_system
from infra.local.guards import SETUP, guards_in
from services.platform.lifecycle import Stop
from services.platform.lifecycle import run as run_process
from services.platform.telemetry import configure_logging


def run(settings: UpSettings, tell: Callable[[str], None]) -> None:
    """Start, say where everything is, stay. Raises what `running_system` raises, and what ended the system."""
    configure_logging("up", "warning")

    guards = guards_in(settings.data)
    if guards is not None and not settings.access.kafka_user:
        settings = replace(settings, access=guards.access(SETUP))
    specs_of = service_specs if guards is None else guards.specs()

    async def main(stop: Stop) -> None:
        async with running_system(settings, tell, stop.fail, specs_of) as system:
            for line in where_everything_is(system.endpoints, system.data):
                tell(line)
            await stop.wait()
            tell("Stopping.")

    run_process(main)


def where_everything_is(endpoints: Endpoints, data: Path) -> list[str]:
    """The three addresses, and how to get in."""
    return [
        "",
        f"  residents   {endpoints.front_door}",
        f"  pharmacies  {endpoints.counter}    (pairing codes come from the console)",
        f"  ops team    {endpoints.console}    (users: maskline user add NAME --role admin --data {data})",
        f"  admin token {data / ADMIN_TOKEN}",
        "",
        "Ctrl-C ends it.",
    ]
