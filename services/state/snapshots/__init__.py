"""Copies of a partition's rows at one position, in files: see the README beside this."""
