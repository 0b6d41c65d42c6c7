"""A launcher with stand-in services as a program of its own, so that a test can kill it.

python launcher_program.py DATA [BEHAVIOUR] [--unguarded]
"""

import sys
from pathlib import Path

from infra.launcher import services
from infra.launcher.addresses import Addresses
from infra.launcher.process import ProcessSpec
from infra.launcher.system import UpSettings, running_system
from services.platform import lifecycle

STAND_IN = Path(__file__).with_name("stand_in_service.py")


def stand_ins(behaviour: str = "") -> services.SpecsOf:
    """Specs of services that do nothing; `behaviour` is that of the clock."""

    def specs(names: list[str], addresses: Addresses, _data: Path) -> list[ProcessSpec]:
        def command(name: str) -> list[str]:
            how = behaviour if name == "clock" else ""
            return [sys.executable, str(STAND_IN), str(addresses.admin_ports[name]), how]

        return [services.service_spec(name, addresses, command(name)) for name in names]

    return specs


async def work(stop: lifecycle.Stop, data: Path, behaviour: str) -> None:
    settings = UpSettings(data=data, ports_from=0)
    async with running_system(settings, tell=print, on_failure=stop.fail, specs_of=stand_ins(behaviour)):
        await stop.wait()


if __name__ == "__main__":
    if "--unguarded" in sys.argv:  # the control: broker and store started as they are
        vars(services)["guarded"] = lambda program: program
    folder, how = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    lifecycle.run(lambda stop: work(stop, folder, how))
