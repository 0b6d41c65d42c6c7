"""Log lines: JSON on stderr for machines, colours where a person looks on. Each says what happened in `action`.

Nothing is masked here because nothing private is ever passed: no document, phone, reservation id, token or key. So
that an unforeseen error cannot carry one in either, a traceback is told as places in the code, never with the values of
variables, and only errors of ours and of the system bring their message along. What libraries log comes through the
same door as `library_log`, warnings and errors only, a repeated line once in ten seconds (a refused broker would
otherwise log ten times a second).
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog
from structlog.typing import Processor

from services.platform.errors import MasklineError

REPEAT_AFTER_S = 10.0
MAX_REMEMBERED_LINES = 1_000
MAX_FRAMES = 20

Event = MutableMapping[str, Any]


_tells_ways = False


def tells_ways() -> bool:
    """Whether each part says which places of the log have passed it (level debug): a line a batch, never one a booking.
    Who would write one asks first, for a line that is left out costs microseconds as well."""
    return _tells_ways


def configure_logging(service: str, level: str = "info") -> None:
    """Once, at the start of a process. A line costs 5 µs, measured: never one per booking."""
    global _tells_ways  # noqa: PLW0603  # structlog's configuration is the process's as well
    _tells_ways = level == "debug"
    shown: Processor = structlog.dev.ConsoleRenderer(event_key="message") if sys.stderr.isatty() else _json_line
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _error_in_words,
            _Ordered(service),
            shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=_StderrLogger,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [LibraryLog()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def configure_command_logging(service: str, level: str) -> None:
    """The same for a command that a person waits for: it says itself how far it is, so its log begins at warnings,
    unless another level was asked for."""
    configure_logging(service, "warning" if level == "info" else level)


class LibraryLog(logging.Handler):
    """Hands the lines of libraries on, each one once in REPEAT_AFTER_S with the number that was left out."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._log = structlog.get_logger()
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        line = (record.name, str(record.msg))
        last, left_out = self._seen.get(line, (-REPEAT_AFTER_S, 0))
        now = time.monotonic()
        if now - last < REPEAT_AFTER_S:
            self._seen[line] = (last, left_out + 1)
            return
        if len(self._seen) >= MAX_REMEMBERED_LINES:
            self._seen.clear()
        self._seen[line] = (now, 0)
        write = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        error = record.exc_info[1] if record.exc_info else None
        write(record.getMessage(), action="library_log", library=record.name, left_out=left_out, exc_info=error)


class _StderrLogger:
    """One write a line, so that lines of several processes on one terminal do not mix."""

    def __init__(self, *_: object) -> None: ...

    def msg(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    debug = info = warning = error = critical = msg


class _Ordered:
    """Puts first what a reader looks for first: when, how bad, who, what."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: Any, _method: str, event: Event) -> Event:
        first = {"at": event.pop("at"), "level": event.pop("level"), "service": self._service}
        return {**first, "action": event.pop("action", None), "message": event.pop("event", ""), **event}


def _error_in_words(_logger: Any, _method: str, event: Event) -> Event:
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exception()
    if isinstance(error, BaseException):
        known = isinstance(error, MasklineError | OSError)
        event["error"] = f"{type(error).__name__}: {error}" if known else type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
        event["at_code"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def _json_line(_logger: Any, _method: str, event: Event) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
