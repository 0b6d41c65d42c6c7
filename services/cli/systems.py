"""Commands that start something: a demo, a whole system, one process."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Final

import click

from services.cli.lazy import located
from services.platform.errors import MasklineError
from services.platform.settings import Settings, options_of

PROCESSES: Final = {
    "front-door": ("front_door", "FrontDoorSettings", "One front door: residents book, look, cancel."),
    "counter": ("counter", "CounterSettings", "One counter: pharmacies confirm pick-ups."),
    "console": ("console", "ConsoleSettings", "One console: the ops team opens campaigns and watches."),
    "allocator": ("allocator", "AllocatorSettings", "One allocator: commands in, decisions and events out."),
    "clock": ("clock", "ClockSettings", "One clock: opens and closes campaigns by commands."),
}


def load_demo() -> click.Command:
    from loadtests.demo import DemoSettings, run

    @click.command("demo")
    @options_of(DemoSettings)
    def demo(settings: DemoSettings) -> None:
        """The whole system on loopback, a demo city, and a surge to watch; then it stays up to be tried.

        With --headless it ends after the surge; with --json its last line is one JSON object.
        """
        sys.exit(run(settings))

    return demo


class NoLoadTests(MasklineError):
    """Load tests need {missing}, which is not installed: pip install 'maskline[loadtests]'. In a clone: make venv."""


def load_loadtest() -> click.Command:
    try:
        from loadtests.scenarios.command import LoadtestSettings, run, tell_comparison, tell_list
    except ModuleNotFoundError as error:
        raise NoLoadTests(missing=error.name) from error

    @click.command("loadtest")
    @click.argument("names", metavar="NAME…", nargs=-1)
    @click.option("--list", "is_list", is_flag=True, help="Which scenarios there are, and what really happened.")
    @click.option("--compare", is_flag=True, help="NAME… are the .json files of runs: one page with all of them.")
    @options_of(LoadtestSettings)
    def loadtest(names: tuple[str, ...], is_list: bool, compare: bool, settings: LoadtestSettings) -> None:
        """Play what made other portals fall, on rehearsals alone; a verdict, a report, and an exit code. `all`: all.

        0: everything held. 1: something did not. 2: the run proves nothing, or could not be done.
        """
        if is_list or not names:
            tell_list()
            return
        if compare:
            tell_comparison(names, settings)
            return
        sys.exit(run(list(names), settings))

    return loadtest


def load_up() -> click.Command:
    from infra.launcher.system import UpSettings
    from infra.up import run

    @click.command("up")
    @options_of(UpSettings)
    def up(settings: UpSettings) -> None:
        """All services; embedded broker and store unless --kafka and --redis name real ones. Ctrl-C ends it."""
        run(settings, click.echo)

    return up


def load_prepare() -> click.Command:
    from infra.preparing import PrepareSettings, run

    @click.command("prepare")
    @options_of(PrepareSettings)
    def prepare(settings: PrepareSettings) -> None:
        """Make topics, secrets, the first record of each partition and the console's token; what is there stays.

        `maskline up` does so by itself. Where something else starts the services, this comes before the first of them.
        """
        run(settings, click.echo)

    return prepare


def load_process(name: str) -> Callable[[], click.Command]:
    package, settings_name, help_text = PROCESSES[name]

    def load() -> click.Command:
        module = import_module(f"services.{package}.main")
        model: type[Settings] = getattr(module, settings_name)

        @click.command(name, help=help_text)
        @options_of(model)
        def process(settings: Settings) -> None:
            module.run(settings)

        return process

    return load


def load_ledger() -> click.Command:
    from services.ledger.main import LedgerRebuildSettings, LedgerSettings, run, run_rebuild

    @click.group("ledger", invoke_without_command=True)
    @options_of(LedgerSettings)
    @click.pass_context
    def ledger(ctx: click.Context, settings: LedgerSettings) -> None:
        """One ledger: each event gets its row in SQL, for reports and for whoever looks back."""
        if ctx.invoked_subcommand is None:
            run(settings)

    @ledger.command("rebuild")
    @options_of(LedgerRebuildSettings)
    @click.pass_context
    def rebuild(ctx: click.Context, settings: LedgerRebuildSettings) -> None:
        """Empty the ledger and make it again from the log's events; also beside a ledger that runs.

        One that was interrupted goes on where it was, and says so.

        Exit 0: the ledger has all events; 1: a partition cannot be whole, and why; 2: could not be done.
        """
        sys.exit(run_rebuild(lambda: located(ctx, settings), click.echo))

    return ledger
