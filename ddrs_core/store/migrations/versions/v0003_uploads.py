"""Which pictures and models each visitor of the dashboard uploaded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add one table."""
    op.create_table(
        "uploads",
        sa.Column("owner", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("used", sa.Double(), nullable=False),
    )
    op.create_index("uploads_by_use", "uploads", ["used"])
