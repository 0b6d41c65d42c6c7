"""A campaign's definition, chunk by chunk until it is sealed, and its rules where they are changed after that."""

from services.domain import commands as c
from services.domain.limits import RULES_KNOWN_MS
from services.domain.reasons import Reason
from services.domain.rows import CampaignRow, Facts, PharmacyRow, Phase, SlotRow, State
from services.domain.rules.answers import Fact, done, refused


def define_campaign(state: State, command: c.DefineCampaign) -> Facts:
    """Begins a definition under a new number; a draft that was never sealed is left behind."""
    before = state.get(f"c:{command.campaign}")
    if before is not None and before.phase != Phase.DRAFT:
        return refused(Reason.ALREADY_DEFINED, before.revision)
    head = state.head
    head.campaigns += 1
    row = CampaignRow(
        no=head.campaigns,
        revision=command.revision,
        region=command.region,
        phase=int(Phase.DRAFT),
        units_max=command.units_max,
        pharmacies=command.pharmacies,
        slots=command.slots,
        household_max=command.rules.household_max,
        cool_down=int(command.rules.cool_down),
        entitled=command.rules.entitled,
        stagger=stagger_of(command.rules, 0),
        waiting_per_mille=command.rules.waiting_per_mille,
        assisted_per_mille=command.rules.assisted_per_mille,
        reserve_per_mille=command.rules.reserve_per_mille,
        demands=demands_of(command.rules),
        delete_ms=command.delete_ms,
    )
    state.put(f"c:{command.campaign}", row)
    state.put(f"n:{row.no}", command.campaign)
    state.put(f"x:{row.no}", command.definition)
    return done(Fact.DEFINED, row.no)


def demands_of(rules: c.CampaignRules) -> int:
    """1 where a campaign asks something of the resident, beyond one live reservation."""
    return int(rules.household_max > 0 or rules.cool_down or rules.entitled > 0 or len(rules.stagger) > 0)


def stagger_of(rules: c.CampaignRules, from_ms: int) -> list[list[int]]:
    """The days on which only some may book; none of them begins before `from_ms`."""
    return [[max(day.from_ms, from_ms), day.to_ms, digit_mask(day.digits)] for day in rules.stagger]


def digit_mask(digits: list[int]) -> int:
    """Digits as bits: {0, 3} is 9."""
    mask = 0
    for digit in digits:
        if mask // 2**digit % 2 == 0:
            mask += 2**digit
    return mask


def add_pharmacies(state: State, command: c.AddPharmacies) -> Facts:
    """A chunk of pharmacies, in order."""
    row = state.get(f"c:{command.campaign}")
    if row is None or row.phase != Phase.DRAFT or row.revision != command.revision:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    if command.first != row.pharmacies_seen:
        return refused(Reason.DEFINITION_INCOMPLETE, row.pharmacies_seen)
    chunk = [
        PharmacyRow(id=p.id, name=p.name, address=p.address, lon_e6=p.lon_e6, lat_e6=p.lat_e6, phone=p.phone)
        for p in command.pharmacies
    ]
    state.put(f"x:{row.no}:p:{command.first}", chunk)
    row.pharmacies_seen += len(chunk)
    state.put(f"c:{command.campaign}", row)
    return done(Fact.PHARMACIES_ADDED, row.pharmacies_seen)


def add_slots(state: State, command: c.AddSlots) -> Facts:
    """A chunk of slots, in order; a slot that is there already makes the chunk malformed."""
    row = state.get(f"c:{command.campaign}")
    if row is None or row.phase != Phase.DRAFT or row.revision != command.revision:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    if command.first != row.slots_seen:
        return refused(Reason.DEFINITION_INCOMPLETE, row.slots_seen)
    ids: list[str] = []
    for slot in command.slots:
        if slot.id in ids or state.get(f"s:{row.no}:{slot.id}") is not None:
            return refused(Reason.MALFORMED)
        ids.append(slot.id)
    for slot in command.slots:
        assisted = slot.units * row.assisted_per_mille // 1000
        reserve = slot.units * row.reserve_per_mille // 1000
        public = slot.units - assisted - reserve
        slot_row = SlotRow(
            pharmacy=slot.pharmacy,
            day=slot.day,
            starts_ms=slot.starts_ms,
            ends_ms=slot.ends_ms,
            day_from_ms=slot.day_from_ms,
            day_to_ms=slot.day_to_ms,
            quota=public,
            cool_until_ms=slot.cool_until_ms,
            grace_until_ms=slot.pick_until_ms,
            release_ms=slot.release_ms,
            promote_until_ms=slot.promote_until_ms,
            change_before_ms=slot.change_until_ms,
            assisted_quota=assisted,
            reserve_quota=reserve,
        )
        state.put(f"s:{row.no}:{slot.id}", slot_row)
        row.cooling_slots += int(slot.cool_until_ms > 0)
        row.promoting_slots += int(slot.promote_until_ms > 0)
        row.quota += slot.units
        row.left += public
        row.assisted_left += assisted
        row.reserve_left += reserve
    state.put(f"x:{row.no}:s:{command.first}", ids)
    row.slots_seen += len(ids)
    state.put(f"c:{command.campaign}", row)
    return done(Fact.SLOTS_ADDED, row.slots_seen)


def add_entitled(state: State, command: c.AddEntitled) -> Facts:
    """A chunk of the list of the entitled, in order."""
    row = state.get(f"c:{command.campaign}")
    if row is None or row.phase != Phase.DRAFT or row.revision != command.revision:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    if command.first != row.entitled_seen:
        return refused(Reason.DEFINITION_INCOMPLETE, row.entitled_seen)
    for resident in command.residents:
        state.put(f"e:{row.no}:{resident}", 1)
    row.entitled_seen += len(command.residents)
    state.put(f"c:{command.campaign}", row)
    return done(Fact.ENTITLED_ADDED, row.entitled_seen)


def seal_definition(state: State, command: c.SealDefinition) -> Facts:
    """The campaign becomes visible, and scheduled, once every chunk is there."""
    row = state.get(f"c:{command.campaign}")
    if row is None:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    if row.phase != Phase.DRAFT or row.revision != command.revision:
        return refused(Reason.ALREADY_DEFINED, row.revision)
    if row.pharmacies_seen != row.pharmacies or row.slots_seen != row.slots or row.entitled_seen != row.entitled:
        return refused(Reason.DEFINITION_INCOMPLETE, row.slots_seen)
    row.phase = int(Phase.SCHEDULED)
    state.put(f"c:{command.campaign}", row)
    catalogue = state.get("cat") or []
    catalogue.append(command.campaign)
    state.put("cat", catalogue)
    return done(Fact.SEALED, row.quota)


def change_rules(state: State, command: c.ChangeRules) -> Facts:
    """Other rules from here on, for whoever comes from here on; what was decided stays as it is.

    Doors that have not read them yet tell nobody's digit. So a campaign that begins to stagger does so a little later.
    """
    row = state.get(f"c:{command.campaign}")
    if row is None or row.phase == Phase.DRAFT:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    if row.revision != command.before:
        return refused(Reason.REVISION_CHANGED, row.revision)
    rules = command.rules
    fixed = fixed_rule(row, rules)
    if fixed != "":
        return refused(Reason.NOT_IN_MID_CAMPAIGN, fixed)
    staggers_from_ms = state.head.now_ms + RULES_KNOWN_MS if len(row.stagger) == 0 else 0
    row.revision = command.revision
    row.units_max = command.units_max
    row.household_max = rules.household_max
    row.cool_down = int(rules.cool_down)
    row.stagger = stagger_of(rules, staggers_from_ms)
    row.waiting_per_mille = rules.waiting_per_mille
    row.demands = demands_of(rules)
    state.put(f"c:{command.campaign}", row)
    state.put(f"x:{row.no}", command.definition)
    return done(Fact.RULES_CHANGED)


def fixed_rule(row: CampaignRow, rules: c.CampaignRules) -> str:
    """The name of a rule among these that cannot be changed to this any more; empty where all can.

    Shares and the list of the entitled were counted out. A cool-down and a waiting list need their times in every slot.
    """
    if rules.entitled != row.entitled:
        return "entitled"
    if rules.assisted_per_mille != row.assisted_per_mille:
        return "assisted_per_mille"
    if rules.reserve_per_mille != row.reserve_per_mille:
        return "reserve_per_mille"
    if rules.cool_down and row.cool_down == 0 and row.cooling_slots < row.slots:
        return "cool_down"
    if rules.waiting_per_mille > 0 and row.waiting_per_mille == 0 and row.promoting_slots < row.slots:
        return "waiting_per_mille"
    return ""
