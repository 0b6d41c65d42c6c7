"""Who has a reservation: the sheets of a pharmacy's day, households, terminals."""

from services.domain.limits import PASS_NO_CHARS, SHEET_LINES
from services.domain.rows import Action, CampaignRow, ReservationRow, SheetRow, SlotRow, State, TerminalState
from services.domain.rules.answers import Fact
from services.domain.rules.phases import is_past_deletion


def is_paired(state: State, terminal: str) -> bool:
    """Whether a terminal may act now."""
    row = state.get(f"t:{terminal}")
    return row is not None and row.state == TerminalState.PAIRED


def is_desk_of(state: State, campaign: CampaignRow, terminal: str) -> bool:
    """Whether a terminal may act now, and stands in the campaign's region."""
    return is_paired(state, terminal) and state.get(f"t:{terminal}").region == campaign.region


def count_household(state: State, campaign: CampaignRow, row: ReservationRow, people: int) -> None:
    """One person more, or one less, for whom a phone acts; nobody asks for it once the deletion day has come."""
    if row.phone != "" and not is_past_deletion(state, campaign):
        key = f"h:{campaign.no}:{row.phone}"
        state.put(key, (state.get(key) or 0) + people)


def remember(state: State, row: ReservationRow, fact: Fact, reason: int = 0) -> None:
    """Something happened to a reservation that nobody asked for just now: no command has this empty id."""
    row.history.append(Action(id="", fact=int(fact), reason=reason, at_ms=state.head.now_ms))


def pass_nos_on(state: State, sheet: SheetRow) -> list[str]:
    """The pass numbers on a sheet, in their order; of an open one they stand in the row of its slot."""
    pass_nos = sheet.pass_nos or state.get(f"s:{sheet.no}:{sheet.slot}").on_sheet
    return [pass_nos[i : i + PASS_NO_CHARS] for i in range(0, len(pass_nos), PASS_NO_CHARS)]


def enrol(state: State, campaign: CampaignRow, slot: SlotRow, row: ReservationRow, pass_no: str) -> int:
    """Writes a pass number on the slot's sheet; its ordinal in pharmacy and day makes the short code.

    The caller puts the slot.
    """
    sheets = f"m:{campaign.region}:{slot.pharmacy}:{slot.day}"
    if slot.on_sheet == "":
        slot.sheet = state.get(sheets) or 0
        state.put(sheets, slot.sheet + 1)
        state.put(f"{sheets}:{slot.sheet}", SheetRow(no=row.no, slot=row.slot))
    line = len(slot.on_sheet) // PASS_NO_CHARS
    slot.on_sheet += pass_no
    if line + 1 == SHEET_LINES:
        state.put(f"{sheets}:{slot.sheet}", SheetRow(no=row.no, slot=row.slot, pass_nos=slot.on_sheet))
        slot.on_sheet = ""
    return slot.sheet * SHEET_LINES + line
