"""Redis as a fold of the log: keys, the function library, the fold call, and the readers. Only the fold writes."""
