"""`python -m infra.local up | down | smoke | kafka-jars`: what `make up` and its like call."""

import asyncio
import sys

import click

from infra.local.keeper import LocalSettings
from services.platform.errors import MasklineError
from services.platform.settings import options_of


@click.group()
def local() -> None:
    """The real tier on this machine: Kafka, Redis Cluster, PostgreSQL, our services, nginx, Prometheus."""


@local.command("up")
@options_of(LocalSettings)
def up(settings: LocalSettings) -> None:
    """Start all of it, or say where it is."""
    from infra.local.up_and_down import up as start

    start(settings, click.echo)


@local.command("down")
@options_of(LocalSettings)
@click.option("--wipe", is_flag=True, help="Remove the folder: the log, the secrets, everything.")
def down(settings: LocalSettings, *, wipe: bool) -> None:
    """End all of it."""
    from infra.local.up_and_down import down as end

    end(settings, click.echo, wipe=wipe)


@local.command("smoke")
@options_of(LocalSettings)
def smoke(settings: LocalSettings) -> None:
    """One booking's whole way through what `up` started; the last line has the figures."""
    from infra.local.smoke import smoke as try_it

    try_it(settings, click.echo)


@local.command("kafka-jars")
def jars() -> None:
    """Apache Kafka's jars, fetched by Maven and checked, or a word on what is missing for that."""
    from infra.local.kafka_jars import kafka_jars
    from infra.local.missing import PartMissing

    try:
        asyncio.run(kafka_jars(click.echo))
    except PartMissing as missing:  # `make test-real` names and counts what it cannot run
        click.echo(f"maskline: {missing}", err=True)


@local.command("keep")
@options_of(LocalSettings)
def keep(settings: LocalSettings) -> None:
    """All of it in the foreground, until Ctrl-C; `up` starts this detached."""
    from infra.local.keeper import keep as stay

    stay(settings, click.echo)


if __name__ == "__main__":
    try:
        local(prog_name="make")
    except MasklineError as error:
        click.echo(f"maskline: {error}", err=True)
        sys.exit(error.exit_code)
