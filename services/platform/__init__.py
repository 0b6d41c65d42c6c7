"""What every process needs and no other floor owns: settings, errors, secrets, HTTP, telemetry, start and stop."""
