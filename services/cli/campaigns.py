"""Campaigns as files: `maskline campaign`."""

import sys
from pathlib import Path

import click

from services.cli.lazy import DATA, located
from services.platform.settings import SystemSettings, options_of


@click.group()
def campaign() -> None:
    """Campaigns as files."""


@campaign.command("check")
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Whether a campaign file can be applied; all that is wrong with it, where, and what to do."""
    from services.platform.campaign_files import load

    whole = load(file)
    click.echo(
        f"{file} is right: campaign {whole.campaign} in {whole.region}, {len(whole.pharmacies)} pharmacies, "
        f"{len(whole.slots)} slots, {whole.units} units."
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
    found = asyncio.run(campaign_now(located(ctx, settings), name))
    for path in write_files(found, file or Path(f"{name}.yaml"), overwrite=overwrite):
        click.echo(str(path))
    if missing_list(found):
        click.echo(missing_list(found), err=True)
