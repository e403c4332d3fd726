"""What decides how the votes of a certificate were rounded: batch size, threads, versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column more; of earlier certificates it is not known."""
    execution = sa.Column("execution", sa.Text(), nullable=False, server_default="")
    op.add_column("certificates", execution)
