"""Mutants of buckets.lua."""

from tests.contract.lua_mutants.mutant import Mutant

MUTANTS = (
    Mutant("units_left", "oversells", " - slot[TAKEN[share]]", "",
           "test_a_slot_gives_out_its_quota_and_not_one_unit_more"),
    Mutant("units_taken", "tells of the public share whatever it is asked", "TAKEN[share]", "SLOT.taken",
           "test_a_quota_falls_no_lower_than_what_its_own_share_gave_out"),
    Mutant("take", "takes from the public share whatever share it is",
           "slot[TAKEN[share]] = slot[TAKEN[share]] + units", "slot[SLOT.taken] = slot[SLOT.taken] + units",
           "test_a_desk_books_from_the_assisted_share"),
    Mutant("take", "does not tell the campaign", "campaign[LEFT[share]] - units", "campaign[LEFT[share]]",
           "test_residents_do_not_get_what_is_kept_for_desks_and_appeals"),
    Mutant("stock", "adds to the public share whatever share it is", "slot[QUOTA[share]] = slot[QUOTA[share]] + units",
           "slot[SLOT.quota] = slot[SLOT.quota] + units", "test_a_change_of_quota_is_one_shares"),
    Mutant("stock", "does not tell the campaign", "campaign[LEFT[share]] + units", "campaign[LEFT[share]]",
           "test_nothing_is_released_before_its_time"),
)  # fmt: skip
