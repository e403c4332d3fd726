"""The tables as they are now; ``migrations`` leads there from every earlier version.

Moments are in seconds since 1970, by the clock of the database.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = MetaData()


class SafeText(TypeDecorator[str]):
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
    Column("id", SafeText, primary_key=True),
    Column("title", SafeText, nullable=False),
    Column("owner", SafeText, nullable=False),
    Column("kind", SafeText, nullable=False),
    Column("created", Double, nullable=False),
    Column("started", Double),
    Column("ended", Double),
    Column("config", JSON, nullable=False),
    Column("settings", JSON, nullable=False),  # a list; certificates name their place in it
    Column("total", Integer, nullable=False),  # certificates planned
    # Stored so far; raised in the transaction that stores them, which also numbers them.
    Column("stored", Integer, nullable=False),
    Column("code_version", SafeText, nullable=False),
    Column("device", SafeText, nullable=False),
    Column("state", SafeText, nullable=False),
    Column("wanted", SafeText),
    Column("pid", BigInteger),
    Column("host", SafeText),
    Column("process_started", Double),
    Column("heartbeat", Double),
    Column("progress", JSON(none_as_null=True)),
    Column("error", SafeText, nullable=False),
)

certificates = Table(
    "certificates",
    metadata,
    Column("run_id", SafeText, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("setting", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),  # in the plan
    Column("serial", Integer, nullable=False),  # 1, 2, ... in the order of storing, in each run
    Column("dataset", SafeText),
    Column("index", BigInteger),
    Column("label", BigInteger),
    Column("prediction", BigInteger, nullable=False),
    Column("radius", Double, nullable=False),
    Column("sigma", Double, nullable=False),
    Column("grade", SafeText, nullable=False),
    Column("counts", SafeText, nullable=False),  # see certificate_rows.py
    Column("n0", BigInteger, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("alpha", Double, nullable=False),
    Column("bound", SafeText, nullable=False),
    Column("p_lower", Double, nullable=False),
    Column("seed", SafeText, nullable=False),  # any whole number, of any length
    Column("precision", SafeText, nullable=False),
    Column("model", SafeText, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("candidate", BigInteger, nullable=False),
    Column("schedule", SafeText, nullable=False),
    Column("failure", SafeText, nullable=False, server_default=""),
    Column("execution", SafeText, nullable=False, server_default=""),
    Column("clean", BigInteger),
    Index("certificates_in_order", "run_id", "serial", unique=True),
)

logs = Table(
    "logs",
    metadata,
    Column("id", SafeText, primary_key=True),  # digest of the content
    Column("owner", SafeText, primary_key=True),
    Column("title", SafeText, nullable=False),
    Column("created", Double, nullable=False),
    Column("size", Integer, nullable=False),  # bytes of the content
    Column("content", LargeBinary, nullable=False),  # zlib
)

uploads = Table(  # names of pictures and models that somebody brought; the files lie elsewhere
    "uploads",
    metadata,
    Column("owner", SafeText, primary_key=True),
    Column("kind", SafeText, primary_key=True),
    Column("name", SafeText, primary_key=True),
    Column("used", Double, nullable=False),
    Index("uploads_by_use", "used"),
)

annotation_table = Table(  # notes, seen marks and saved filters
    "annotations",
    metadata,
    Column("owner", SafeText, primary_key=True),
    Column("kind", SafeText, primary_key=True),
    Column("subject", SafeText, primary_key=True),  # what it is about
    Column("text", SafeText, nullable=False),
    Column("changed", Double, nullable=False),
    Index("annotations_by_change", "changed"),
)

banks = Table(
    "banks",
    metadata,
    Column("id", SafeText, primary_key=True),
    Column("name", SafeText, nullable=False),
    Column("owner", SafeText, nullable=False),
    Column("created", Double, nullable=False),
    Column("model", SafeText, nullable=False),  # digest of the weights
    Column("num_classes", Integer, nullable=False),
    Column("class_names", JSON, nullable=False),
    Column("shape", JSON, nullable=False),
    Column("pixels", SafeText, nullable=False),  # their scale
    Column("budget", JSON, nullable=False),
    # What follows is changed in the transaction that settles; who does so holds the row.
    Column("settled", Integer, nullable=False),  # certificates and abstentions
    Column("stored", Integer, nullable=False),  # balls
    Column("alpha_sum", Double, nullable=False),
    Column("tallies", JSON, nullable=False),  # what became of them
    Column("fingerprint", SafeText, nullable=False),  # of the last ball
    # Certificates that were charged and are not settled, see bank/attempts.py.
    Column("tried", Integer, nullable=False, server_default=text("0")),
    Index("banks_by_name", "owner", "name", unique=True),
)

balls = Table(
    "balls",
    metadata,
    Column("bank_id", SafeText, ForeignKey("banks.id", ondelete="CASCADE"), primary_key=True),
    Column("serial", Integer, primary_key=True, autoincrement=False),  # 1, 2, ... in each bank
    Column("indexed", Boolean, nullable=False),  # whether later settlements look at it
    Column("prediction", Integer, nullable=False),
    Column("radius", Double, nullable=False),
    Column("projection", LargeBinary, nullable=False),  # float32, see bank/index.py
    Column("fingerprint", SafeText, nullable=False),  # of this ball and all before it
    Column("outcome", SafeText, nullable=False),
    Column("claimed", Integer, nullable=False),  # class of the certificate
    Column("claimed_radius", Double, nullable=False),
    Column("decided_by", Integer),  # serial of the ball that decided
    Column("sigma", Double, nullable=False),
    Column("alpha", Double, nullable=False),
    Column("digest", SafeText, nullable=False),  # of the image
    Column("created", Double, nullable=False),
)

ball_images = Table(  # apart: most look-ups need none of them
    "ball_images",
    metadata,
    Column("bank_id", SafeText, primary_key=True),
    Column("serial", Integer, primary_key=True, autoincrement=False),
    Column("image", LargeBinary, nullable=False),  # see bank/images.py
    Column("certificate", SafeText, nullable=False),  # JSON
    ForeignKeyConstraint(
        ["bank_id", "serial"], ["balls.bank_id", "balls.serial"], ondelete="CASCADE"
    ),
)

bank_attempts = Table(
    "bank_attempts",
    metadata,
    Column("bank_id", SafeText, ForeignKey("banks.id", ondelete="CASCADE"), primary_key=True),
    Column("key", SafeText, primary_key=True),  # what determines the votes
    Column("alpha", Double, nullable=False),  # of each certificate
    Column("count", Integer, nullable=False),  # certificates
    Column("settled", Integer, nullable=False),  # of them
    Column("created", Double, nullable=False),
)

run_banks = Table(
    "run_banks",
    metadata,
    Column("run_id", SafeText, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("setting", Integer, primary_key=True, autoincrement=False),
    Column("bank_id", SafeText, nullable=False),  # it may be gone by now
    # How it stood after the run's last settlement.
    Column("settled", Integer, nullable=False),
    Column("stored", Integer, nullable=False),
    Column("fingerprint", SafeText, nullable=False),
)
