"""The log itself: its identity, its clock, its rules, and which partition a region lives in."""

from services.domain import commands as c
from services.domain.reasons import Reason
from services.domain.rows import Facts, State
from services.domain.rules.answers import Fact, done, refused


def genesis(state: State, command: c.Genesis) -> Facts:
    """The log's identity. Anywhere but at offset 0 it is a foreign record."""
    head = state.head
    if head.position != 0:
        return refused(Reason.MALFORMED)
    head.log = command.log
    head.key_check = command.key_check
    head.rules = command.rules
    return done(Fact.LOG_BEGAN)


def tick(state: State, command: c.Tick) -> Facts:
    """Record time may run as far as 120 s past the last tick."""
    head = state.head
    head.tick_ms = max(head.tick_ms, command.at_ms)
    return done(Fact.TICKED)


def adopt_rules(state: State, command: c.AdoptRules) -> Facts:
    """Rules are never taken back: a version below the one in force changes nothing."""
    state.head.rules = max(state.head.rules, command.version)
    return done(Fact.RULES_ADOPTED)


def assign_region(state: State, command: c.AssignRegion) -> Facts:
    """The least used partition, for ever; the campaign's name is taken for this region."""
    owner = state.get(f"gn:{command.campaign}")
    if owner is not None and owner != command.region:
        return refused(Reason.CAMPAIGN_ELSEWHERE, owner)
    partition = state.get(f"g:{command.region}")
    if partition is None:
        counts = state.get("gc") or []
        while len(counts) < command.partitions:
            counts.append(0)
        partition = 0
        for i in range(1, command.partitions):
            if counts[i] < counts[partition]:
                partition = i
        counts[partition] += 1
        state.put("gc", counts)
        state.put(f"g:{command.region}", partition)
    state.put(f"gn:{command.campaign}", command.region)
    return done(Fact.REGION_ASSIGNED, partition)
