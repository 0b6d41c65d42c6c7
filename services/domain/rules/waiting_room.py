"""A campaign's waiting room: the few numbers that keep everybody's place, and how many a ticket lets in.

Who waits is not here: a ticket is signed and carries what its place is made of (DESIGN section 5).
"""

from services.domain import commands as c
from services.domain.reasons import Reason
from services.domain.rows import CampaignRow, Facts, Phase, RoomRow, State, Valve
from services.domain.rules.answers import Fact, done, refused
from services.domain.rules.phases import sealed_campaign

VALVES = {"off": Valve.OFF, "on": Valve.ON, "automatic": Valve.AUTOMATIC}
OF_ANOTHER = "+"
"""Before the receipt of a ticket with which somebody else than its own resident books."""


def set_valve(state: State, command: c.SetValve) -> Facts:
    """Off lets everybody in at once; on, in an open campaign, begins a round at once."""
    campaign = sealed_campaign(state, command.campaign)
    if campaign is None:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    room = state.get(f"q:{campaign.no}") or RoomRow()
    room.valve = int(VALVES[command.valve])
    room.outflow_per_s = command.outflow_per_s
    room.factor_per_mille = command.factor_per_mille
    if room.valve == Valve.OFF:
        room.active = 0
    elif room.valve == Valve.ON and room.active == 0 and has_opened(campaign):
        begin_round(room, campaign, "")
    state.put(f"q:{campaign.no}", room)
    return done(Fact.VALVE_SET, room.round, room.active)


def prepare_room(state: State, command: c.PrepareRoom) -> Facts:
    """A round begins: before an opening, or for a rush that nobody expected."""
    campaign = sealed_campaign(state, command.campaign)
    if campaign is None:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    room: RoomRow | None = state.get(f"q:{campaign.no}")
    if room is None or room.valve == Valve.OFF:
        return refused(Reason.NO_WAITING_ROOM)
    if has_opened(campaign) and room.active == 1:  # people wait in it
        return refused(Reason.WRONG_PHASE, campaign.phase)
    begin_round(room, campaign, command.commitment)
    state.put(f"q:{campaign.no}", room)
    return done(Fact.ROOM_PREPARED, room.round)


def count_room(state: State, command: c.CountRoom) -> Facts:
    """The count only grows: a Redis that lost it counts again from nothing."""
    campaign, room = room_of(state, command)
    if campaign is None or room is None or room.frozen == 1:
        return refused(Reason.NO_WAITING_ROOM)
    room.early = max(room.early, command.people)
    state.put(f"q:{campaign.no}", room)
    return done(Fact.ROOM_COUNTED, room.early)


def freeze_room(state: State, command: c.FreezeRoom) -> Facts:
    """After the opening: from here on everybody who was there has a place, and can recompute it."""
    campaign, room = room_of(state, command)
    if campaign is None or room is None or room.frozen == 1:
        return refused(Reason.NO_WAITING_ROOM)
    if not has_opened(campaign):
        return refused(Reason.WRONG_PHASE, campaign.phase)
    room.early = max(room.early, command.people)
    room.seed = command.seed
    room.frozen = 1
    state.put(f"q:{campaign.no}", room)
    return done(Fact.ROOM_FROZEN, room.early)


def lease_numbers(state: State, command: c.LeaseNumbers) -> Facts:
    """Numbers in the order of arrival, for those who come after the opening."""
    campaign, room = room_of(state, command)
    if campaign is None or room is None:
        return refused(Reason.NO_WAITING_ROOM)
    if not has_opened(campaign):
        return refused(Reason.WRONG_PHASE, campaign.phase)
    first = room.late
    room.late += command.size
    state.put(f"q:{campaign.no}", room)
    return done(Fact.NUMBERS_LEASED, first, command.size)


def admit(state: State, command: c.Admit) -> Facts:
    """More people may come in, never fewer; nobody before everybody has a place."""
    campaign, room = room_of(state, command)
    if campaign is None or room is None or room.frozen == 0:
        return refused(Reason.NO_WAITING_ROOM)
    room.serving = max(room.serving, min(command.up_to, room.early + room.late))
    state.put(f"q:{campaign.no}", room)
    return done(Fact.ADMITTED, room.serving)


def close_room(state: State, command: c.CloseRoom) -> Facts:
    """Nobody waits any more."""
    campaign, room = room_of(state, command)
    if campaign is None or room is None:
        return refused(Reason.NO_WAITING_ROOM)
    room.active = 0
    state.put(f"q:{campaign.no}", room)
    return done(Fact.ROOM_CLOSED)


def room_of(
    state: State, command: c.CountRoom | c.FreezeRoom | c.LeaseNumbers | c.Admit | c.CloseRoom
) -> tuple[CampaignRow | None, RoomRow | None]:
    """The campaign and its room, where people wait in the round that the command is about."""
    campaign = sealed_campaign(state, command.campaign)
    room: RoomRow | None = None if campaign is None else state.get(f"q:{campaign.no}")
    if room is None or room.active == 0 or room.round != command.round:
        return campaign, None
    return campaign, room


def has_opened(campaign: CampaignRow) -> bool:
    """Whether the opening is behind us; a pause keeps places."""
    return campaign.phase in (Phase.OPEN, Phase.PAUSED)


def begin_round(room: RoomRow, campaign: CampaignRow, commitment: str) -> None:
    """All places anew. Where the campaign is open already, nobody was there before."""
    room.round += 1
    room.active = 1
    room.commitment = "" if has_opened(campaign) else commitment
    room.seed = ""
    room.early = 0
    room.frozen = int(has_opened(campaign))
    room.late = 0
    room.serving = 0


def why_not_ticket(state: State, campaign: CampaignRow, ticket: str) -> Reason | None:
    """What stands against another's ticket: its own resident comes first, and then as many as a household has."""
    if not ticket.startswith(OF_ANOTHER):
        return None
    people = state.get(f"h:{campaign.no}:{ticket[1:]}") or 0
    if people == 0:
        return Reason.TICKET_INVALID
    return Reason.TICKET_USED_UP if people >= campaign.household_max else None


def use_ticket(state: State, campaign: CampaignRow, ticket: str) -> None:
    """One person more whom it let in; its own resident counts once, however often they book."""
    if ticket == "":
        return
    key = f"h:{campaign.no}:{ticket.removeprefix(OF_ANOTHER)}"
    people = state.get(key) or 0
    if people == 0 or ticket.startswith(OF_ANOTHER):
        state.put(key, people + 1)
