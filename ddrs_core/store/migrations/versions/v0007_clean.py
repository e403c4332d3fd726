"""The class that the network gives to the image of a certificate without noise."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column more; of earlier certificates it is not known."""
    op.add_column("certificates", sa.Column("clean", sa.BigInteger()))
