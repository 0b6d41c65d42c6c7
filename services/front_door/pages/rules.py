"""A campaign's rules in sentences: what it does not demand is not told."""

from collections.abc import Mapping

from services.domain.campaign import WEEKDAYS, Stagger, StaggerBy
from services.domain.reasons import Reason
from services.front_door.campaigns import Offered

PER_MILLE = 1_000


def sentences(offered: Offered, words: Mapping[str, str]) -> list[str]:
    """All of them, in the order in which people ask."""
    rules = offered.definition.rules
    documents = words["between"].join(words[kind] for kind in rules.document_types)
    found = [
        words["rule_once"],
        words["rule_units"].format(units_max=rules.units_max),
        words["rule_documents"].format(documents=documents),
    ]
    if rules.entitled:
        found.append(words["rule_entitled"])
    if rules.stagger is not None:
        found.append(turns(rules.stagger, words))
    if rules.household_max:
        found.append(words["rule_household"].format(household_max=rules.household_max))
    if rules.cool_down_days:
        found.append(words["rule_cool_down"].format(days=rules.cool_down_days))
    if rules.assisted is not None and rules.assisted.per_mille + rules.reserve_per_mille == PER_MILLE:
        found.append(words["rule_desk_only"])
    elif rules.assisted is not None and rules.assisted.per_mille:
        found.append(words["rule_assisted"].format(percent=f"{rules.assisted.per_mille / 10:g}"))
    if rules.pickup_grace_h:
        found.append(words["rule_grace"].format(hours=rules.pickup_grace_h))
    if rules.waiting_list is not None:
        found.append(words["rule_waiting"].format(hours=rules.waiting_list.promote_until_h))
    if rules.change_until_h:
        found.append(words["rule_change"].format(hours=rules.change_until_h))
    return found


def behind(reason: str | None, offered: Offered, words: Mapping[str, str]) -> str:
    """The rule by which somebody was refused, in a sentence; empty where the reason says it all."""
    rules = offered.definition.rules
    if reason == Reason.WRONG_DAY.word and rules.stagger is not None:
        return turns(rules.stagger, words)
    if reason == Reason.COOLING_DOWN.word and rules.cool_down_days:
        return words["rule_cool_down"].format(days=rules.cool_down_days)
    return ""


def turns(stagger: Stagger, words: Mapping[str, str]) -> str:
    """Whose turn is when."""
    names = dict(zip(WEEKDAYS, words["weekdays"].split(","), strict=True))
    days = [
        words["turn"].format(weekday=names[day], digits=words["between"].join(map(str, stagger.days[day])))
        for day in WEEKDAYS
        if day in stagger.days
    ]
    if len(days) < len(WEEKDAYS):
        days.append(words["turn_of_all"])
    by = "rule_by_document" if stagger.by is StaggerBy.DOCUMENT_DIGIT else "rule_by_birth_year"
    return words[by].format(turns=words["between_turns"].join(days))
