"""The tables as they are now; ``migrations`` leads there from every earlier version.

Moments are in seconds since 1970, by the clock of the database.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = MetaData()


class Words(TypeDecorator[str]):
    """Text as every database takes it: without NUL and halves of characters."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return value.replace("\0", "").encode(errors="replace").decode()


runs = Table(
    "runs",
    metadata,
    Column("id", Words, primary_key=True),
    Column("title", Words, nullable=False),
    Column("owner", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("created", Double, nullable=False),
    Column("started", Double),
    Column("ended", Double),
    Column("config", JSON, nullable=False),
    Column("settings", JSON, nullable=False),  # a list; certificates name their place in it
    Column("total", Integer, nullable=False),  # certificates planned
    # Stored so far; raised in the transaction that stores them, which also numbers them.
    Column("stored", Integer, nullable=False),
    Column("code_version", Words, nullable=False),
    Column("device", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("wanted", Words),
    Column("pid", BigInteger),
    Column("host", Words),
    Column("process_started", Double),
    Column("heartbeat", Double),
    Column("progress", JSON(none_as_null=True)),
    Column("error", Words, nullable=False),
)

certificates = Table(
    "certificates",
    metadata,
    Column("run_id", Words, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("setting", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),  # in the plan
    Column("serial", Integer, nullable=False),  # 1, 2, ... in the order of storing, in each run
    Column("dataset", Words),
    Column("index", BigInteger),
    Column("label", BigInteger),
    Column("prediction", BigInteger, nullable=False),
    Column("radius", Double, nullable=False),
    Column("sigma", Double, nullable=False),
    Column("grade", Words, nullable=False),
    Column("counts", Words, nullable=False),  # see packing.py
    Column("n0", BigInteger, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("alpha", Double, nullable=False),
    Column("bound", Words, nullable=False),
    Column("p_lower", Double, nullable=False),
    Column("seed", Words, nullable=False),  # any whole number, of any length
    Column("precision", Words, nullable=False),
    Column("model", Words, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("candidate", BigInteger, nullable=False),
    Column("schedule", Words, nullable=False),
    Index("certificates_in_order", "run_id", "serial", unique=True),
)

logs = Table(
    "logs",
    metadata,
    Column("id", Words, primary_key=True),  # digest of the content
    Column("owner", Words, primary_key=True),
    Column("title", Words, nullable=False),
    Column("created", Double, nullable=False),
    Column("size", Integer, nullable=False),  # bytes of the content
    Column("content", LargeBinary, nullable=False),  # zlib
)
