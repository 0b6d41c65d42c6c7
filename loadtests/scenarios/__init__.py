"""What really happened to booking portals, to be played again: traffic, ratios, and what must hold."""
