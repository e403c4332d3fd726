"""The database: certification runs, their certificates, memory banks, and logs of other programs.

SQLite by default, PostgreSQL by ``DDRS_DATABASE_URL``.
"""

from ddrs_core.store.annotations import AnnotationKind
from ddrs_core.store.bank.attempts import Attempt
from ddrs_core.store.bank.bank import MemoryBank
from ddrs_core.store.bank.budget import AlphaBudget, BankConfidence, BudgetKind
from ddrs_core.store.bank.check import BankCheck
from ddrs_core.store.bank.files import import_bank
from ddrs_core.store.bank.records import BankKind, BankRecord, StoredBall
from ddrs_core.store.bank.rows import list_banks
from ddrs_core.store.errors import (
    AlreadyStoredError,
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
    Wanted,
)
from ddrs_core.store.store import Store, open_store
from ddrs_core.store.worker_process import WorkerProcess
