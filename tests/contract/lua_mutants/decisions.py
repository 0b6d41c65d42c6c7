"""Mutants of decisions.lua."""

from tests.contract.lua_mutants.mutant import Mutant

MUTANTS = (
    Mutant("forget_chunk", "carries a chunk from call to call", "chunk_no, chunk, is_kept = nil, nil, false", "",
           "test_a_chunk_is_as_young_as_its_last_decision"),
    Mutant("chunk_number", "has a chunk for each offset",
           "(offset - offset % DECISIONS_PER_CHUNK) / DECISIONS_PER_CHUNK", "offset",
           "test_the_open_chunk_is_never_trimmed"),
    Mutant("chunk_of", "writes one chunk over the other", "if no ~= chunk_no then", "if not chunk_no then",
           "test_decisions_that_are_published_and_a_minute_old_are_trimmed"),
    Mutant("record", "records nothing", "put(K.d .. chunk_no, chunk)", "", "test_the_open_chunk_is_never_trimmed"),
    Mutant("record", "takes a chunk for as old as its first decision", "chunk[1] = now_ms",
           "if chunk[1] == 0 then chunk[1] = now_ms end", "test_a_chunk_is_as_young_as_its_last_decision"),
    Mutant("recorded", "tells the decision of the record before", "DECISIONS_PER_CHUNK + 2", "DECISIONS_PER_CHUNK + 1",
           "test_a_batch_that_was_applied_before_gets_its_recorded_decisions_and_writes_nothing"),
    Mutant("last_time", "does not know how old a chunk is", "return time", "return 0",
           "test_a_chunk_is_as_young_as_its_last_decision"),
    Mutant("trimmable", "trims what is not published",
           "if (no + 1) * DECISIONS_PER_CHUNK > head[HEAD.published] then break end", "",
           "test_decisions_that_are_published_and_a_minute_old_are_trimmed"),
    Mutant("trimmable", "trims what somebody may still ask for",
           "if time and time + DECISIONS_READABLE_MS > head[HEAD.now_ms] then break end", "",
           "test_a_chunk_is_as_young_as_its_last_decision"),
    Mutant("trimmable", "knows no bound", "#keys < MAX_TRIM_PER_CALL", "true",
           "test_trimming_is_bounded_and_goes_on_with_the_next_call"),
    Mutant("trimmable", "does not remember how far it came", "head[HEAD.trimmed] = no + 1", "do return keys end",
           "test_decisions_that_are_published_and_a_minute_old_are_trimmed"),
)  # fmt: skip
