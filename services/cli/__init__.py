"""The one command, `maskline`. What each command does stands in its own package and is imported when it is asked for.

An error of ours is told in its own words and without a traceback; a command ends with 0 when all is well, 1 when what
was looked at is not (also a campaign file, and what a console refuses), 2 when it could not be done.
"""

import sys

import click

from services.cli.campaigns import campaign
from services.cli.copies import load_backup, load_restore
from services.cli.lazy import Lazy
from services.cli.looking import load_doctor, load_plan, load_rebuild, load_snapshot, load_trace, load_verify
from services.cli.people import keys, user
from services.cli.systems import PROCESSES, load_demo, load_ledger, load_loadtest, load_prepare, load_process, load_up
from services.platform.errors import MasklineError

__all__ = ["PROCESSES", "main", "maskline"]


def main() -> None:
    """The console script."""
    try:
        maskline(prog_name="maskline")
    except MasklineError as error:
        click.echo(f"maskline: {error}", err=True)
        sys.exit(error.exit_code)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="maskline", message="%(prog)s %(version)s")
def maskline() -> None:
    """Mask booking that does not fall over, does not oversell, loses nobody's place, and can prove it."""


for _name in PROCESSES:
    maskline.add_command(Lazy(_name, load_process(_name), PROCESSES[_name][2]))
maskline.add_command(Lazy("ledger", load_ledger, "One ledger: events into SQL. `ledger rebuild` makes it again."))
maskline.add_command(Lazy("demo", load_demo, "The whole system with a surge to watch."))
maskline.add_command(Lazy("up", load_up, "All services, embedded unless real addresses are given."))
maskline.add_command(Lazy("prepare", load_prepare, "What has to be there before the first service starts."))
maskline.add_command(Lazy("loadtest", load_loadtest, "What made other portals fall, with a verdict and a report."))
maskline.add_command(Lazy("verify", load_verify, "Replay the log and compare everything with it."))
maskline.add_command(Lazy("trace", load_trace, "The way of one booking from the log to the ledger."))
maskline.add_command(Lazy("rebuild", load_rebuild, "Replay into Redis what it lacks of the log."))
maskline.add_command(Lazy("snapshot", load_snapshot, "Write down the rows that the log makes, for rebuild."))
maskline.add_command(Lazy("backup", load_backup, "Copy the log, and the secrets, to somewhere else."))
maskline.add_command(Lazy("restore", load_restore, "Bring a copy of the log back, into a Kafka that has none."))
maskline.add_command(Lazy("plan", load_plan, "How many parts of each kind a round needs, and its cost."))
maskline.add_command(Lazy("doctor", load_doctor, "What is there, missing, misconfigured, in words."))
maskline.add_command(campaign)
maskline.add_command(user)
maskline.add_command(keys)
