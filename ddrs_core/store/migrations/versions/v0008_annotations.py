"""Notes, seen marks and saved filters of the dashboard's visitors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add one table."""
    op.create_table(
        "annotations",
        sa.Column("owner", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("subject", sa.Text(), primary_key=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("changed", sa.Double(), nullable=False),
    )
    op.create_index("annotations_by_change", "annotations", ["changed"])
