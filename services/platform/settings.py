"""One frozen model per process; each field is an option, a `MASKLINE_…` variable, and a line printed at start.

    class ClockSettings(ProcessSettings, frozen=True, kw_only=True):
        tick_s: Annotated[float, Meta(description="Seconds between two ticks.", gt=0)] = 1.0

    @click.command()
    @options_of(ClockSettings)
    def clock(settings: ClockSettings) -> None: ...

makes `--tick-s` and `MASKLINE_TICK_S`. A field that is itself a `Settings` is a group: its fields become options of the
same command, under their own names (`http: HttpSettings = HttpSettings()`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import click
import msgspec
from msgspec import Meta

ENVIRONMENT_PREFIX = "MASKLINE_"
MASK = "***"
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^/@\s]*):([^/@\s]*)@")

Function = TypeVar("Function", bound=Callable[..., Any])


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every settings model: each field is Annotated with its description and has a default."""

    def lines(self) -> list[str]:
        """One `name = value` a line, for printing at start. Secrets and passwords inside URLs are masked."""
        return [f"{option.name} = {_shown(option, value)}" for option, value in self._flat()]

    def _flat(self) -> Iterator[tuple[Option, Any]]:
        for option in _own_options(type(self)):
            value = getattr(self, option.name)
            if isinstance(value, Settings):
                yield from value._flat()
            else:
                yield option, value


LogLevel = Literal["debug", "info", "warning", "error"]


class SecretFiles(Settings, frozen=True, kw_only=True):
    """Where the secrets are (`services.platform.secrets`). A file that is named here is read and never made."""

    secrets: Annotated[Path | None, Meta(description="Folder of the secrets, if not DATA/secrets.")] = None
    pepper_file: Annotated[
        Path | None, Meta(description="File with the pepper, 32 bytes in base64, if not SECRETS/pepper.")
    ] = None
    id_key_file: Annotated[
        Path | None, Meta(description="File with the id key, 32 bytes in base64, if not SECRETS/id.")
    ] = None
    ticket_key_file: Annotated[
        Path | None, Meta(description="File with the ticket key, 32 bytes in base64, if not SECRETS/ticket.")
    ] = None
    pass_keys: Annotated[
        Path | None,
        Meta(description="Folder of the keys that sign passes (*.pem, the last by name signs), if not SECRETS/pass."),
    ] = None
    contact_keys: Annotated[
        Path | None,
        Meta(description="Folder that the console fills with contact keys, if not SECRETS/contact."),
    ] = None


class AccessSettings(Settings, frozen=True, kw_only=True):
    """How a process is let in to Kafka and Redis (`services.platform.access`). Passwords come from files alone."""

    kafka_user: Annotated[
        str, Meta(description="User at Kafka (SCRAM-SHA-512, over TLS). Empty: Kafka asks nobody who they are.")
    ] = ""
    kafka_password_file: Annotated[Path | None, Meta(description="File with the password of that user.")] = None
    kafka_ca_file: Annotated[
        Path | None,
        Meta(description="Certificates that Kafka's must be signed by, which means TLS; with a user: or the system's."),
    ] = None
    redis_user: Annotated[str, Meta(description="User at Redis, where none stands in its URL.")] = ""
    redis_password_file: Annotated[Path | None, Meta(description="File with the password of that user.")] = None
    redis_ca_file: Annotated[
        Path | None,
        Meta(description="Certificates that Redis' must be signed by, for rediss:// URLs; none: the system's."),
    ] = None


class SystemSettings(Settings, frozen=True, kw_only=True):
    """Where a system is: what everything of ours is told that speaks to one."""

    kafka: Annotated[str, Meta(description="Kafka brokers: host:port, more of them after commas.")] = "127.0.0.1:9092"
    redis: Annotated[
        str,
        Meta(description="Redis, as a URL: redis://HOST:PORT/0; of a cluster two nodes or more, HOST:PORT,HOST:PORT."),
    ] = "redis://127.0.0.1:6379/0"
    data: Annotated[Path, Meta(description="Folder of secrets, console users and endpoints.json.")] = Path(".maskline")
    log_level: Annotated[LogLevel, Meta(description="Least important log line that is still written.")] = "info"
    kafka_request_timeout_s: Annotated[
        float,
        Meta(description="Seconds before a request to a Kafka broker is unanswered, and its connection lost.", gt=0),
    ] = 2.0
    redis_timeout_s: Annotated[
        float, Meta(description="Seconds before a call to Redis counts as unanswered.", gt=0)
    ] = 0.5
    start_timeout_s: Annotated[
        float, Meta(description="Seconds to go on trying, at start, to reach Kafka and Redis.", gt=0)
    ] = 30.0
    access: AccessSettings = AccessSettings()


class ProcessSettings(SystemSettings, frozen=True, kw_only=True):
    """What every process of a system is told: it listens, and it has the system's secrets."""

    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    admin_port: Annotated[
        int, Meta(description="Port of /livez, /readyz and /metrics; 0 takes a free one.", ge=0, le=65535)
    ] = 0
    secret_files: SecretFiles = SecretFiles()


def options_of(model: type[Settings]) -> Callable[[Function], Function]:
    """Decorator for a click command: an option and a variable for each field; passes one `settings` object.

    A value that does not fit ends the command in click's words, naming the option.
    """
    options = list(_all_options(model))
    _refuse_doubles(model, options)

    def decorate(command: Function) -> Function:
        @functools.wraps(command)
        def with_settings(*args: Any, **kwargs: Any) -> Any:
            chosen = {option.name: kwargs.pop(option.name) for option in options}
            return command(*args, settings=build(model, chosen), **kwargs)

        decorated: Callable[..., Any] = with_settings
        for option in reversed(options):
            decorated = _click_option(option)(decorated)
        return decorated  # type: ignore[return-value]

    return decorate


def build(model: type[Settings], chosen: dict[str, Any]) -> Settings:
    """A settings object from flat values; what is not named keeps its default. Raises click.BadParameter."""
    values: dict[str, Any] = {}
    for option in _own_options(model):
        if option.group is not None:
            values[option.name] = build(option.group, chosen)
        elif option.name in chosen:
            values[option.name] = _checked(option, chosen[option.name])
    return model(**values)


class Option(NamedTuple):
    """One field of a settings model, as the command line sees it."""

    name: str
    kind: Any
    meta: Meta
    default: Any

    @property
    def group(self) -> type[Settings] | None:
        return self.kind if isinstance(self.kind, type) and issubclass(self.kind, Settings) else None

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def secret(self) -> bool:
        return bool((self.meta.extra or {}).get("secret"))


@functools.cache
def _own_options(model: type[Settings]) -> tuple[Option, ...]:
    found = []
    for field in msgspec.structs.fields(model):
        kind, meta = field.type, Meta()
        if hasattr(kind, "__metadata__"):
            kind, meta = kind.__origin__, next(each for each in kind.__metadata__ if isinstance(each, Meta))
        default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        found.append(Option(field.name, kind, meta, default))
    return tuple(found)


def _all_options(model: type[Settings]) -> Iterator[Option]:
    for option in _own_options(model):
        if option.group is not None:
            yield from _all_options(option.group)
        else:
            yield option


def _refuse_doubles(model: type[Settings], options: list[Option]) -> None:
    names = [option.name for option in options]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise TypeError(f"{model.__name__} has these settings twice: {', '.join(doubles)}")


def _click_option(option: Option) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    flag = f"{option.flag}/--no-{option.flag[2:]}" if option.kind is bool else option.flag
    return click.option(
        flag,
        option.name,
        envvar=ENVIRONMENT_PREFIX + option.name.upper(),
        type=_click_type(option.kind),
        default=option.default,
        show_default=not option.secret,
        show_envvar=True,
        help=option.meta.description,
    )


def _click_type(kind: Any) -> Any:
    if getattr(kind, "__origin__", None) is Literal:
        return click.Choice([str(choice) for choice in kind.__args__])
    arguments = [argument for argument in getattr(kind, "__args__", ()) if argument is not type(None)]
    plain = arguments[0] if len(arguments) == 1 else kind  # `int | None` is typed like `int`
    if plain is Path:
        return click.Path(path_type=Path)
    return plain if plain in (str, int, float, bool) else str


def _checked(option: Option, value: Any) -> Any:
    """Holds the value against the bounds of its Meta (ge, gt, le, pattern, …)."""
    if isinstance(value, Path):
        return value
    try:
        return msgspec.convert(value, Annotated[option.kind, option.meta])
    except msgspec.ValidationError as error:
        raise click.BadParameter(f"{error}. {option.meta.description}", param_hint=option.flag) from error


def _shown(option: Option, value: Any) -> str:
    if option.secret and value:
        return MASK
    return without_password(str(value))


def without_password(url: str) -> str:
    """An address as it may be printed."""
    return _PASSWORD_IN_URL.sub(rf"\1:{MASK}@", url)
