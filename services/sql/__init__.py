"""The SQL database of the ledger: its tables, their migrations, and what is read from them. SQLite or PostgreSQL."""
