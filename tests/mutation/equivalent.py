"""Changes of the fold that change nothing anybody could see, each with the reason."""

EQUIVALENT: dict[str, str] = {}
"""What `make mutants` tells of a change, and why no test can notice it."""
