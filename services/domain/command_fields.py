"""What the fields of commands may hold: bounded strings of a known alphabet, integers of a known range, and parts that
several of them make up."""

from typing import Annotated

import msgspec
from msgspec import Meta


def whole(form: str, description: str | None = None) -> Meta:
    """A string of this form from end to end. To Python `$` also stands before a last line break."""
    return Meta(pattern=rf"^{form}$(?!\n)", description=description)


Name = Annotated[str, whole("[A-Za-z0-9][A-Za-z0-9._-]{0,47}")]
Digest16 = Annotated[str, whole("[A-Za-z0-9_-]{16}")]
Digest8 = Annotated[str, whole("[A-Za-z0-9_-]{8}")]
Revision = Annotated[str, whole("[0-9a-f]{16}")]
OptionalDigest16 = Annotated[str, whole("([A-Za-z0-9_-]{16})?")]
OptionalName = Annotated[str, whole("([A-Za-z0-9][A-Za-z0-9._-]{0,47})?")]
Text = Annotated[str, Meta(max_length=500)]
Contact = Annotated[str, Meta(max_length=200)]
Ticket = Annotated[str, whole("([+]?[A-Za-z0-9_-]{16})?")]
Digest256 = Annotated[str, whole("[0-9a-f]{64}")]
Units = Annotated[int, Meta(ge=1, le=1_000_000)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
PerMille = Annotated[int, Meta(ge=0, le=1_000)]
TimeMs = Annotated[int, Meta(ge=0, le=4_102_444_800_000)]  # to the year 2100
Day = Annotated[int, Meta(ge=20200101, le=21001231)]


class StaggerDay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A day on which only some may book: those whose digit (0 to 9) is among `digits`."""

    from_ms: TimeMs
    to_ms: TimeMs
    digits: Annotated[list[Annotated[int, Meta(ge=0, le=9)]], Meta(max_length=10)]


class CampaignRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a campaign demands beyond units a person; what is left out is not demanded. Shares are per mille."""

    household_max: Annotated[int, Meta(ge=0, le=1_000)] = 0  # people for whom one phone may act; 0: no limit
    cool_down: bool = False  # who got some not long ago (`Slot.cool_until_ms`) has to wait
    entitled: Count = 0  # people on the list of the entitled, which `add_entitled` brings; 0: everybody is
    stagger: Annotated[list[StaggerDay], Meta(max_length=400)] = []  # on days that are not listed everybody may book
    waiting_per_mille: Annotated[int, Meta(ge=0, le=10_000)] = 0  # units that may wait for a slot, of its public quota
    assisted_per_mille: PerMille = 0
    reserve_per_mille: PerMille = 0

    def __post_init__(self) -> None:
        """Raises ValueError; a record that says so is malformed."""
        if self.assisted_per_mille + self.reserve_per_mille > 1_000:
            raise ValueError("shares are more than everything there is")


class Pharmacy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A pharmacy; coordinates in millionths of a degree, because the fold knows integers only."""

    id: Name
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    address: Annotated[str, Meta(max_length=400)] = ""
    lon_e6: Annotated[int, Meta(ge=-180_000_000, le=180_000_000)] = 0
    lat_e6: Annotated[int, Meta(ge=-90_000_000, le=90_000_000)] = 0
    phone: Annotated[str, Meta(max_length=40)] = ""


class Slot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A pick-up window; the boundaries of its day are integers because the fold knows no time zone."""

    id: Name
    pharmacy: Name
    day: Day
    starts_ms: TimeMs
    ends_ms: TimeMs
    day_from_ms: TimeMs
    day_to_ms: TimeMs
    units: Units
    pick_until_ms: TimeMs = 0  # the end of the grace; 0: the end of the day
    cool_until_ms: TimeMs = 0  # who has a reservation here may book again from then on; 0: at once
    promote_until_ms: TimeMs = 0  # freed units go to the waiting list until then
    change_until_ms: TimeMs = 0  # who is in it may change to another slot until then; 0: until it begins
    release_ms: TimeMs = 0  # what the assisted share has not used becomes public; 0: never


class SheetName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sheet of a pharmacy's day."""

    pharmacy: Name
    day: Day
    sheet: Count


class WaitingChunk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A chunk of a slot's waiting list."""

    slot: Name
    chunk: Count
