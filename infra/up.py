"""`maskline up`: a whole system until somebody stops it."""

from collections.abc import Callable
from pathlib import Path

from infra.launcher.endpoints import Endpoints
from infra.launcher.first_steps import ADMIN_TOKEN
from infra.launcher.system import UpSettings, running_system
from services.platform.lifecycle import Stop
from services.platform.lifecycle import run as run_process
from services.platform.telemetry import configure_logging


def run(settings: UpSettings, tell: Callable[[str], None]) -> None:
    """Start, say where everything is, stay. Raises what `running_system` raises, and what ended the system."""
    configure_logging("up", "warning")

    async def main(stop: Stop) -> None:
        async with running_system(settings, tell, stop.fail) as system:
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
