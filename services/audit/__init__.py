"""Looking from outside whether the system told the truth: `verify` replays the log with the model and compares."""
