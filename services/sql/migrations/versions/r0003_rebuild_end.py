"""How far a rebuild has to come, so that one that was interrupted is known and goes on."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """No rebuild is under way."""
    op.add_column("watermarks", sa.Column("rebuild_end", sa.BigInteger, nullable=False, server_default="0"))
