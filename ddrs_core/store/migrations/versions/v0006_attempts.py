"""What is charged to a bank before it is settled, and which bank a run has settled against."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column and two tables; runs and banks of before have nothing to put into them."""
    op.add_column(
        "banks", sa.Column("tried", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
    op.create_table(
        "bank_attempts",
        sa.Column(
            "bank_id", sa.Text(), sa.ForeignKey("banks.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("alpha", sa.Double(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("settled", sa.Integer(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
    )
    op.create_table(
        "run_banks",
        sa.Column(
            "run_id", sa.Text(), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("setting", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("bank_id", sa.Text(), nullable=False),
        sa.Column("settled", sa.Integer(), nullable=False),
        sa.Column("stored", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
    )
