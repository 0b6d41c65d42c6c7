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
    Mutant("left_in_campaign", "knows the public share alone", "LEFT[share]", "CAMPAIGN.left",
           "test_after_the_end_what_ops_put_into_the_reserve_can_be_had"),
    Mutant("absorb", "takes more than has to go", "math.min(units, slot[SLOT.to_withdraw])", "units",
           "test_who_came_last_loses_a_place_first"),
    Mutant("absorb", "keeps what comes back to a withdrawn slot", "slot[SLOT.withdrawn] == 1 and units or ", "",
           "test_a_pick_up_that_is_taken_back_in_a_withdrawn_slot_can_be_given_back_to_nobody"),
    Mutant("absorb", "has somebody else go as well",
           "slot[SLOT.to_withdraw] = slot[SLOT.to_withdraw] - math.min(gone, slot[SLOT.to_withdraw])", "",
           "test_while_people_are_dealt_with_nobody_gets_what_comes_free"),
    Mutant("absorb", "leaves the units where they came back", "stock(campaign, slot, share, -gone)", "",
           "test_who_came_last_loses_a_place_first"),
    Mutant("absorb", "does not tell the campaign", "campaign[CAMPAIGN.quota] - gone", "campaign[CAMPAIGN.quota]",
           "test_who_came_last_loses_a_place_first"),
)  # fmt: skip
