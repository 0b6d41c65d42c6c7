"""A version to come, made of this one: rules and library of version 2, in this process alone.

It knows a command that this version cannot read (`greet`), and gives nobody more than UNITS_MAX units. Neither counts
before version 2 is in force: until then it decides as this version does. That is how a change of the rules is written:
what is new stands behind the version in force, in both twins.
"""

import copy
from typing import Any, Final

import msgspec

from services.domain import commands, events, fold, limits
from services.domain.reasons import Reason
from services.domain.rows import Facts, State
from services.domain.rules import bookings
from services.domain.rules.answers import Fact, done, refused

VERSION: Final = 2
UNITS_MAX: Final = 2


class Greet(commands.Command, tag="greet", frozen=True):
    """A command of version 2."""

    words: str = ""


def greeting() -> bytes:
    """A record that only version 2 can read."""
    return commands.encode(Greet(words="good evening"))


def changes_of_the_library(in_force_from: int) -> tuple[tuple[str, str], ...]:
    """What stands in the text of the library, and what stands there in version 2."""
    in_force = f"head[HEAD.rules] >= {in_force_from}"
    rule = "  local rule = RULES[command.type]\n"
    greet = f"  if command.type == 'greet' and {in_force} then return done(FACT.TICKED) end\n"
    limit = "  if booking[BOOKING.units] > campaign[CAMPAIGN.units_max] then return REASON.UNITS_OVER_LIMIT end\n"
    most = f"({in_force} and {UNITS_MAX} or campaign[CAMPAIGN.units_max])"
    return (rule, rule + greet), (limit, limit.replace("campaign[CAMPAIGN.units_max]", most))


def put_in_place(in_force_from: int = VERSION) -> None:
    """From now on this process is of version 2. What is new counts from this version of the rules on."""
    decide, why_not = fold.decide, bookings.why_not

    def decide_2(state: State, command: commands.Command) -> Facts:
        if not isinstance(command, Greet):
            return decide(state, command)
        return done(Fact.TICKED) if state.head.rules >= in_force_from else refused(Reason.MALFORMED)

    def why_not_2(state: State, campaign: Any, *others: Any) -> Any:
        if state.head.rules >= in_force_from:
            campaign = copy.copy(campaign)
            campaign.units_max = UNITS_MAX
        return why_not(state, campaign, *others)

    vars(limits)["RULES_VERSION"] = vars(fold)["RULES_VERSION"] = VERSION
    vars(commands)["_decoder"] = msgspec.json.Decoder(commands.AnyCommand | Greet)
    vars(events)["_FIELDS"][Greet], vars(events)["_WORDS"][Greet] = (), "greet"
    vars(fold)["decide"], vars(bookings)["why_not"] = decide_2, why_not_2
