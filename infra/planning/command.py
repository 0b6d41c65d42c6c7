"""`maskline plan`."""

import datetime as dt
from typing import Final

import click
import msgspec

from infra.planning.arrivals import Arrivals
from infra.planning.plan import plan as made
from infra.planning.words import drained_at, told
from services.platform.settings import options_of

MOST_PEOPLE: Final = 2_000_000_000
HOURS_AND_MINUTES: Final = "%H:%M"


class TimeOfDay(click.ParamType):  # type: ignore[type-arg]  # generic only for the type checker of late versions
    """20:00."""

    name = "HH:MM"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dt.time:
        if isinstance(value, dt.time):
            return value
        try:
            return dt.datetime.strptime(str(value), HOURS_AND_MINUTES).time()  # noqa: DTZ007  # a time of day has no zone
        except ValueError:
            self.fail(f"{value!r} is no time of day: write hours and minutes, as in 20:00.", param, ctx)


class Count(click.ParamType):  # type: ignore[type-arg]
    """People or units, as people write them: 2000000, 2,000,000, 2_000_000."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        digits = str(value).replace(",", "").replace("_", "")
        if not digits.isascii() or not digits.isdigit() or not 1 <= int(digits) <= MOST_PEOPLE:
            self.fail(f"{value!r} is no whole number from 1 to {MOST_PEOPLE:,}.", param, ctx)
        return int(digits)


@click.command("plan")
@click.option("--residents", type=Count(), required=True, help="People who may book.")
@click.option("--units", type=Count(), required=True, help="Units to give out in the round.")
@click.option("--open", "opens", type=TimeOfDay(), default="20:00", show_default=True, help="When booking opens.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of words.")
@options_of(Arrivals)
def plan(residents: int, units: int, opens: dt.time, as_json: bool, settings: Arrivals) -> None:
    """How many partitions, front doors, allocators and Redis shards a round needs, and what a booking costs.

    Arithmetic on measured constants and on what people did elsewhere; every assumption is an option. Nothing is started
    or looked at.
    """
    found = made(residents, units, settings)
    if not as_json:
        for line in told(found, settings, opens):
            click.echo(line)
        return
    over = drained_at(opens, found.rush.drained_s).strftime("%H:%M:%S")
    taken = msgspec.to_builtins(settings)
    click.echo(msgspec.json.encode(msgspec.to_builtins(found) | {"drained_at": over, "assumptions": taken}))
