"""The ops team's door: campaigns and their phases, stock, terminals, the audit trail, and what goes on right now."""
