"""Copies of the log and of the secrets, and the way back: what cannot be made again of anything else."""
