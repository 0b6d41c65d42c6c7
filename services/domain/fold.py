"""The reference fold: what every command means, in plain Python.

Nothing here knows a clock, chance, a time zone or the network: a decision rests on the record (its time stamp included)
and on the rows of its partition, so the same log always gives the same decisions. `services/state/library/fold.lua` is
the twin that runs in Redis; property tests hold the two against each other, and `maskline verify` replays any log here.

A decision is a list of facts. The first is the answer to the command; a fact is a list that begins with its `Fact`.
"""

from collections.abc import Callable
from typing import Any

from services.domain import commands as c
from services.domain.limits import AHEAD_OF_TICK_MS, RULES_VERSION
from services.domain.reasons import Reason
from services.domain.rows import Facts, State
from services.domain.rules import (
    bookings,
    definition,
    log,
    offline,
    pharmacies,
    phases,
    purge,
    reservations,
    waiting,
    waiting_room,
    withdrawal,
)
from services.domain.rules.answers import Fact, refused, repeated


class RulesTooNewError(Exception):
    """The log asks for rules that this version does not know; nothing was applied."""


def apply(state: State, *, offset: int, timestamp_ms: int, digest: int, command: c.Command) -> Facts:
    """Decide one record at its place and move the position past it.

    `offset` must be the position: the log has no holes. Raises `RulesTooNewError` before anything is changed.
    """
    head = state.head
    if offset != head.position:
        raise ValueError(f"offset {offset} does not follow position {head.position}")
    version = max(head.rules, rules_asked_for(offset, command))
    if version > RULES_VERSION:
        raise RulesTooNewError(version)
    if offset == 0:
        head.tick_ms = timestamp_ms
    head.now_ms = max(head.now_ms, min(timestamp_ms, head.tick_ms + AHEAD_OF_TICK_MS))
    facts = decide(state, command) + waiting.do_a_piece(state) + withdrawal.do_a_piece(state)
    head.position = offset + 1
    head.digest = digest
    return facts


def rules_asked_for(offset: int, command: c.Command) -> int:
    """The version of the rules that a record brings into force; 0 for all that bring none.

    A genesis record elsewhere is a foreign one: it must not be able to stop a partition.
    """
    if isinstance(command, c.AdoptRules):
        return command.version
    return command.rules if offset == 0 and isinstance(command, c.Genesis) else 0


def decide(state: State, command: c.Command) -> Facts:
    """What the rules say to this command in this state. Changes the rows of `state`, and nothing else."""
    rule = RULES.get(type(command))
    if rule is None:
        return refused(Reason.MALFORMED)
    if type(command) not in REMEMBERED:
        return rule(state, command)
    key = f"o:{command.id}"  # type: ignore[attr-defined]
    first = state.get(key)
    if first is not None:
        return repeated(first[0])
    facts = rule(state, command)
    if facts[0][0] != Fact.REPEATED:  # of another command's answer: that one is remembered already
        state.put(key, facts[:1])
    return facts


RULES: dict[type[c.Command], Callable[[State, Any], Facts]] = {
    c.Genesis: log.genesis,
    c.Tick: log.tick,
    c.AdoptRules: log.adopt_rules,
    c.AssignRegion: log.assign_region,
    c.DefineCampaign: definition.define_campaign,
    c.AddPharmacies: definition.add_pharmacies,
    c.AddSlots: definition.add_slots,
    c.AddEntitled: definition.add_entitled,
    c.SealDefinition: definition.seal_definition,
    c.ChangeRules: definition.change_rules,
    c.Open: phases.open_campaign,
    c.Pause: phases.pause,
    c.Resume: phases.resume,
    c.Close: phases.close,
    c.Reserve: bookings.reserve,
    c.Cancel: reservations.cancel,
    c.ChangeSlot: reservations.change_slot,
    c.PickUp: reservations.pick_up,
    c.RecordPickUp: offline.record_pick_up,
    c.UndoPickUp: reservations.undo_pick_up,
    c.ChangeQuota: pharmacies.change_quota,
    c.WithdrawSlot: withdrawal.withdraw_slot,
    c.MoveSlot: withdrawal.move_slot,
    c.Release: pharmacies.release,
    c.EndWaiting: waiting.end_waiting,
    c.Expire: pharmacies.expire,
    c.Purge: purge.purge,
    c.InviteTerminal: pharmacies.invite_terminal,
    c.PairTerminal: pharmacies.pair_terminal,
    c.RevokeTerminal: pharmacies.revoke_terminal,
    c.SetValve: waiting_room.set_valve,
    c.PrepareRoom: waiting_room.prepare_room,
    c.CountRoom: waiting_room.count_room,
    c.FreezeRoom: waiting_room.freeze_room,
    c.LeaseNumbers: waiting_room.lease_numbers,
    c.Admit: waiting_room.admit,
    c.CloseRoom: waiting_room.close_room,
}

# Their first answer is kept for ever under their id. A reservation and what happens to it remember their own.
REMEMBERED: frozenset[type[c.Command]] = frozenset(
    {
        c.AdoptRules,
        c.AssignRegion,
        c.DefineCampaign,
        c.AddPharmacies,
        c.AddSlots,
        c.AddEntitled,
        c.SealDefinition,
        c.ChangeRules,
        c.Open,
        c.Pause,
        c.Resume,
        c.Close,
        c.RecordPickUp,
        c.ChangeQuota,
        c.WithdrawSlot,
        c.MoveSlot,
        c.Release,
        c.EndWaiting,
        c.Expire,
        c.InviteTerminal,
        c.PairTerminal,
        c.RevokeTerminal,
        c.SetValve,
        c.PrepareRoom,
        c.FreezeRoom,
        c.CloseRoom,
    }
)
