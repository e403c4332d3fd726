"""The database: certification runs, their certificates, memory banks, and logs of other programs.

SQLite by default, PostgreSQL by ``DDRS_DATABASE_URL``.
"""

from ddrs_core.store.bank.attempts import Attempt
from ddrs_core.store.bank.bank import MemoryBank
from ddrs_core.store.bank.budget import AlphaBudget, BankConfidence, BudgetKind
from ddrs_core.store.bank.check import BankCheck
from ddrs_core.store.bank.files import BankFileError, ImportedBank, import_bank
from ddrs_core.store.bank.pairs import Pair
from ddrs_core.store.bank.records import BankKind, BankRecord, Lookup, StoredBall
from ddrs_core.store.bank.rows import list_banks
from ddrs_core.store.certificates import Place
from ddrs_core.store.errors import (
    AlreadyStoredError,
    NewerDatabaseError,
    RunClaimedError,
    StoreError,
    UnavailableError,
    UnknownEntryError,
)
from ddrs_core.store.logs import MAX_LOG_BYTES
from ddrs_core.store.records import (
    CERTIFY,
    GIVING_WAY,
    TRAIN,
    LogRecord,
    RunProgress,
    RunRecord,
    RunState,
    StoredCertificate,
    Wanted,
)
from ddrs_core.store.run_banks import RunBank
from ddrs_core.store.store import Store, open_store
from ddrs_core.store.url import DATABASE_VARIABLE, database_url
from ddrs_core.store.worker_process import WorkerProcess

__all__ = [
    "CERTIFY",
    "DATABASE_VARIABLE",
    "GIVING_WAY",
    "MAX_LOG_BYTES",
    "TRAIN",
    "AlphaBudget",
    "AlreadyStoredError",
    "Attempt",
    "BankCheck",
    "BankConfidence",
    "BankFileError",
    "BankKind",
    "BankRecord",
    "BudgetKind",
    "ImportedBank",
    "LogRecord",
    "Lookup",
    "MemoryBank",
    "NewerDatabaseError",
    "Pair",
    "Place",
    "RunBank",
    "RunClaimedError",
    "RunProgress",
    "RunRecord",
    "RunState",
    "Store",
    "StoreError",
    "StoredBall",
    "StoredCertificate",
    "UnavailableError",
    "UnknownEntryError",
    "Wanted",
    "WorkerProcess",
    "database_url",
    "import_bank",
    "list_banks",
    "open_store",
]
