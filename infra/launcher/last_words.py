"""What a process that ended said last, for a person: its complaints, not its settings."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

TAIL_LINES: Final = 8
TAIL_BYTES: Final = 16_384
MAX_LINE_CHARS: Final = 300
OF_EVERY_LINE: Final = frozenset({"at", "level", "service", "action", "message", "at_code"})
COMPLAINTS: Final = frozenset({"warning", "error", "critical"})
JAVA_FRAME: Final = re.compile(r"\s+(at [\w.$/<>]+\(|\.\.\. \d+ (more|common frames))")
"""Where in its code a broker was. Its last words are several errors, one caused by the other, and why stands first."""


def last_words(output: Path) -> list[str]:
    """The last lines that matter; of log lines warnings and worse, or the very last one where there are none."""
    lines = _tail(output)
    told = [words for line in lines if (words := _complaint(line))]
    if not told and lines:
        told = [_in_words(_fields(lines[-1])) or lines[-1]]
    return [line if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS]} …" for line in told[-TAIL_LINES:]]


def _complaint(line: str) -> str:
    """Empty for a log line that is none."""
    fields = _fields(line)
    if fields is None:
        # plain words: what the command line said at its end, or a part that is not ours
        return "" if JAVA_FRAME.match(line) else line.rstrip()
    return _in_words(fields) if fields.get("level") in COMPLAINTS else ""


def _in_words(fields: dict[str, Any] | None) -> str:
    if fields is None:
        return ""
    more = [f"{name}: {value}" for name, value in fields.items() if name not in OF_EVERY_LINE and name != "settings"]
    return f"{fields.get('message', '')} ({', '.join(more)})" if more else str(fields.get("message", ""))


def _fields(line: str) -> dict[str, Any] | None:
    """Of a log line of ours; None for any other line."""
    with suppress(msgspec.MsgspecError):
        found = msgspec.json.decode(line, type=dict[str, Any])
        return found if "action" in found else None
    return None


def _tail(output: Path) -> list[str]:
    with suppress(OSError), output.open("rb") as log:
        log.seek(0, os.SEEK_END)
        size = log.tell()
        log.seek(max(0, size - TAIL_BYTES))
        lines = log.read().decode(errors="replace").splitlines()
        return [line for line in lines[1 if size > TAIL_BYTES else 0 :] if line.strip()]  # the first one may be torn
    return []
