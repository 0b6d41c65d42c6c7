"""Mutants of log.lua."""

from tests.contract.lua_mutants.mutant import Mutant

MUTANTS = (
    Mutant("genesis", "believes a genesis record anywhere", "if head[HEAD.position] ~= 0", "if false",
           "test_a_genesis_record_elsewhere_is_a_foreign_record_whatever_it_asks_for"),
    Mutant("genesis", "does not keep the rules in force", "head[HEAD.rules] = command.rules", "",
           "test_the_genesis_record_names_the_log_and_is_the_first_tick"),
    Mutant("genesis", "tells another fact", "FACT.LOG_BEGAN", "FACT.TICKED",
           "test_a_call_with_very_much_to_write_stops_early_and_the_rest_goes_on_from_there"),
    Mutant("tick", "lets a clock that is behind turn time back", "math.max(head[HEAD.tick_ms], command.at_ms)",
           "command.at_ms", "test_a_clock_that_is_behind_takes_nothing_back"),
    Mutant("tick", "tells another fact", "FACT.TICKED", "FACT.LOG_BEGAN",
           "test_a_tick_counts_from_the_record_behind_it_on"),
    Mutant("adopt_rules", "puts other rules in force than it was told", "command.version)", "command.version + 1)",
           "test_rules_that_are_known_are_adopted_and_never_taken_back"),
    Mutant("adopt_rules", "tells another fact", "FACT.RULES_ADOPTED", "FACT.LOG_BEGAN",
           "test_rules_that_are_known_are_adopted_and_never_taken_back"),
    Mutant("assign_region", "gives a campaign's name to two regions",
           "if owner and owner ~= command.region then return refused(REASON.CAMPAIGN_ELSEWHERE, owner) end", "",
           "test_a_campaigns_name_belongs_to_one_region"),
    Mutant("assign_region", "moves a region that has a partition", "if not partition then", "do",
           "test_a_region_keeps_its_partition_for_ever"),
    Mutant("assign_region", "gives the last of the least used partitions", "counts[i + 1] < ", "counts[i + 1] <= ",
           "test_regions_are_counted_once_although_they_were_asked_for_twice"),
    Mutant("assign_region", "does not count what it gives", "put(K.gc, counts)", "",
           "test_regions_are_counted_once_although_they_were_asked_for_twice"),
    Mutant("assign_region", "forgets the region of a name", "put(K.gn .. command.campaign, command.region)", "",
           "test_a_campaigns_name_belongs_to_one_region"),
    Mutant("assign_region", "does not say which partition", "FACT.REGION_ASSIGNED, partition", "FACT.REGION_ASSIGNED",
           "test_a_region_gets_the_least_used_partition"),
)  # fmt: skip
