"""Several runs beside each other, from the figures that each left as JSON: a page that needs nothing beside itself."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from loadtests.scenarios.report import STYLE
from services.platform.errors import MasklineError

SHOWN: Final = (
    "verdict", "people", "seconds", "wishes", "heard_share", "units", "confirmed", "unused_units", "oversold", "lost",
    "duplicates", "ghosts",
)  # fmt: skip
PERCENTILES: Final = ("p50_ms", "p90_ms", "p99_ms")


class NoFigures(MasklineError):
    """{path} does not hold the figures of a run: name the .json file that `maskline loadtest` wrote beside its page."""


def write_comparison(paths: Sequence[Path], target: Path) -> Path:
    """The page's path. Raises NoFigures."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(comparison([(path.stem, _read(path)) for path in paths]), "utf-8")
    return target


def comparison(runs: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """The HTML: a column a run, a row a figure."""
    rows = [(name, [run.get(name, "") for _, run in runs]) for name in SHOWN]
    for call in sorted({call for _, run in runs for call in run["calls"]}):
        of_call = [run["calls"].get(call, {}) for _, run in runs]
        rows += [(f"{call}, {part}", [each.get(part, "") for each in of_call]) for part in PERCENTILES]
        rows.append((f"{call}, answers", list(map(_answers, of_call))))
    heads = "".join(f"<th>{_text(name)}<br>{_text(run.get('title', ''))}</th>" for name, run in runs)
    body = "".join(
        f"<tr><th>{_text(name)}</th>{''.join(f'<td>{_text(value)}</td>' for value in values)}</tr>"
        for name, values in rows
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Runs beside each other</title>'
        f"<style>{STYLE} main {{ max-width: none; }}</style><main><h1>Runs beside each other</h1>"
        f"<table><tr><th></th>{heads}</tr>{body}</table></main></html>\n"
    )


def _answers(call: dict[str, Any]) -> str:
    return ", ".join(f"{count} × {status}" for status, count in call.get("statuses", {}).items())


def _read(path: Path) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        raise NoFigures(path=path) from error
    if "calls" not in found:
        raise NoFigures(path=path)
    return found


def _text(value: Any) -> str:
    return html.escape(f"{value:g}" if isinstance(value, float) else str(value))
