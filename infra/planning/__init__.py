"""How much of everything a round of distribution needs: `maskline plan`."""
