"""Mutants of batch.lua. What is read ahead decides nothing: it is noticed by who counts the reads."""

from tests.contract.lua_mutants.mutant import Mutant

MUTANTS = (
    Mutant("commands_in", "leaves out the last field of a booking", "unpack_limit(raw, BOOKING_FIELDS, from)",
           "unpack_limit(raw, BOOKING_FIELDS - 1, from)",
           "test_a_ticket_lets_in_its_own_resident_first_and_then_as_many_as_a_household_has"),
    Mutant("want_named", "reads reservations one by one", "if command.pass_no then want(K.r .. command.pass_no) end",
           "", "test_what_happens_to_reservations_is_read_ahead_as_well"),
    Mutant("want_of_rules", "reads households one by one", "want(K.h .. no .. ':' .. booking[BOOKING.phone_pseudonym])",
           "", "test_what_the_rules_of_a_campaign_ask_is_read_ahead_as_well"),
    Mutant("want_pointed_to", "reads slots one by one", "want(command[BOOKING.slot_key])", "",
           "test_a_call_reads_in_few_mgets_however_many_commands_it_holds"),
    Mutant("want_of_campaigns", "reads lists of days one by one", "want(sheets_key(row, slot))", "",
           "test_what_the_rules_of_a_campaign_ask_is_read_ahead_as_well"),
    Mutant("want_of_campaigns", "reads people one by one",
           "want(person_key(get(K.c .. name), reservation[RESERVATION.resident]))", "",
           "test_what_happens_to_reservations_is_read_ahead_as_well"),
    Mutant("read_ahead", "reads everything one by one", "want_named(from, commands)", "",
           "test_a_call_reads_in_few_mgets_however_many_commands_it_holds"),
)  # fmt: skip
