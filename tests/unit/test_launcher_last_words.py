"""What is told of a process that ended: its complaints, in words, and not the wall of its settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.launcher.last_words import MAX_LINE_CHARS, TAIL_BYTES, TAIL_LINES, last_words

STARTING = {"action": "starting", "message": "Starting", "level": "info", "settings": ["kafka = 127.0.0.1:9092"] * 60}


def line(message: str, level: str = "error", **more: object) -> str:
    first = {"at": "2026-11-22T20:00:00Z", "level": level, "service": "clock", "action": "x", "message": message}
    return json.dumps(first | more)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "clock.log"


def test_of_a_log_the_complaints_are_told_in_words(output: Path) -> None:
    away = line("Redis did not answer", "warning", why="refused", tries=3)
    end = "maskline: Redis at redis://:***@nowhere did not answer."
    output.write_text("\n".join([json.dumps(STARTING), away, line("Idle", "info"), end, ""]), "utf-8")
    assert last_words(output) == ["Redis did not answer (why: refused, tries: 3)", end]


def test_where_an_error_stood_in_the_code_is_left_to_the_file(output: Path) -> None:
    output.write_text(line("A task failed", error="KeyError", at_code=["/a.py:1 f"] * 20), "utf-8")
    assert last_words(output) == ["A task failed (error: KeyError)"]


def test_of_a_brokers_errors_every_one_is_told_and_not_the_code_between_them(output: Path) -> None:
    frames = "\tat org.apache.kafka.server.ServerSocketFactory$One.open(File.java:56)\n\t... 12 more\n" * TAIL_LINES
    output.write_text(f"ERROR Unable to start\n  KafkaException: Address already in use.\n{frames}", "utf-8")
    assert last_words(output) == ["ERROR Unable to start", "  KafkaException: Address already in use."]


def test_who_never_complained_is_told_by_the_last_line_without_its_settings(output: Path) -> None:
    output.write_text(json.dumps(STARTING) + "\n", "utf-8")
    assert last_words(output) == ["Starting"]


def test_words_that_are_no_log_are_told_as_they_are_and_no_longer_than_a_screen_stands(output: Path) -> None:
    output.write_text("\n".join(["{not ours}", '{"a": 1}', "x" * 1_000]), "utf-8")
    first, second, third = last_words(output)
    assert (first, second) == ("{not ours}", '{"a": 1}')
    assert len(third) == MAX_LINE_CHARS + 2


def test_only_the_end_of_a_long_log_is_told(output: Path) -> None:
    output.write_text("\n".join(f"line {number}" for number in range(TAIL_BYTES)), "utf-8")
    told = last_words(output)
    assert len(told) == TAIL_LINES
    assert told[-1] == f"line {TAIL_BYTES - 1}"


@pytest.mark.parametrize("content", [None, b"", b"\n\n", b"\xff\xfe"])
def test_nothing_and_garbage_are_no_error(output: Path, content: bytes | None) -> None:
    if content is not None:
        output.write_bytes(content)
    assert len(last_words(output)) <= 1
