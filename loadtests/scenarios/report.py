"""A run as a page that needs nothing beside itself, and the same figures as JSON."""

import html
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from loadtests.scenarios.outcome import Outcome
from loadtests.scenarios.plot import Line, plot
from loadtests.scenarios.scenario import Scenario

STYLE: Final = (Path(__file__).parent / "report.css").read_text("utf-8")
OF_STATUS: Final = {
    200: "answered",
    201: "confirmed",
    202: "accepted",
    409: "refused",
    503: "come back",
    0: "no answer",
}
GONE: Final = frozenset({"slot_full", "sold_out"})


def write_report(scenario: Scenario, outcome: Outcome, faults: Sequence[str], folder: Path) -> Path:
    """The page's path; the figures stand beside it under the same name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{scenario.name}-{time.strftime('%Y%m%d-%H%M%S')}.html"
    found = figures(scenario, outcome, faults)
    path.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2))
    path.write_text(page(scenario, outcome, faults, found), "utf-8")
    return path


def figures(scenario: Scenario, outcome: Outcome, faults: Sequence[str]) -> dict[str, Any]:
    """What the page says in numbers; nothing in it is about a person."""
    calls = sorted({each.call for each in outcome.calls})
    truth = msgspec.structs.asdict(outcome.truth)
    return {
        "scenario": scenario.name,
        "title": scenario.title,
        "verdict": "void" if outcome.void_because else "red" if faults else "green",
        "faults": list(faults),
        "void_because": outcome.void_because,
        "people": outcome.people,
        "seconds": outcome.seconds,
        "wishes": len(outcome.wishes),
        "heard_share": round(outcome.heard_share(), 4),
        **truth,
        "calls": {
            call: {
                "statuses": {str(status): count for status, count in sorted(outcome.statuses(call).items())},
                **{f"p{p}_ms": round(outcome.latency_ms(call, p), 1) for p in (50, 90, 99)},
            }
            for call in calls
        },
    }


def page(scenario: Scenario, outcome: Outcome, faults: Sequence[str], found: Mapping[str, Any]) -> str:
    """The HTML."""
    said = found["verdict"]
    why = [outcome.void_because] if outcome.void_because else list(faults)
    parts = [
        f"<h1>{_text(scenario.name)} · {_text(scenario.title)}</h1>",
        f'<p class="verdict {said}">{said}</p>',
        "".join(f'<p class="fault">{_text(line)}</p>' for line in why),
        f"<p>{_text(scenario.happened)}</p><p><b>Kept:</b> {_text(scenario.kept)}</p>",
        _table(("", ""), [(name, found[name]) for name in _SHOWN]),
        *_plots(outcome),
        "<h2>Calls</h2>",
        _table(
            ("call", "answers", "half within", "9 of 10", "99 of 100"),
            [
                (
                    name,
                    ", ".join(f"{count} × {status}" for status, count in call["statuses"].items()),
                    *(f"{call[f'p{p}_ms']:g} ms" for p in (50, 90, 99)),
                )
                for name, call in found["calls"].items()
            ],
        ),
    ]
    title = f"{scenario.name}: {said}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{_text(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
        f"<main>{''.join(parts)}</main></html>\n"
    )


_SHOWN: Final = (
    "people", "seconds", "wishes", "heard_share", "units", "confirmed", "confirmed_units", "unused_units", "rejected",
    "oversold", "lost", "duplicates", "ghosts",
)  # fmt: skip


def _plots(outcome: Outcome) -> list[str]:
    """Over the same seconds, so that they can be read one below the other."""
    by_status: dict[int, dict[int, float]] = defaultdict(dict)
    p50: dict[int, float] = {}
    p99: dict[int, float] = {}
    for second in sorted({each.second for each in outcome.calls if each.call == "book"}):
        of_second = [each for each in outcome.calls if each.call == "book" and each.second == second]
        for each in of_second:
            for status, count in each.statuses.items():
                by_status[status][second] = by_status[status].get(second, 0) + count
        at = _only(outcome, second)
        p50[second], p99[second] = at.latency_ms("book", 50), at.latency_ms("book", 99)
    undecided = {each.second: float(each.end - each.decided) for each in outcome.log}
    cpu: dict[str, dict[int, float]] = defaultdict(dict)
    memory: dict[str, dict[int, float]] = defaultdict(dict)
    for sample in outcome.processes:
        cpu[sample.process][sample.second] = sample.cpu
        memory[sample.process][sample.second] = sample.memory_mib
    marked = [outcome.outage] if outcome.outage else []
    whole = range(round(outcome.seconds))
    counts = {status: {second: of.get(second, 0.0) for second in whole} for status, of in sorted(by_status.items())}
    gone = _sold_out(outcome)
    return [
        plot("Bookings a second, by what they heard",
             [Line(OF_STATUS.get(status, str(status)), of) for status, of in counts.items()], "1/s",
             outcome.seconds, marked),
        plot("From asking to hearing", [Line("half", p50), Line("99 of 100", p99)], "ms", outcome.seconds, marked),
        plot("Slots of which somebody was told that they are gone", [Line("slots", gone)], "", outcome.seconds, marked),
        plot("Commands that are not decided", [Line("undecided", undecided)], "", outcome.seconds, marked),
        plot("CPU", [Line(name, of) for name, of in sorted(cpu.items())], "cores", outcome.seconds, marked),
        plot("Memory", [Line(name, of) for name, of in sorted(memory.items())], "MiB", outcome.seconds, marked),
    ]  # fmt: skip


def _sold_out(outcome: Outcome) -> dict[int, float]:
    """How many slots were gone by each second, by what the crowd was told; nothing where none was."""
    first: dict[str, float] = {}
    for wish in outcome.wishes:
        if wish.reason in GONE and wish.heard_s is not None:
            first[wish.slot] = min(wish.heard_s, first.get(wish.slot, wish.heard_s))
    if not first:
        return {}
    return {second: float(sum(at <= second for at in first.values())) for second in range(round(outcome.seconds))}


def _only(outcome: Outcome, second: int) -> Outcome:
    """The same run, one second of it."""
    notes = [
        msgspec.structs.replace(each, calls=[call for call in each.calls if call.second == second])
        for each in outcome.notes
    ]
    return msgspec.structs.replace(outcome, notes=notes)


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{_text(each)}</th>" for each in heads) if any(heads) else ""
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"


def _text(value: Any) -> str:
    return html.escape(f"{value:g}" if isinstance(value, float) else str(value))
