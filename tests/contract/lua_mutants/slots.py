"""Mutants of slots.lua."""

from tests.contract.lua_mutants.mutant import Mutant

MUTANTS = (
    Mutant("whole", "fills up all fields of a slot but the last", "for i = #slot + 1, SLOT_FIELDS do",
           "for i = #slot + 1, SLOT_FIELDS - 1 do", "test_who_came_last_loses_a_place_first"),
    Mutant("get_slot", "gives a short row to rules that need a whole one", "slot and whole(slot)", "slot",
           "test_a_second_expiry_changes_nothing"),
    Mutant("cut_slots", "cuts off fields that say something", "if slot[i] ~= 0 then break end", "",
           "test_picked_up_units_are_counted_in_the_slot_until_they_are_taken_back"),
    Mutant("cut_slots", "writes rows as long as who looked at them made them", "slot[i] = nil", "break",
           "test_a_row_of_a_slot_ends_where_the_zeros_begin_whoever_looked_at_it"),
    Mutant("pick_until_ms", "knows no grace", "slot[SLOT.grace_until_ms] > 0", "false",
           "test_nobody_is_a_no_show_while_there_is_time"),
    Mutant("pick_until_ms", "ends a slot with its day although it goes on after midnight",
           "math.max(slot[SLOT.day_to_ms], slot[SLOT.ends_ms])", "slot[SLOT.day_to_ms]",
           "test_a_slot_that_ends_after_midnight_is_picked_up_until_its_end"),
    Mutant("change_until_ms", "lets everybody change until the slot begins", "slot[SLOT.change_before_ms] > 0", "false",
           "test_of_one_sheet_only_those_that_are_due_expire"),
    Mutant("change_until_ms", "lets nobody change where no time is set", "return slot[SLOT.starts_ms]", "return 0",
           "test_a_slot_that_is_over_is_no_new_slot"),
)  # fmt: skip
