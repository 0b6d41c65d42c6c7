"""The counter's page for a browser at the till: pair, hand out, take back, look up, change stock. No JavaScript."""
