"""The pictures and models that this visitor uploaded, by name.

The files lie in the user's data folder under names that nobody can guess. The database knows who
used which, so that a visitor is offered their own. Opening a shared link adds what it names.
"""

from __future__ import annotations

import logging
from typing import Literal

from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.errors import DDRSError
from ddrs_core.store import open_store

Kind = Literal["picture", "model"]
_LOG = logging.getLogger(__name__)


def my_uploads(kind: Kind) -> list[str]:
    """Names of this visitor's uploads of one kind, the most recently used first.

    Pages that need nothing else from the database work without it: then there are none.
    """
    try:
        return open_store().uploads(visitor(), kind)
    except DDRSError as error:
        _LOG.warning("A visitor's uploads are not offered: %s", error)
        return []


def remember_upload(kind: Kind, name: str) -> None:
    """Note that this visitor uses an upload; those that were unused longest are forgotten."""
    if my_uploads(kind)[:1] == [name]:
        return  # most page runs only read
    try:
        open_store().use_upload(visitor(), kind, name)
    except DDRSError as error:
        _LOG.warning("An upload will not be offered to its visitor again: %s", error)
