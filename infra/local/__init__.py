"""The real tier on one machine: what a city would run, on loopback, one module a part.

Each part gives `ProcessSpec`s (infra/launcher/process.py) that a `Launcher` owns, and raises `PartMissing` where the
machine lacks a program.
"""
