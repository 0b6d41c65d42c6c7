"""Log lines are JSON, each with its action, and cannot carry a value that only an error knew."""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from services.platform.errors import MasklineError
from services.platform.telemetry import configure_logging

SERVICES = Path(__file__).parents[2] / "services"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


class Known(MasklineError):
    """Partition {partition} stops."""


@pytest.fixture(autouse=True)
def logging_to_json(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:  # capsys first: it replaces stderr
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    configure_logging("front_door")
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    logging.getLogger().handlers = handlers
    logging.getLogger().setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_says_when_who_and_what(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().info("Opened", action="campaign_opened", campaign="gz")
    line = lines(capsys)[0]
    assert list(line) == ["at", "level", "service", "action", "message", "campaign"]
    assert (line["service"], line["action"], line["message"]) == ("front_door", "campaign_opened", "Opened")


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().debug("Nothing", action="nothing")
    assert lines(capsys) == []


def test_an_unforeseen_error_is_told_by_place_and_not_by_value(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        int("11010519491231002X")
    except ValueError as error:
        structlog.get_logger().error("Failed", action="task_failed", exc_info=error)
    line = lines(capsys)[0]
    assert line["error"] == "ValueError"
    assert line["at_code"][0].endswith("test_an_unforeseen_error_is_told_by_place_and_not_by_value")
    assert "11010519491231002X" not in json.dumps(line)


def test_an_error_of_ours_brings_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise Known(partition=3)
    except Known:
        structlog.get_logger().error("Failed", action="task_failed", exc_info=True)
    assert lines(capsys)[0]["error"] == "Known: Partition 3 stops."


def test_a_library_that_repeats_itself_is_heard_once(capsys: pytest.CaptureFixture[str]) -> None:
    for node in range(100):
        logging.getLogger("aiokafka.conn").error("Unable to connect to node %s", node)
    written = lines(capsys)
    assert len(written) == 1
    assert written[0]["action"] == "library_log"
    assert written[0]["library"] == "aiokafka.conn"


def test_what_a_library_only_mentions_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("aiokafka").info("Discovered coordinator")
    assert lines(capsys) == []


def test_every_log_call_in_the_house_names_its_action() -> None:
    missing = [
        f"{path.relative_to(SERVICES)}:{node.lineno}"
        for path in SERVICES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and is_log_call(node) and not any(k.arg == "action" for k in node.keywords)
    ]
    assert missing == []


def is_log_call(node: ast.Call) -> bool:
    function = node.func
    return (
        isinstance(function, ast.Attribute)
        and function.attr in LEVELS
        and isinstance(function.value, ast.Name | ast.Attribute)
        and (function.value.id if isinstance(function.value, ast.Name) else function.value.attr) in {"log", "_log"}
    )
