"""Alembic's migrations: each changes the schema of the version before, and is never changed once it is released."""
