"""The ledger: every event has its row in SQL, for reports and for whoever wants to look back."""
