"""Mutants of state.lua."""

from tests.contract.lua_mutants.mutant import Mutant

MUTANTS = (
    Mutant("begin", "carries rows from call to call", "rows, changed, changes = nil, {}, {}, 0",
           "rows, changed, changes = nil, rows or {}, {}, 0",
           "test_a_row_that_cannot_be_read_stops_the_call_and_writes_nothing"),
    Mutant("begin", "asks for nothing that never exists", "wanted, wants = {K.never}, 1", "wanted, wants = {}, 0",
           "test_every_read_asks_for_a_key_that_never_exists"),
    Mutant("want", "reads again what it has changed", "if rows[key] == nil then", "do",
           "test_what_a_batch_changed_is_not_read_again_by_what_comes_behind_it"),
    Mutant("fetch", "asks for nothing that never exists the second time", "wanted, wants = {K.never}, 1",
           "wanted, wants = {wanted[wants]}, 1", "test_every_read_asks_for_a_key_that_never_exists"),
    Mutant("get", "knows nothing that was not read ahead", "fetch()", "",
           "test_a_quota_may_change_before_the_opening_and_after_the_close"),
    Mutant("put", "does not see its own changes", "changed[key], rows[key] = row, row", "changed[key] = row",
           "test_a_call_reads_in_few_mgets_however_many_commands_it_holds"),
    Mutant("put", "counts no rows", "changes = changes + 1", "",
           "test_a_row_that_cannot_be_read_stops_the_call_and_writes_nothing"),
    Mutant("remove", "removes nothing", "put(key, false)", "",
           "test_who_has_something_in_one_campaign_may_have_something_in_another"),
    Mutant("write", "leaves the head where it was", "pairs_to_set[n + 1] = K.head", "pairs_to_set[n + 1] = K.never",
           "test_every_read_asks_for_a_key_that_never_exists"),
    Mutant("write", "keeps what was removed", "if #gone > 0 then call('UNLINK', unpack(gone)) end", "",
           "test_who_has_something_in_one_campaign_may_have_something_in_another"),
)  # fmt: skip
