"""Alembic runs this file; it works in the connection and the transaction of its caller."""

from __future__ import annotations

from alembic import context

from ddrs_core.store.migrate import VERSION_TABLE
from ddrs_core.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # of SQLite too, since transactions begin as we say
)
with context.begin_transaction():
    context.run_migrations()
