"""Memory banks: their balls, and the images at the balls' centres."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Three tables more."""
    op.create_table(
        "banks",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("num_classes", sa.Integer(), nullable=False),
        sa.Column("class_names", sa.JSON(), nullable=False),
        sa.Column("shape", sa.JSON(), nullable=False),
        sa.Column("pixels", sa.Text(), nullable=False),
        sa.Column("budget", sa.JSON(), nullable=False),
        sa.Column("settled", sa.Integer(), nullable=False),
        sa.Column("stored", sa.Integer(), nullable=False),
        sa.Column("alpha_sum", sa.Double(), nullable=False),
        sa.Column("tallies", sa.JSON(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
    )
    op.create_index("banks_by_name", "banks", ["owner", "name"], unique=True)
    op.create_table(
        "balls",
        sa.Column(
            "bank_id", sa.Text(), sa.ForeignKey("banks.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("serial", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("indexed", sa.Boolean(), nullable=False),
        sa.Column("prediction", sa.Integer(), nullable=False),
        sa.Column("radius", sa.Double(), nullable=False),
        sa.Column("projection", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("claimed", sa.Integer(), nullable=False),
        sa.Column("claimed_radius", sa.Double(), nullable=False),
        sa.Column("decided_by", sa.Integer()),
        sa.Column("sigma", sa.Double(), nullable=False),
        sa.Column("alpha", sa.Double(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
    )
    op.create_table(
        "ball_images",
        sa.Column("bank_id", sa.Text(), primary_key=True),
        sa.Column("serial", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["bank_id", "serial"], ["balls.bank_id", "balls.serial"], ondelete="CASCADE"
        ),
    )
