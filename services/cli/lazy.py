"""What commands of the command line share: they are imported late, and find the system that runs."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from infra.launcher.endpoints import Endpoints

DATA: Final = click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path(".maskline"),
    envvar="MASKLINE_DATA",
    show_default=True,
    show_envvar=True,
    help="Data folder of the system.",
)


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


def located(ctx: click.Context, settings: Any, running: "Endpoints | None" = None, user: str = "audit") -> Any:
    """The settings with the addresses of the system that runs with their data folder, where none were given.

    Where that one asks who you are (`make up TLS=1`), and nobody was named, they come as `user`. Raises NotRunning.
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
    if not settings.access.kafka_user:
        from infra.local.guards import access_in

        settings = replace(settings, access=access_in(settings.data, user))
    return replace(settings, **found)
