"""`maskline loadtest NAME`: scenarios on a system that runs, or on one of its own; verdict, report and exit code."""

import asyncio
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Final

import click
from msgspec import Meta

from infra.launcher.endpoints import Endpoints, read_endpoints
from infra.launcher.system import UpSettings, running_system
from loadtests.scenarios.catalogue import SCENARIOS
from loadtests.scenarios.comparison import write_comparison
from loadtests.scenarios.playing import Playing, verdict
from loadtests.scenarios.report import write_report
from loadtests.scenarios.scenario import Scenario
from services.platform.errors import MasklineError
from services.platform.lifecycle import Stop
from services.platform.lifecycle import run as run_process
from services.platform.settings import Settings
from services.platform.telemetry import configure_logging

GREEN, RED, VOID = 0, 1, 2
EVERY: Final = "all"
WIDTH: Final = 76


class NoScenario(MasklineError):
    """There is no scenario {name}. `maskline loadtest --list` tells which there are."""


class LoadtestSettings(Settings, frozen=True, kw_only=True):
    """What is played, and where."""

    data: Annotated[Path, Meta(description="Data folder of the system that is tested.")] = Path(".maskline")
    embedded: Annotated[bool, Meta(description="Start a system of its own for it, and end it afterwards.")] = False
    people: Annotated[int, Meta(description="How many come; 0: the scenario's own number.", ge=0, le=1_000_000)] = 0
    seed: Annotated[int, Meta(description="The same crowd for the same seed; 0: another one each time.", ge=0)] = 0
    workers: Annotated[int, Meta(description="Processes that play the crowd.", ge=1, le=64)] = 1
    ui_port: Annotated[
        int, Meta(description="Port of Locust's own page on 127.0.0.1 while it plays; 0: none.", ge=0, le=65535)
    ] = 0
    reports: Annotated[Path, Meta(description="Folder for the reports.")] = Path("loadtest-reports")


def listed() -> list[str]:
    """All scenarios, a line each and what happened under it."""
    lines = []
    for scenario in SCENARIOS.values():
        needs = f"  (not to be run: needs {scenario.needs})" if scenario.needs else ""
        lines.append(f"{scenario.name:4} {scenario.title}{needs}")
        if scenario.happened:
            lines.append(f"     {scenario.happened}")
    return lines


def run(names: list[str], settings: LoadtestSettings) -> int:
    """The exit code: 0 where all verdicts are green, 1 where one is red, 2 where a run proves nothing.

    Raises NoScenario.
    """
    if names == [EVERY]:
        names = [scenario.name for scenario in SCENARIOS.values() if not scenario.needs]
    if unknown := [name for name in names if name not in SCENARIOS]:
        raise NoScenario(name=", ".join(unknown))
    configure_logging("loadtest", "error")
    codes: list[int] = []

    async def main(stop: Stop) -> None:
        async with AsyncExitStack() as stack:
            endpoints, data = await _system(stack, settings, stop)
            for name in names:
                playing = asyncio.create_task(_play(SCENARIOS[name], endpoints, data, settings))
                stopping = asyncio.create_task(stop.wait())
                await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not playing.done():
                    playing.cancel()
                    await asyncio.gather(playing, return_exceptions=True)
                    codes.append(VOID)
                    return
                stopping.cancel()
                codes.append(playing.result())

    run_process(main)
    return max(codes, key=(GREEN, VOID, RED).index, default=VOID)


async def _system(stack: AsyncExitStack, settings: LoadtestSettings, stop: Stop) -> tuple[Endpoints, Path]:
    if not settings.embedded:
        return read_endpoints(settings.data), settings.data
    data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="maskline-loadtest-"))) / "data"
    system = await stack.enter_async_context(running_system(UpSettings(data=data, ports_from=0), _say, stop.fail))
    return system.endpoints, data


async def _play(scenario: Scenario, endpoints: Endpoints, data: Path, settings: LoadtestSettings) -> int:
    seed = settings.seed or secrets.randbits(20)
    with tempfile.TemporaryDirectory(prefix="maskline-crowd-") as folder:
        playing = Playing(
            scenario,
            endpoints,
            data,
            Path(folder),
            people=settings.people or scenario.people,
            seed=seed,
            workers=settings.workers,
            ui_port=settings.ui_port,
        )
        outcome = await playing.play(_say)
    faults = verdict(scenario, outcome)
    path = await asyncio.to_thread(write_report, scenario, outcome, faults, settings.reports)
    word = "void" if outcome.void_because else "red" if faults else "green"
    _say(f"{scenario.name}: {word}{f' ({outcome.void_because})' if outcome.void_because else ''}. {path}")
    for fault in faults:
        _say(f"    {fault}")
    return VOID if outcome.void_because else RED if faults else GREEN


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def tell_comparison(names: Sequence[str], settings: LoadtestSettings) -> None:
    """`maskline loadtest --compare FILE.json…` Raises NoFigures."""
    target = settings.reports / f"comparison-{time.strftime('%Y%m%d-%H%M%S')}.html"
    click.echo(str(write_comparison([Path(name) for name in names], target)))


def tell_list() -> None:
    """`maskline loadtest --list`"""
    for line in listed():
        click.echo(line)
