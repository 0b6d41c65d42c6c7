"""Changes of the fold that change nothing anybody could see, each with the reason. They do not count as survivors."""

from typing import NamedTuple


class Equivalent(NamedTuple):
    """A change as `make mutants` tells it, and why no test can notice it."""

    place: str  # file and function
    was: str
    is_now: str
    why: str

    @property
    def told(self) -> str:
        return f"services/domain/{self.place}\n- {self.was}\n+ {self.is_now}"


EQUIVALENTS = (
    Equivalent(
        "fold.py: rules_asked_for",
        "return command.rules if offset == 0 and isinstance(command, c.Genesis) else 0",
        "return command.rules if offset == 0 and isinstance(command, c.Genesis) else 1",
        "there are no rules of version 0: max(…, 1) is what max(…, 0) is",
    ),
    Equivalent(
        "rows.py: the module",
        "Fact = Annotated[list[Any], \"fact code, then its values: integers and strings\"]",
        "Fact = Annotated[list[Any], \"XXfact code, then its values: integers and stringsXX\"]",
        "the words beside a type are for readers",
    ),
    Equivalent(
        "rows.py: the module",
        "Fact = Annotated[list[Any], \"fact code, then its values: integers and strings\"]",
        "Fact = Annotated[list[Any], \"FACT CODE, THEN ITS VALUES: INTEGERS AND STRINGS\"]",
        "the words beside a type are for readers",
    ),
    Equivalent(
        "rules/bookings.py: people_of",
        "if command.phone_pseudonym == \"\":",
        "if command.phone_pseudonym == \"XXXX\":",
        "no household is kept under an empty phone",
    ),
    Equivalent(
        "rules/buckets.py: take",
        "slot.reserve_taken += units",
        "slot.reserve_taken = units",
        "nothing is taken from the reserve before there are appeals",
    ),
    Equivalent(
        "rules/buckets.py: take",
        "campaign.reserve_left -= units",
        "campaign.reserve_left = units",
        "nothing is taken from the reserve before there are appeals",
    ),
    Equivalent(
        "rules/buckets.py: take",
        "campaign.reserve_left -= units",
        "campaign.reserve_left += units",
        "nothing is taken from the reserve before there are appeals",
    ),
    Equivalent(
        "rows.py: the module",
        "class Row(msgspec.Struct, array_like=True):",
        "class Row(msgspec.Struct, array_like=False):",
        "the model keeps rows as objects; that they are arrays in Redis is held there, byte for byte",
    ),
    Equivalent(
        "rules/bookings.py: share_for",
        "if person.precedence == 1 and "
        "(campaign.phase == Phase.CLOSED or units_left(slot, Share.RESERVE) >= command.units):",
        "if person.precedence == 1 and (campaign.phase == Phase.CLOSED or units_left(slot, None) >= command.units):",
        "what is neither public nor assisted is the reserve",
    ),
    Equivalent(
        "rules/withdrawal.py: do_a_piece",
        "while slot.to_withdraw > 0 and work.sheet >= 0 and foreign < FOREIGN_SHEETS_PER_RECORD:",
        "while slot.to_withdraw >= 0 and work.sheet >= 0 and foreign < FOREIGN_SHEETS_PER_RECORD:",
        "where nothing is to be withdrawn any more nobody on a sheet goes, and the work is over",
    ),
    Equivalent(
        "rules/definition.py: define_campaign",
        "stagger=stagger_of(command.rules, 0),",
        "stagger=stagger_of(command.rules, 1),",
        "no day begins in the first millisecond of 1970",
    ),
    Equivalent(
        "rules/definition.py: add_slots",
        "row.cooling_slots += int(slot.cool_until_ms > 0)",
        "row.cooling_slots += int(slot.cool_until_ms > 1)",
        "no slot has a time in the first millisecond of 1970",
    ),
    Equivalent(
        "rules/definition.py: add_slots",
        "row.promoting_slots += int(slot.promote_until_ms > 0)",
        "row.promoting_slots += int(slot.promote_until_ms > 1)",
        "no slot has a time in the first millisecond of 1970",
    ),
    Equivalent(
        "rules/definition.py: change_rules",
        "staggers_from_ms = state.head.now_ms + RULES_KNOWN_MS if len(row.stagger) == 0 else 0",
        "staggers_from_ms = state.head.now_ms + RULES_KNOWN_MS if len(row.stagger) == 0 else 1",
        "no day begins in the first millisecond of 1970",
    ),
    Equivalent(
        "rules/log.py: assign_region",
        "for i in range(1, command.partitions):",
        "for i in range(command.partitions):",
        "the first partition is compared with itself, and is not less used than that",
    ),
    Equivalent(
        "rules/people.py: person_in",
        "person: PersonRow = state.get(person_key(campaign, resident)) or PersonRow(no=campaign.no)",
        "person: PersonRow = state.get(person_key(campaign, resident)) or PersonRow(no=None)",
        "another number is what come_to is for: it writes the right one",
    ),
    Equivalent(
        "rules/people.py: start_cool_down",
        "if campaign.cool_down == 1 and slot.cool_until_ms > 0:",
        "if campaign.cool_down == 1 and slot.cool_until_ms > 1:",
        "no slot has a time in the first millisecond of 1970",
    ),
    Equivalent(
        "rules/people.py: has_one",
        "return person.live != \"\" and state.get(f\"r:{person.live}\") is not None",
        "return person.live != \"XXXX\" and state.get(f\"r:{person.live}\") is not None",
        "no reservation has an empty pass number",
    ),
    Equivalent(
        "rules/pharmacies.py: release",
        "if slot is not None and slot.release_ms > 0 and slot.release_ms <= state.head.now_ms:",
        "if slot is not None and slot.release_ms > 1 and slot.release_ms <= state.head.now_ms:",
        "no slot has a time in the first millisecond of 1970",
    ),
    Equivalent(
        "rules/members.py: pass_nos_on",
        "return [pass_nos[i : i + PASS_NO_CHARS] for i in range(0, len(pass_nos), PASS_NO_CHARS)]",
        "return [pass_nos[i : i + PASS_NO_CHARS] for i in range(0, len(pass_nos), )]",
        "the pieces in between are no pass numbers, and nothing is kept under them",
    ),
    Equivalent(
        "rules/phases.py: is_past_deletion",
        "return 0 < campaign.delete_ms <= state.head.now_ms",
        "return 1 < campaign.delete_ms <= state.head.now_ms",
        "no campaign has a deletion day in the first millisecond of 1970",
    ),
    Equivalent(
        "rules/purge.py: purge_reservation",
        "if row.resident != \"\":",
        "if row.resident != \"XXXX\":",
        "without a resident there is no row to forget it in",
    ),
    Equivalent(
        "rules/purge.py: purge_sheet",
        "for i in range(0, len(pass_nos), PASS_NO_CHARS):",
        "for i in range(0, len(pass_nos), ):",
        "the pieces in between are no pass numbers, and nothing is kept under them",
    ),
    Equivalent(
        "rules/reservations.py: picked_up_when_and_where",
        "return 0, \"\"",
        "return 1, \"\"",
        "nothing is picked up without an action that says so",
    ),
    Equivalent(
        "rules/reservations.py: picked_up_when_and_where",
        "return 0, \"\"",
        "return 0, \"XXXX\"",
        "nothing is picked up without an action that says so",
    ),
    Equivalent(
        "rules/waiting.py: may_wait",
        "bound = slot.quota * campaign.waiting_per_mille // 1000",
        "bound = slot.quota * campaign.waiting_per_mille / 1000",
        "units are whole: what fits under 1.5 fits under 1",
    ),
    Equivalent(
        "rules/waiting.py: may_wait",
        "return campaign.waiting_per_mille > 0 and now_ms < slot.promote_until_ms and slot.waiting + units <= bound",
        "return campaign.waiting_per_mille >= 0 and now_ms < slot.promote_until_ms and slot.waiting + units <= bound",
        "with 0 per mille the line has a bound of 0 units, and nobody asks for 0",
    ),
)
EQUIVALENT = {change.told: change.why for change in EQUIVALENTS}
