"""A resident: the one live reservation, the refusals so far, and until when they have to wait.

The row of a resident is about one campaign, the one they came to last. What they did in an earlier one stands aside.
"""

from services.domain.rows import CampaignRow, PersonRow, ReservationRow, SlotRow, State


def person_key(campaign: CampaignRow, resident: str) -> str:
    """One row for all campaigns of a region."""
    return f"p:{campaign.region}:{resident}"


def aside_key(no: int, resident: str) -> str:
    """Where it stands what somebody did in an earlier campaign."""
    return f"a:{no}:{resident}"


def person_in(state: State, campaign: CampaignRow, resident: str) -> PersonRow:
    """The resident's row, about this campaign. The caller puts it."""
    person: PersonRow = state.get(person_key(campaign, resident)) or PersonRow(no=campaign.no)
    if person.no != campaign.no:
        come_to(state, campaign, resident, person)
    return person


def come_to(state: State, campaign: CampaignRow, resident: str, person: PersonRow) -> None:
    """What was about another campaign goes aside, and what stands aside of this one comes back."""
    if person.live != "" or person.refusals > 0:
        aside = PersonRow(no=person.no, live=person.live, refusals=person.refusals)
        state.put(aside_key(person.no, resident), aside)
    earlier = state.get(aside_key(campaign.no, resident))
    if earlier is None:
        person.no, person.live, person.refusals = campaign.no, "", 0
    else:
        person.no, person.live, person.refusals = campaign.no, earlier.live, earlier.refusals
        state.remove(aside_key(campaign.no, resident))
    state.put(person_key(campaign, resident), person)


def free_person(state: State, campaign: CampaignRow, row: ReservationRow) -> None:
    """The resident has no live reservation any more, and may book again."""
    key = person_key(campaign, row.resident)
    if state.get(key).no != campaign.no:
        key = aside_key(campaign.no, row.resident)
    person = state.get(key)
    person.live = ""
    state.put(key, person)


def start_cool_down(state: State, campaign: CampaignRow, slot: SlotRow, row: ReservationRow, pass_no: str) -> None:
    """Who got some has to wait, across the campaigns of the region; not once a campaign asks for that no more."""
    if campaign.cool_down == 1 and slot.cool_until_ms > 0:
        key = person_key(campaign, row.resident)
        person = state.get(key)
        person.cool_until_ms = slot.cool_until_ms
        person.cool_pass_no = pass_no
        state.put(key, person)


def end_cool_down(state: State, campaign: CampaignRow, row: ReservationRow, pass_no: str) -> None:
    """Who gives a reservation back before its slot begins does not have to wait."""
    key = person_key(campaign, row.resident)
    person = state.get(key)
    if person.cool_pass_no == pass_no:
        person.cool_until_ms = 0
        person.cool_pass_no = ""
        state.put(key, person)
