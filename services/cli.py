"""The one command, `maskline`. What each command does stands in its own package and is imported when it is asked for.

An error of ours is told in its own words and without a traceback; a command ends with 0 when all is well, 1 when what
was looked at is not (also a campaign file, and what a console refuses), 2 when it could not be done.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from services.platform.errors import MasklineError
from services.platform.settings import SecretFiles, Settings, SystemSettings, options_of

if TYPE_CHECKING:
    from infra.launcher.endpoints import Endpoints

PROCESSES: Final = {
    "front-door": ("front_door", "FrontDoorSettings", "One front door: residents book, look, cancel."),
    "counter": ("counter", "CounterSettings", "One counter: pharmacies confirm pick-ups."),
    "console": ("console", "ConsoleSettings", "One console: the ops team opens campaigns and watches."),
    "allocator": ("allocator", "AllocatorSettings", "One allocator: commands in, decisions and events out."),
    "clock": ("clock", "ClockSettings", "One clock: opens and closes campaigns by commands."),
}
DATA: Final = click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path(".maskline"),
    envvar="MASKLINE_DATA",
    show_default=True,
    show_envvar=True,
    help="Data folder of the system.",
)


def main() -> None:
    """The console script."""
    try:
        maskline(prog_name="maskline")
    except MasklineError as error:
        click.echo(f"maskline: {error}", err=True)
        sys.exit(error.exit_code)


class Lazy(click.Command):
    """A command whose module is imported when it is called or asked for its options."""

    def __init__(self, name: str, load: Callable[[], click.Command], short_help: str) -> None:
        super().__init__(name, short_help=short_help, help=short_help)
        self._load = load

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """That of the command itself."""
        return self._load().make_context(info_name, args, parent, **extra)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="maskline", message="%(prog)s %(version)s")
def maskline() -> None:
    """Mask booking that does not fall over, does not oversell, loses nobody's place, and can prove it."""


# ----------------------------------------------------------------------------------------------------- whole systems


def _demo() -> click.Command:
    from loadtests.demo import DemoSettings, run

    @click.command("demo")
    @options_of(DemoSettings)
    def demo(settings: DemoSettings) -> None:
        """The whole system on loopback, a demo city, and a surge to watch; then it stays up to be tried.

        With --headless it ends after the surge; with --json its last line is one JSON object.
        """
        sys.exit(run(settings))

    return demo


def _up() -> click.Command:
    from infra.launcher.system import UpSettings
    from infra.up import run

    @click.command("up")
    @options_of(UpSettings)
    def up(settings: UpSettings) -> None:
        """All services; embedded broker and store unless --kafka and --redis name real ones. Ctrl-C ends it."""
        run(settings, click.echo)

    return up


def _process(name: str) -> Callable[[], click.Command]:
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


# --------------------------------------------------------------------------------------------------------- campaigns


@click.group()
def campaign() -> None:
    """Campaigns as files."""


@campaign.command("check")
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Whether a campaign file can be applied; all that is wrong with it, where, and what to do."""
    from services.platform.campaign_files import load

    found = load(file)
    click.echo(
        f"{file} is right: campaign {found.campaign} in {found.region}, {len(found.pharmacies)} pharmacies, "
        f"{len(found.slots)} slots, {found.units} units."
    )


@campaign.command("apply")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--why", default="", help="Why, for the audit trail.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--console", default="", envvar="MASKLINE_CONSOLE", help="URL of the console, if not that of --data.")
@DATA
def apply(file: Path, why: str, dry_run: bool, console: str, data: Path) -> None:
    """Bring a campaign file into a running system. Applying the same file again changes nothing."""
    from rich.console import Console
    from rich.progress import Progress

    from infra.applying import apply_campaign, outlook, outlook_lines
    from infra.console_client import ConsoleClient
    from services.platform.campaign_files import load

    found = load(file)
    client = ConsoleClient.of(data, console)
    if dry_run:
        told = outlook(client, found)
    else:
        with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task(f"Applying {found.campaign}")
            told = apply_campaign(
                client, found, why=why, on_step=lambda done, of: progress.update(task, completed=done, total=of)
            )
    for line in outlook_lines(told):
        click.echo(line)


@campaign.command("export")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@options_of(SystemSettings)
@click.pass_context
def export(ctx: click.Context, name: str, file: Path | None, overwrite: bool, settings: SystemSettings) -> None:
    """Write campaign NAME of a running system as FILE.yaml and two tables beside it.

    NAME may be the file itself: gz-2020-02.yaml is the campaign gz-2020-02.
    """
    import asyncio

    from infra.exporting import campaign_now, missing_list, write_files

    if name.endswith((".yaml", ".yml")) and file is None:
        file = Path(name)
        name = file.stem
    found = asyncio.run(campaign_now(_found(ctx, settings), name))
    for path in write_files(found, file or Path(f"{name}.yaml"), overwrite=overwrite):
        click.echo(str(path))
    if missing_list(found):
        click.echo(missing_list(found), err=True)


# ------------------------------------------------------------------------------------------------------------- users


@click.group()
def user() -> None:
    """Who may use the console: viewer, operator, appeals, admin."""


@user.command("add")
@click.argument("name")
@click.option(
    "--role", type=click.Choice(["viewer", "operator", "appeals", "admin"]), default="viewer", show_default=True
)
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@DATA
def add(name: str, role: str, password_stdin: bool, data: Path) -> None:
    """Add a user; asks for the password. It is kept as a scrypt hash in DATA/users.json."""
    from services.console.users import Role, add_user

    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    add_user(data, name, Role(role), password)
    click.echo(f"{name} may sign in to the console as {role}.")


@user.command("list")
@DATA
def list_(data: Path) -> None:
    """All users and their roles."""
    from services.console.users import list_users

    users = list_users(data)
    for name, found in users.items():
        click.echo(f"{name}  {found.role}")
    if not users:
        click.echo("There are no users yet. Add one: maskline user add NAME --role admin")


@user.command("remove")
@click.argument("name")
@DATA
def remove(name: str, data: Path) -> None:
    """Remove a user, who is signed out everywhere within a second."""
    from services.console.users import remove_user

    remove_user(data, name)
    click.echo(f"{name} may no longer sign in.")


# -------------------------------------------------------------------------------------------------------------- keys


@click.group()
def keys() -> None:
    """The keys that passes are signed with."""


@keys.command("rotate-pass")
@DATA
@options_of(SecretFiles)
def rotate_pass(data: Path, settings: SecretFiles) -> None:
    """Add a new key to sign passes with. Those that were given out stay valid."""
    from services.platform.pass_keys import LOOK_AGAIN_S, SIGN_AFTER_S
    from services.platform.secrets import SECRETS, Secrets

    before = Secrets.load(data / SECRETS, settings)
    key_id = before.rotate_pass_key().pass_signer().key_id
    click.echo(f"Pass key {key_id} is there. Counters know it within {LOOK_AGAIN_S:g} s, new passes are signed with")
    click.echo(f"it {SIGN_AFTER_S:g} s later. Those of the keys before stay valid until you delete the files of these:")
    click.echo(before.key_ids()["pass"])


# ----------------------------------------------------------------------------------------------------------- looking


def _verify() -> click.Command:
    from services.audit.main import run
    from services.audit.verify import VerifySettings

    @click.command("verify")
    @click.option("--json", "as_json", is_flag=True, help="One JSON object instead of words.")
    @options_of(VerifySettings)
    @click.pass_context
    def verify(ctx: click.Context, as_json: bool, settings: VerifySettings) -> None:
        """Replay the log with the reference model and compare Redis, recorded decisions and events with it.

        Only reads, and works on a system in use. Exit 0: nothing differs; 1: something does; 2: could not look.
        """
        sys.exit(run(lambda: _found(ctx, settings), click.echo, as_json=as_json))

    return verify


def _rebuild() -> click.Command:
    from services.audit.main import run_rebuild
    from services.audit.rebuild import RebuildSettings

    @click.command("rebuild")
    @click.option("--json", "as_json", is_flag=True, help="JSON lines instead of bars and words.")
    @options_of(RebuildSettings)
    @click.pass_context
    def rebuild(ctx: click.Context, as_json: bool, settings: RebuildSettings) -> None:
        """Replay into Redis what it lacks of the log: after a loss, or before allocators start on an empty one.

        Empties nothing and publishes nothing; works beside running allocators. Exit 0: Redis has all of the log;
        1: a partition must not be touched, and why; 2: could not be done.
        """
        sys.exit(run_rebuild(lambda: _found(ctx, settings), click.echo, as_json=as_json))

    return rebuild


def _ledger() -> click.Command:
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
        sys.exit(run_rebuild(lambda: _found(ctx, settings), click.echo))

    return ledger


def _plan() -> click.Command:
    from infra.planning.command import plan

    return plan


def _doctor() -> click.Command:
    from infra.doctor import DoctorSettings, State, running_system
    from infra.doctor import main as examine

    @click.command("doctor")
    @options_of(DoctorSettings)
    @click.pass_context
    def doctor(ctx: click.Context, settings: DoctorSettings) -> None:
        """What is there, what is missing, what is misconfigured, in words. It changes nothing."""
        running = running_system(settings.data)
        is_given = ctx.get_parameter_source("kafka") not in (None, ParameterSource.DEFAULT)
        located = _found(ctx, settings, running) if running is not None or is_given else settings
        findings = examine(located, running, has_addresses=running is not None or is_given)
        marks = {State.GOOD: "  ok  ", State.NOTE: " note ", State.BAD: " BAD  "}
        for state, what in findings:
            click.echo(marks[state] + what.replace("\n", "\n      "))
        sys.exit(1 if any(finding.state == State.BAD for finding in findings) else 0)

    return doctor


def _found(ctx: click.Context, settings: Any, running: "Endpoints | None" = None) -> Any:
    """The settings with the addresses of the system that runs with their data folder, where none were given.

    Raises NotRunning.
    """
    from msgspec.structs import replace

    names = [name for name in ("kafka", "redis", "ledger") if name in ctx.params]
    given = [ctx.get_parameter_source(name) not in (None, ParameterSource.DEFAULT) for name in names]
    if all(given[:2]):
        return settings
    if running is None:
        from infra.launcher.endpoints import read_endpoints

        running = read_endpoints(settings.data)
    found = {name: getattr(running, name) for name, known in zip(names, given, strict=True) if not known}
    if "ledger" in found:
        settings = replace(settings, database=replace(settings.database, ledger=found.pop("ledger")))
    return replace(settings, **found)


for _name in PROCESSES:
    maskline.add_command(Lazy(_name, _process(_name), PROCESSES[_name][2]))
maskline.add_command(Lazy("ledger", _ledger, "One ledger: events into SQL. `ledger rebuild` makes it again."))
maskline.add_command(Lazy("demo", _demo, "The whole system with a surge to watch."))
maskline.add_command(Lazy("up", _up, "All services, embedded unless real addresses are given."))
maskline.add_command(Lazy("verify", _verify, "Replay the log and compare everything with it."))
maskline.add_command(Lazy("rebuild", _rebuild, "Replay into Redis what it lacks of the log."))
maskline.add_command(Lazy("plan", _plan, "How many parts of each kind a round needs, and its cost."))
maskline.add_command(Lazy("doctor", _doctor, "What is there, missing, misconfigured, in words."))
maskline.add_command(campaign)
maskline.add_command(user)
maskline.add_command(keys)

if __name__ == "__main__":
    main()
