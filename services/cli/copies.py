"""Copies of what cannot be made again, and the way back."""

import sys
from pathlib import Path

import click

from services.cli.lazy import located
from services.platform.settings import options_of


def load_backup() -> click.Command:
    from services.audit.backup.main import BackupSettings, run_backup

    @click.command("backup")
    @click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
    @click.option("--with-secrets", is_flag=True, help="Copy the secrets too; keep such a copy as you keep them.")
    @click.option("--json", "as_json", is_flag=True, help="JSON lines instead of bars and words.")
    @options_of(BackupSettings)
    @click.pass_context
    def backup(ctx: click.Context, folder: Path, with_secrets: bool, as_json: bool, settings: BackupSettings) -> None:
        """Copy the log into FOLDER: all of it the first time, then what came since.

        Works on a system in use, and changes nothing there. What is interrupted adds nothing to the copy. Exit 0: the
        copy has all that the log had when it began; 2: it has not, and why.
        """
        sys.exit(
            run_backup(lambda: located(ctx, settings), folder, click.echo, with_secrets=with_secrets, as_json=as_json)
        )

    return backup


def load_restore() -> click.Command:
    from services.audit.backup.main import RestoreSettings, run_restore

    @click.command("restore")
    @click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
    @click.option("--json", "as_json", is_flag=True, help="JSON lines instead of bars and words.")
    @options_of(RestoreSettings)
    def restore(folder: Path, as_json: bool, settings: RestoreSettings) -> None:
        """Bring a copy of the log back, from FOLDER into a Kafka that has none, beside an empty Redis.

        Each record gets its place and its time again, so that a replay decides as before; all are read back and
        compared. Secrets that stand in FOLDER are put where there are none. Interrupted, it goes on when it is run
        again; until it has ended nothing starts on that Kafka. Where Kafka asks who you are, come as its administrator:
        no service may change a topic.
        """
        sys.exit(run_restore(settings, folder, click.echo, as_json=as_json))

    return restore
