"""What goes when a campaign's deletion day has come: named by the clock, which looks for it, a bounded piece a command.

Nothing live goes: who did not come is a no-show first. A resident and a sheet go after their reservations, so nothing
that is still to be decided misses its rows, whatever is named and in whatever order.

What stays names nobody: counts of campaigns, slots and sheets, terminals, and first answers (`o:`). Those stand under
keyed digests of what was asked, and say what happened to units of a slot, not to whom.
"""

from services.domain import commands as c
from services.domain.limits import PASS_NO_CHARS
from services.domain.reasons import Reason
from services.domain.rows import CampaignRow, Facts, ReservationState, State
from services.domain.rules.answers import Fact, done, refused
from services.domain.rules.people import forget_pass, forget_person
from services.domain.rules.phases import is_past_deletion, sealed_campaign


def purge(state: State, command: c.Purge) -> Facts:
    """Deletes what is named and of this campaign; the answer counts it, and is the receipt."""
    campaign = sealed_campaign(state, command.campaign)
    if campaign is None:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    if not is_past_deletion(state, campaign):
        return refused(Reason.TOO_EARLY_TO_PURGE, campaign.delete_ms)
    facts = done(
        Fact.PURGED,
        sum(purge_reservation(state, campaign, pass_no) for pass_no in command.pass_nos),
        sum(forget_person(state, campaign, resident) for resident in command.residents),
        sum(purge_row(state, f"h:{campaign.no}:{phone}") for phone in command.phones),
        sum(purge_row(state, f"e:{list_no(state, campaign, command)}:{resident}") for resident in command.entitled),
        sum(purge_sheet(state, campaign, sheet) for sheet in command.sheets),
        sum(purge_waiting(state, campaign, chunk) for chunk in command.waiting),
    )
    state.put(f"c:{command.campaign}", campaign)
    return facts


def list_no(state: State, campaign: CampaignRow, command: c.Purge) -> int:
    """Under which number the named entitled stand: the campaign's, or one that its definition was begun under."""
    return command.draft if state.get(f"n:{command.draft}") == command.campaign else campaign.no


def purge_row(state: State, key: str) -> int:
    """Nobody asks for such a row any more; 1 where there was one."""
    if state.get(key) is None:
        return 0
    state.remove(key)
    return 1


def purge_reservation(state: State, campaign: CampaignRow, pass_no: str) -> int:
    """Whatever became of it, once it is over."""
    key = f"r:{pass_no}"
    row = state.get(key)
    if row is None or row.no != campaign.no:
        return 0
    if row.state == ReservationState.CONFIRMED or row.state == ReservationState.WAITLISTED:
        return 0
    if row.resident != "":
        forget_pass(state, campaign, row.resident, pass_no)
    state.remove(key)
    return 1


def purge_sheet(state: State, campaign: CampaignRow, name: c.SheetName) -> int:
    """Once nothing is kept of its pass numbers, for expiry reads them there. How many sheets there were stays."""
    key = f"m:{campaign.region}:{name.pharmacy}:{name.day}:{name.sheet}"
    sheet = state.get(key)
    if sheet is None or sheet.no != campaign.no:
        return 0
    slot_key = f"s:{sheet.no}:{sheet.slot}"
    slot = state.get(slot_key)
    pass_nos = sheet.pass_nos or slot.on_sheet
    for i in range(0, len(pass_nos), PASS_NO_CHARS):
        if state.get(f"r:{pass_nos[i : i + PASS_NO_CHARS]}") is not None:
            return 0
    if sheet.pass_nos == "":
        slot.on_sheet = ""
        state.put(slot_key, slot)
    state.remove(key)
    return 1


def purge_waiting(state: State, campaign: CampaignRow, name: c.WaitingChunk) -> int:
    """Once nobody waits for the slot and nobody can any more."""
    slot = state.get(f"s:{campaign.no}:{name.slot}")
    if slot is None or slot.waiting > 0 or state.head.now_ms < slot.promote_until_ms:
        return 0
    return purge_row(state, f"w:{campaign.no}:{name.slot}:{name.chunk}")
