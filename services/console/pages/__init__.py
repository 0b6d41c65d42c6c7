"""The console's pages for a browser: numbers, phases, stock, terminals, the audit trail. No JavaScript."""
