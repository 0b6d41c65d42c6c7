"""Mutants of members.lua."""

from tests.contract.lua_mutants.mutant import Mutant

MUTANTS = (
    Mutant("is_paired", "believes a terminal that was invited or revoked",
           " and row[TERMINAL.state] == TERMINAL_STATE.PAIRED", "", "test_a_terminal_that_is_none_is_not_believed"),
    Mutant("is_desk_of", "lets a desk of another city act here",
           " and get(K.t .. terminal)[TERMINAL.region] == campaign[CAMPAIGN.region]", "",
           "test_nor_does_it_cancel_or_change_what_is_booked_there"),
    Mutant("count_household", "counts one household for all campaigns", "text[campaign[CAMPAIGN.no]]", "'1'",
           "test_the_limit_of_a_household_is_one_campaigns"),
    Mutant("count_household", "takes nobody off the count", "+ people", "+ math.abs(people)",
           "test_a_no_show_frees_the_place_so_that_nobody_is_counted_twice"),
    Mutant("sheets_key", "has one list for all days", " .. ':' .. text[slot[SLOT.day]]", " .. ':20200201'",
           "test_every_reservation_of_a_pharmacy_and_day_has_its_own_ordinal"),
    Mutant("sheets_key", "has one list for a pharmacy of that name in every city",
           "campaign[CAMPAIGN.region] .. ':' .. ", "'guangzhou:' .. ", "test_each_city_has_its_own_list_of_the_day"),
    Mutant("enrol", "gives a slot's people the numbers of another slot", "put(sheets, sheet + 1)", "",
           "test_every_reservation_of_a_pharmacy_and_day_has_its_own_ordinal"),
    Mutant("enrol", "begins no new sheet when one is full", "line + 1 == SHEET_LINES", "false",
           "test_slots_of_a_day_fill_sheets_of_their_own"),
    Mutant("enrol", "does not write a full sheet", "put(key, {row[RESERVATION.no], row[RESERVATION.slot], written})",
           "", "test_sheets_of_a_pharmacy_and_day_name_everybody_in_order"),
    Mutant("enrol", "numbers everybody of a sheet alike", "SHEET_LINES + line", "SHEET_LINES",
           "test_every_reservation_of_a_pharmacy_and_day_has_its_own_ordinal"),
    Mutant("remember", "forgets the reason", "reason or 0", "0", "test_who_waited_in_vain_has_both_in_the_history"),
    Mutant("pass_nos_on", "does not know who stands on an open sheet",
           "joined = get(K.s .. text[sheet[SHEET.no]] .. ':' .. sheet[SHEET.slot])[SLOT.on_sheet]", "",
           "test_a_no_show_at_one_pharmacy_is_none_at_another"),
    Mutant("pass_nos_on", "looks at the first of a sheet alone", "for i = 1, #joined, PASS_NO_CHARS do",
           "for i = 1, math.min(#joined, 1) do", "test_a_long_day_expires_sheet_by_sheet"),
)  # fmt: skip
