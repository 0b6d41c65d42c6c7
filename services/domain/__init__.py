"""The rules, pure: what a command is, what the fold decides, what a row holds. No I/O, no clock, no randomness."""
