"""Mutants of answers.lua."""

from tests.contract.lua_mutants.mutant import Mutant

MUTANTS = (
    Mutant("refused", "tells no reason's number", "{{FACT.REFUSED, reason, a, b}}", "{{FACT.REFUSED, reason}}",
           "test_pharmacies_out_of_order_are_refused_with_the_number_that_is_there"),
    Mutant("refused", "says no as if it said yes", "FACT.REFUSED", "FACT.TICKED",
           "test_a_slot_of_another_campaign_is_unknown"),
    Mutant("done", "forgets the last value of a fact", "{{fact, a, b, c, d, e, f}}", "{{fact, a, b, c, d, e}}",
           "test_a_waiting_list_passes_over_who_was_purged_before_somebody_who_still_waits"),
    Mutant("repeated", "repeats without saying that it does", "{FACT.REPEATED}", "{FACT.CONFIRMED}",
           "test_a_chunk_sent_again_gets_its_first_answer"),
    Mutant("repeated", "repeats half of the first answer", "for i = 1, #first", "for i = 1, #first - 1",
           "test_a_chunk_sent_again_gets_its_first_answer"),
)  # fmt: skip
