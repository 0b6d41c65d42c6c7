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


def person_of(state: State, campaign: CampaignRow, resident: str) -> PersonRow:
    """The resident's row, whichever campaign it is about. What is deleted is as if it had never been."""
    return state.get(person_key(campaign, resident)) or PersonRow(no=0)


def person_in(state: State, campaign: CampaignRow, resident: str) -> PersonRow:
    """The resident's row, about this campaign. The caller puts it."""
    person: PersonRow = state.get(person_key(campaign, resident)) or PersonRow(no=campaign.no)
    if person.no != campaign.no:
        come_to(state, campaign, resident, person)
    return person


def come_to(state: State, campaign: CampaignRow, resident: str, person: PersonRow) -> None:
    """What was about another campaign goes aside, and what stands aside of this one comes back."""
    if person.live != "" or person.refusals > 0 or person.precedence == 1:
        aside = PersonRow(no=person.no, live=person.live, refusals=person.refusals, precedence=person.precedence)
        state.put(aside_key(person.no, resident), aside)
        person.aside += 1
    earlier = state.get(aside_key(campaign.no, resident))
    if earlier is None:
        person.no, person.live, person.refusals, person.precedence = campaign.no, "", 0, 0
    else:
        person.no, person.live, person.refusals = campaign.no, earlier.live, earlier.refusals
        person.precedence = earlier.precedence
        state.remove(aside_key(campaign.no, resident))
        person.aside -= 1
    state.put(person_key(campaign, resident), person)


def key_in(state: State, campaign: CampaignRow, resident: str) -> str:
    """Where it stands what the resident did in this campaign, in front or aside."""
    if person_of(state, campaign, resident).no == campaign.no:
        return person_key(campaign, resident)
    return aside_key(campaign.no, resident)


def free_person(state: State, campaign: CampaignRow, row: ReservationRow) -> None:
    """The resident has no live reservation any more, and may book again."""
    key = key_in(state, campaign, row.resident)
    person = state.get(key)
    person.live = ""
    state.put(key, person)


def give_precedence(state: State, campaign: CampaignRow, row: ReservationRow) -> None:
    """The resident lost a place and did nothing for it: the reserve is theirs as well, and earlier tries do not count.

    The caller puts the campaign.
    """
    key = key_in(state, campaign, row.resident)
    person = state.get(key)
    campaign.precedence += 1
    person.precedence = 1
    person.refusals = 0
    state.put(key, person)


def use_precedence(state: State, campaign: CampaignRow, resident: str) -> None:
    """The resident has got units again. The caller puts the campaign."""
    if campaign.precedence == 0:
        return
    key = key_in(state, campaign, resident)
    person = state.get(key)
    if person is not None and person.precedence == 1:
        campaign.precedence -= 1
        person.precedence = 0
        state.put(key, person)


def start_cool_down(state: State, campaign: CampaignRow, slot: SlotRow, row: ReservationRow, pass_no: str) -> None:
    """Who got some has to wait, across the campaigns of the region; not once a campaign asks for that no more."""
    if campaign.cool_down == 1 and slot.cool_until_ms > 0:
        key = person_key(campaign, row.resident)
        person = person_of(state, campaign, row.resident)
        person.cool_until_ms = slot.cool_until_ms
        person.cool_pass_no = pass_no
        state.put(key, person)


def end_cool_down(state: State, campaign: CampaignRow, row: ReservationRow, pass_no: str) -> None:
    """Who gives a reservation back before its slot begins does not have to wait."""
    person = person_of(state, campaign, row.resident)
    if person.cool_pass_no == pass_no:
        person.cool_until_ms = 0
        person.cool_pass_no = ""
        state.put(person_key(campaign, row.resident), person)


def forget_pass(state: State, campaign: CampaignRow, resident: str, pass_no: str) -> None:
    """A cool-down goes on when the reservation that began it is deleted, and does not tell of it."""
    person = person_of(state, campaign, resident)
    if person.cool_pass_no == pass_no:
        person.cool_pass_no = ""
        state.put(person_key(campaign, resident), person)


def forget_person(state: State, campaign: CampaignRow, resident: str) -> int:
    """Deletes what the resident did in this campaign; 1 where something went.

    Until when they have to wait is kept until it is over, and then nothing. Whose reservation is still there stays.
    The caller puts the campaign.
    """
    key = person_key(campaign, resident)
    person = person_of(state, campaign, resident)
    aside = state.get(aside_key(campaign.no, resident))
    gone = 0
    if aside is not None and not has_one(state, aside):
        campaign.precedence -= aside.precedence
        state.remove(aside_key(campaign.no, resident))
        person.aside -= 1
        gone = 1
    if person.no == campaign.no and not has_one(state, person):
        campaign.precedence -= person.precedence
        person.no, person.live, person.refusals, person.precedence = 0, "", 0, 0
        gone = 1
    if says_nothing(state, person):
        gone = 1 if state.get(key) is not None else 0
        state.remove(key)
    elif gone == 1:
        state.put(key, person)
    return gone


def has_one(state: State, person: PersonRow) -> bool:
    """Whether the reservation that a row names is still kept, live or picked up."""
    return person.live != "" and state.get(f"r:{person.live}") is not None


def says_nothing(state: State, person: PersonRow) -> bool:
    """Whether a row says no more than no row."""
    says_of_campaigns = person.live != "" or person.refusals > 0 or person.aside > 0 or person.precedence == 1
    return not says_of_campaigns and person.cool_until_ms <= state.head.now_ms
