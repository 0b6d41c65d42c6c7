"""Commands about a campaign's waiting room: the valve, a round from its preparation to its end, and who may come in."""

from typing import Annotated

from msgspec import Meta

from services.domain.command_base import Command
from services.domain.command_fields import Count, Digest16, Digest256, Name, Text, whole


class SetValve(Command, tag="set_valve", frozen=True):
    """The ops team turns a campaign's waiting room on, off, or to automatic, and how fast it lets people in."""

    id: Digest16
    campaign: Name
    valve: Annotated[str, whole("(off|on|automatic)")]
    outflow_per_s: Annotated[int, Meta(ge=0, le=100_000)] = 0  # people; 0: as fast as they are served
    factor_per_mille: Annotated[int, Meta(ge=1_000, le=10_000)] = 1_500  # people let in at once, for what is left
    actor: Text = ""
    why: Text = ""


class _Round(Command, frozen=True):
    """About one round of a waiting room: each opening of the campaign has its own."""

    campaign: Name
    round: Count


class PrepareRoom(Command, tag="prepare_room", frozen=True):
    """The clock: a round begins. Its seed is committed to before anybody has a ticket in it."""

    id: Digest16
    campaign: Name
    commitment: Digest256


class CountRoom(_Round, tag="count_room", frozen=True):
    """The clock: so many residents are there before the opening. It has no id: the count only grows."""

    people: Annotated[int, Meta(ge=0, le=100_000_000)]


class FreezeRoom(_Round, tag="freeze_room", frozen=True):
    """The clock: the campaign is open, no process gives out early tickets any more. The seed and the count stand."""

    id: Digest16
    seed: Digest256
    people: Annotated[int, Meta(ge=0, le=100_000_000)]


class LeaseNumbers(_Round, tag="lease_numbers", frozen=True):
    """A front door takes numbers for those who come after the opening. It has no id: a repeat gets others."""

    size: Annotated[int, Meta(ge=1, le=10_000)]


class Admit(_Round, tag="admit", frozen=True):
    """The clock: places before this one may come in. It has no id: the place only grows."""

    up_to: Annotated[int, Meta(ge=0, le=1_000_000_000)]


class CloseRoom(_Round, tag="close_room", frozen=True):
    """The clock: nobody waits any more; who comes now needs no ticket."""

    id: Digest16
