"""What Maskline runs on and with: tiers, launcher, campaigns."""
