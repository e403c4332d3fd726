"""Why an image of a run could not be certified."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column more; whatever was stored before is a certificate."""
    failure = sa.Column("failure", sa.Text(), nullable=False, server_default="")
    op.add_column("certificates", failure)
