"""Mutants of unfinished.lua."""

from tests.contract.lua_mutants.mutant import Mutant

MUTANTS = (
    Mutant("add_work", "writes one over the other", "work[WORK.next] + 1", "work[WORK.next]",
           "test_two_slots_are_gone_through_one_after_the_other"),
    Mutant("add_work", "writes nothing down", "put(entries .. text[work[WORK.next]], entry)", "",
           "test_a_repeat_finds_its_own_answer_behind_what_the_rules_did"),
    Mutant("first_work", "finds nothing to do", "work[WORK.first] == work[WORK.next]", "true",
           "test_two_slots_are_gone_through_one_after_the_other"),
    Mutant("put_first_work", "writes over the next one", "text[get(queue)[WORK.first]]", "text[get(queue)[WORK.next]]",
           "test_each_record_leaves_word_of_how_far_it_came"),
    Mutant("drop_first_work", "leaves done work standing", "remove(entries .. text[work[WORK.first]])", "",
           "test_a_line_with_work_left_stands_in_the_queue_once"),
    Mutant("drop_first_work", "does the same for ever", "work[WORK.first] + 1", "work[WORK.first]",
           "test_two_slots_are_gone_through_one_after_the_other"),
)  # fmt: skip
