"""Commands that look at a system, and at its log: what is there, whether it is right, and Redis made again from it."""

import sys

import click
from click.core import ParameterSource

from services.cli.lazy import located
from services.platform.settings import options_of


def load_verify() -> click.Command:
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
        sys.exit(run(lambda: located(ctx, settings), click.echo, as_json=as_json))

    return verify


def load_rebuild() -> click.Command:
    from services.audit.main import run_rebuild
    from services.audit.rebuild import RebuildSettings

    @click.command("rebuild")
    @click.option("--json", "as_json", is_flag=True, help="JSON lines instead of bars and words.")
    @options_of(RebuildSettings)
    @click.pass_context
    def rebuild(ctx: click.Context, as_json: bool, settings: RebuildSettings) -> None:
        """Replay into Redis what it lacks of the log: after a loss, or before allocators start on an empty one.

        Where a snapshot saves time it is loaded first. Publishes nothing; works beside running allocators. Exit 0:
        Redis has all of the log; 1: a partition must not be touched, and why; 2: could not be done.
        """
        sys.exit(run_rebuild(lambda: located(ctx, settings, user="rebuild"), click.echo, as_json=as_json))

    return rebuild


def load_trace() -> click.Command:
    from services.audit.main import run_trace
    from services.audit.verify import VerifySettings

    @click.command("trace")
    @click.argument("place")
    @click.option("--json", "as_json", is_flag=True, help="One JSON object instead of words.")
    @options_of(VerifySettings)
    @click.pass_context
    def trace(ctx: click.Context, place: str, as_json: bool, settings: VerifySettings) -> None:
        """The way of one booking, or of any command: written, decided, published, in the ledger.

        PLACE is PARTITION:OFFSET, as log lines and events have it, or the status_url that a resident holds. Only reads,
        and tells nothing about a person. Exit 0: it has come to its end; 1: it has not; 2: could not look.
        """
        sys.exit(run_trace(lambda: located(ctx, settings), place, click.echo, as_json=as_json))

    return trace


def load_snapshot() -> click.Command:
    from infra.embedded.stores import own_store
    from services.audit.snapshot_main import SnapshotSettings, run, run_once

    @click.command("snapshot")
    @click.option("--json", "as_json", is_flag=True, help="JSON lines instead of bars and words.")
    @options_of(SnapshotSettings)
    @click.pass_context
    def snapshot(ctx: click.Context, as_json: bool, settings: SnapshotSettings) -> None:
        """Write down each partition's rows at one position, so that a rebuild replays only what came after.

        They come from the log, by a Valkey or Redis that is started for it and ends with it: the Redis that serves is
        not asked. With --every-s 3600 it stays and makes one every hour. Exit 0: every partition has one; 1: one must
        not be touched, and why; 2: could not be done.
        """
        if settings.every_s > 0:
            run(located(ctx, settings), own_store)
        else:
            sys.exit(run_once(lambda: located(ctx, settings), own_store, click.echo, as_json=as_json))

    return snapshot


def load_plan() -> click.Command:
    from infra.planning.command import plan

    return plan


def load_doctor() -> click.Command:
    from infra.doctor import DoctorSettings, State, running_system
    from infra.doctor import main as examine

    @click.command("doctor")
    @options_of(DoctorSettings)
    @click.pass_context
    def doctor(ctx: click.Context, settings: DoctorSettings) -> None:
        """What is there, what is missing, what is misconfigured, in words. It changes nothing."""
        running = running_system(settings.data)
        is_given = ctx.get_parameter_source("kafka") not in (None, ParameterSource.DEFAULT)
        settings = located(ctx, settings, running) if running is not None or is_given else settings
        findings = examine(settings, running, has_addresses=running is not None or is_given)
        marks = {State.GOOD: "  ok  ", State.NOTE: " note ", State.BAD: " BAD  "}
        for state, what in findings:
            click.echo(marks[state] + what.replace("\n", "\n      "))
        sys.exit(1 if any(finding.state == State.BAD for finding in findings) else 0)

    return doctor
