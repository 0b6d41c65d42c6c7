"""Commands in, decisions made, events out: reads the log, has it folded in Redis, publishes what was decided."""
