"""What must hold. Each rule says in words what did not."""

from collections.abc import Iterator

from loadtests.scenarios.outcome import Outcome
from loadtests.scenarios.scenario import Judge

NORMAL_SHARE = 0.9
NORMAL_WITHIN_S = 10.0
ALL_BUT_STRAYS = 0.02
"""Of the units: what nobody found who wanted so many at once."""


def always(outcome: Outcome) -> Iterator[str]:
    """What is promised whatever comes (I1–I5, I7, I10)."""
    truth = outcome.truth
    for name in ("oversold", "lost", "duplicates", "ghosts"):
        if count := getattr(truth, name):
            yield f"{name}: {count}"
    yield from truth.differences
    if truth.confirmed_units + truth.unused_units != truth.units:
        yield f"{truth.confirmed_units} units given and {truth.unused_units} left of {truth.units}"
    for what, count in outcome.unexpected.items():
        yield f"an answer that nobody should get: {what}, {count} times"


def sells_out(outcome: Outcome) -> Iterator[str]:
    """Whatever there is finds somebody, where more want it than there is."""
    if outcome.truth.unused_units > ALL_BUT_STRAYS * outcome.truth.units:
        yield f"{outcome.truth.unused_units} of {outcome.truth.units} units found nobody"


def everybody_hears(least: float) -> Judge:
    """At least this part of all wishes has a last word before its owner's patience ends."""

    def judge(outcome: Outcome) -> Iterator[str]:
        if (share := outcome.heard_share()) < least:
            yield f"only {share:.1%} of the wishes were heard; at least {least:.1%} have to be"

    return judge


def answers_within(call: str, p99_ms: float) -> Judge:
    """99 of 100 answers to a call come so soon."""

    def judge(outcome: Outcome) -> Iterator[str]:
        if (took_ms := outcome.latency_ms(call, 99)) > p99_ms:
            yield f"{call}: 99 of 100 answers within {took_ms:.0f} ms; at most {p99_ms:.0f} ms are allowed"

    return judge


def stays_flat(call: str, before_s: float, added_ms: float) -> Judge:
    """Half of the answers, and nine of ten, come as soon while the public rushes as in the quiet `before_s` seconds."""

    def judge(outcome: Outcome) -> Iterator[str]:
        for percentile in (50, 90):
            before = outcome.latency_ms(call, percentile, until_s=before_s)
            meanwhile = outcome.latency_ms(call, percentile, since_s=before_s)
            if meanwhile > before + added_ms:
                yield f"{call}: {percentile} of 100 within {meanwhile:.0f} ms in the rush, {before:.0f} ms before it"

    return judge


def is_normal_after_the_outage(outcome: Outcome) -> Iterator[str]:
    """No metastable collapse: within NORMAL_WITHIN_S of its end nearly every booking is answered, and stays so."""
    assert outcome.outage is not None  # noqa: S101 -- the scenario's own
    back_s = outcome.outage[1] + NORMAL_WITHIN_S
    good = bad = 0
    for each in outcome.calls:
        if each.call == "book" and each.second >= back_s:
            for status, count in each.statuses.items():
                good, bad = (good + count, bad) if status in (200, 201, 409) else (good, bad + count)
    if good + bad == 0:
        yield "nobody asked any more after the outage: the run was too short"
    elif good < NORMAL_SHARE * (good + bad):
        yield f"{NORMAL_WITHIN_S:g} s after the outage only {good} of {good + bad} requests got their answer"


def honest_people_come_first(least: float) -> Judge:
    """Of the reservations, at least this part belongs to those who are no bots."""

    def judge(outcome: Outcome) -> Iterator[str]:
        got = [wish.life for wish in outcome.wishes if wish.state == "confirmed"]
        honest = sum(life != "bot" for life in got)
        if honest < least * len(got):
            yield f"bots have {len(got) - honest} of {len(got)} reservations"

    return judge


def no_forged_ticket_opens(outcome: Outcome) -> Iterator[str]:
    """Whatever bots send instead of a ticket is refused."""
    for status, count in outcome.statuses("forged").items():
        if status not in (0, 400, 403, 503, 504):
            yield f"forged tickets were answered {status}, {count} times"


def no_place_gets_worse(outcome: Outcome) -> Iterator[str]:
    """Whoever waits, drops out and comes back, hears no place behind the one heard before (I8)."""
    if worse := sum(notes.worse for notes in outcome.notes):
        yield f"{worse} times a place in the waiting room was worse than the one before"
