"""The store as a whole, and how it is opened."""

from __future__ import annotations

from sqlalchemy import Engine

from ddrs_core.store.annotations import AnnotationStore
from ddrs_core.store.certificates import CertificateStore
from ddrs_core.store.engine import engine_for
from ddrs_core.store.errors import translate_db_errors
from ddrs_core.store.logs import LogStore
from ddrs_core.store.migrate import migrate
from ddrs_core.store.run_banks import RunBankStore
from ddrs_core.store.runs import RunStore
from ddrs_core.store.uploads import UploadStore
from ddrs_core.store.url import database_file, default_url, describe_url, parse_url

_ready: set[Engine] = set()  # whose tables this process knows to be up to date


class Store(RunStore, CertificateStore, RunBankStore, LogStore, UploadStore, AnnotationStore):
    """Runs, their certificates, imported logs, names of uploads and notes in one database.

    Nothing is kept in memory, so every process and every reload sees the same. Threads may share
    a store, and a forked process may go on using it.
    """


def open_store(url: str | None = None) -> Store:
    """Open the database, and make it or bring its tables up to date where that is needed.

    Args:
        url: such as ``sqlite:////folder/file.sqlite3`` or ``postgresql://user:password@host/name``;
            default: what ``DDRS_DATABASE_URL`` names, else a file in the user's data folder.

    Raises:
        InvalidParameterError: if the address is none.
        UnavailableError: if the database cannot be reached, read or written, or is damaged.
        NewerDatabaseError: if a newer version of the program made it.
    """
    address = default_url() if url is None else parse_url(url)
    with translate_db_errors(describe_url(address)):
        engine, file = engine_for(address), database_file(address)
        if file is not None and not file.exists():  # or no longer: somebody has removed it
            engine.dispose()
            _ready.discard(engine)
        if engine not in _ready:
            migrate(engine)  # threads and processes wait for each other there
            _ready.add(engine)
    return Store(engine)
