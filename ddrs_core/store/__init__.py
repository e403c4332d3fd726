"""The database: certification runs, their certificates, and logs of other programs.

SQLite by default, PostgreSQL by ``DDRS_DATABASE_URL``.
"""

from ddrs_core.store.address import DATABASE_VARIABLE, database_url
from ddrs_core.store.certificates import Place
from ddrs_core.store.complaints import (
    DoubledError,
    NewerDatabaseError,
    StoreError,
    TakenError,
    UnavailableError,
    UnknownEntryError,
)
from ddrs_core.store.logs import MAX_LOG_BYTES
from ddrs_core.store.processes import WorkerProcess
from ddrs_core.store.records import (
    LogRecord,
    RunProgress,
    RunRecord,
    RunState,
    StoredCertificate,
    Wanted,
)
from ddrs_core.store.store import Store, open_store

__all__ = [
    "DATABASE_VARIABLE",
    "MAX_LOG_BYTES",
    "DoubledError",
    "LogRecord",
    "NewerDatabaseError",
    "Place",
    "RunProgress",
    "RunRecord",
    "RunState",
    "Store",
    "StoreError",
    "StoredCertificate",
    "TakenError",
    "UnavailableError",
    "UnknownEntryError",
    "Wanted",
    "WorkerProcess",
    "database_url",
    "open_store",
]
