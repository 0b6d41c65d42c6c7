"""Load on a running system: generators, arrival shapes, and the demonstration."""
