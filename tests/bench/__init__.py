"""`make bench`: the figures of API.md, one JSON line each. No pass or fail; their limits stand in the issues."""
