"""One frozen model per process becomes options, variables and printed lines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import click
import msgspec
import pytest
from click.testing import CliRunner, Result
from msgspec import Meta

from services.platform.settings import ProcessSettings, Settings, options_of


class GroupSettings(Settings, frozen=True, kw_only=True):
    ack_timeout_s: Annotated[float, Meta(description="Seconds to wait.", gt=0)] = 4.0


class ExampleSettings(ProcessSettings, frozen=True, kw_only=True):
    port: Annotated[int, Meta(description="Port to listen on.", ge=0, le=65535)] = 8080
    token: Annotated[str, Meta(description="A key.", extra={"secret": True})] = ""
    pages: Annotated[bool, Meta(description="Serve pages.")] = True
    keys: Annotated[Path | None, Meta(description="A folder.")] = None
    stream: GroupSettings = GroupSettings()


def settings_from(*arguments: str, **environment: str) -> ExampleSettings:
    seen: list[ExampleSettings] = []
    outcome = run(seen, *arguments, **environment)
    assert outcome.exit_code == 0, outcome.output
    return seen[0]


def run(seen: list[ExampleSettings], *arguments: str, **environment: str) -> Result:
    @click.command()
    @options_of(ExampleSettings)
    def command(settings: ExampleSettings) -> None:
        seen.append(settings)

    return CliRunner().invoke(command, arguments, env=environment)


def test_every_field_has_a_default() -> None:
    assert settings_from() == ExampleSettings()


def test_a_field_is_an_option() -> None:
    assert settings_from("--redis-timeout-s", "0.25").redis_timeout_s == 0.25


def test_a_field_is_an_environment_variable() -> None:
    assert settings_from(MASKLINE_START_TIMEOUT_S="3").start_timeout_s == 3.0


def test_an_option_wins_over_the_variable() -> None:
    assert settings_from("--port", "1", MASKLINE_PORT="2").port == 1


def test_a_group_of_settings_shares_the_command_line() -> None:
    assert settings_from("--ack-timeout-s", "2").stream.ack_timeout_s == 2.0


def test_a_switch_can_be_turned_off() -> None:
    assert settings_from("--no-pages").pages is False


def test_a_folder_is_a_path_and_may_be_absent() -> None:
    assert settings_from("--keys", "x/y").keys == Path("x/y")
    assert settings_from().keys is None


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--port", "99999"], "--port"),
        (["--port", "many"], "--port"),
        (["--ack-timeout-s", "0"], "--ack-timeout-s"),
        (["--log-level", "loud"], "--log-level"),
    ],
)
def test_a_wrong_value_ends_in_words_that_name_the_option(arguments: list[str], named: str) -> None:
    outcome = run([], *arguments)
    assert outcome.exit_code == 2
    assert named in outcome.output
    assert "Traceback" not in outcome.output


def test_help_shows_description_default_and_variable() -> None:
    text = " ".join(run([], "--help").output.split())
    assert "Port to listen on." in text
    assert "MASKLINE_PORT" in text
    assert "8080" in text


def test_the_printed_lines_name_every_setting_once() -> None:
    names = [line.split(" = ")[0] for line in ExampleSettings().lines()]
    assert len(names) == len(set(names))
    assert {"kafka", "redis_timeout_s", "ack_timeout_s", "port"} <= set(names)


def test_the_printed_lines_mask_secrets() -> None:
    printed = "\n".join(ExampleSettings(token="s3cret", redis="rediss://user:hunter2@db:6379/0").lines())
    assert "s3cret" not in printed
    assert "hunter2" not in printed
    assert "redis = rediss://user:***@db:6379/0" in printed


def test_help_does_not_show_the_default_of_a_secret() -> None:
    class Guarded(Settings, frozen=True, kw_only=True):
        token: Annotated[str, Meta(description="A key.", extra={"secret": True})] = "from-the-code"

    @click.command()
    @options_of(Guarded)
    def command(settings: Guarded) -> None: ...

    assert "from-the-code" not in CliRunner().invoke(command, ["--help"]).output


def test_settings_cannot_be_changed_after_start() -> None:
    with pytest.raises(AttributeError):
        ExampleSettings().port = 1  # type: ignore[misc]


def test_two_groups_with_the_same_setting_are_refused_where_they_are_written() -> None:
    class Doubled(Settings, frozen=True, kw_only=True):
        ack_timeout_s: Annotated[float, Meta(description="Again.")] = 1.0
        stream: GroupSettings = GroupSettings()

    with pytest.raises(TypeError, match="ack_timeout_s"):
        options_of(Doubled)


def test_settings_survive_as_plain_values() -> None:
    assert msgspec.to_builtins(GroupSettings(ack_timeout_s=1.5)) == {"ack_timeout_s": 1.5}
