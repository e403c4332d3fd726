"""The memory banks of this visitor: everybody works on copies, so that no query of one changes the
answers of another.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path

from ddrs_core.dashboard.common.model_choice import own_models
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.data import Dataset
from ddrs_core.errors import DDRSError
from ddrs_core.models import ModelCard, get_card, list_models, open_for_model
from ddrs_core.store import (
    BankRecord,
    BudgetKind,
    MemoryBank,
    StoreError,
    UnknownEntryError,
    import_bank,
    list_banks,
    open_store,
)

DEMO = "demo"  # how links call a visitor's copy of the demo bank
SHARED = ""  # owner of the banks that the command line makes
DEMO_TITLE = "Demo: 500 digits"
DEMO_FILE = Path(__file__).resolve().parents[3] / "assets/banks/digits-smoothadv-ds2-0.50.zip"
_PROGRAM = "the dashboard"  # owner of what all copies of the demo bank are made from
_MOST_BANKS = 20  # of one visitor
_ID = re.compile(r"[0-9a-f]{16}")
_LOCK = threading.Lock()


@dataclass(frozen=True)
class BankContext:
    """A bank that is looked at, with its model and images where they are available."""

    bank: MemoryBank
    record: BankRecord
    card: ModelCard | None  # None: the model is not here
    dataset: Dataset | None  # None: the model, or the images that it was trained on, are not here

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, where a bare number becomes ``class 9``; empty: unknown."""
        names = self.record.kind.class_names
        if not names and self.dataset is not None:
            names = self.dataset.info.class_names
        return tuple(f"class {name}" if name.isdigit() else name for name in names)

    @property
    def is_demo(self) -> bool:
        """Whether it is the demo bank, or the visitor's copy of it."""
        return self.is_untouched_demo or self.record.name == DEMO_TITLE

    @property
    def is_untouched_demo(self) -> bool:
        """Whether it is the demo bank itself, which nobody changes."""
        return self.record.owner == _PROGRAM

    @property
    def token(self) -> str:
        """How a link calls it."""
        return DEMO if self.is_demo else self.record.id

    def own_bank(self) -> MemoryBank:
        """The visitor's copy, to store something in; made when it is first needed."""
        return _own_demo() if self.is_untouched_demo else self.bank


def choosable_banks() -> dict[str, BankRecord]:
    """What the visitor may choose from, by token: the demo bank, their own, and shared ones, of
    which choosing makes a copy."""
    demo = _demo().record()
    own = [b for b in list_banks(owner=visitor()) if b.id != demo.id]
    return {DEMO: demo} | {b.id: b for b in [*own, *list_banks(owner=SHARED)]}


def open_context(token: str) -> BankContext:
    """The bank that a link or a widget names; of somebody else's bank, the visitor's own copy.

    Raises:
        UnknownEntryError: if there is no such bank.
        StoreError: if the database cannot be used, or the visitor has too many banks.
    """
    bank = _demo() if token == DEMO else _own_copy(token)
    record = bank.record()
    card = _card_of(record.kind.model)
    return BankContext(bank, record, card, _dataset_of(card))


def banks_of_model(card: ModelCard) -> list[str]:
    """Names of the visitor's own banks that take any certificate of a model, the newest first; one
    with an alpha budget would refuse some in the middle of a run."""
    own = list_banks(owner=visitor())
    return [
        bank.name
        for bank in own
        if bank.kind.model == card.digest and bank.budget.kind is BudgetKind.SUM
    ]


def bank_of_model(card: ModelCard) -> MemoryBank | None:
    """The bank to look into for a model: the visitor's newest, a shared one, or the demo bank."""
    banks = [*list_banks(owner=visitor()), *list_banks(owner=SHARED)]
    found = next((bank.id for bank in banks if bank.kind.model == card.digest), None)
    if found is not None:
        return MemoryBank.find(None, found)
    return _demo() if card.name == DEMO_FILE.stem else None


def new_bank_name(card: ModelCard) -> str:
    """A name for a new bank of a model, such as ``digits-gaussian-0.50, run 2``, which no bank of
    the visitor has and none of their runs will make.

    Raises:
        DDRSError: if the visitor has too many banks.
    """
    _require_room()
    runs = open_store().runs(visitor())
    taken = {b.name for b in list_banks(owner=visitor())}
    taken |= {setting.get("bank", "") for run in runs for setting in run.settings}
    names = (f"{card.name[:80]}, run {number}" for number in count(1))
    return next(name for name in names if name not in taken)


def shipped_bank() -> MemoryBank:
    """The demo bank as it comes with the project, which nobody changes."""
    with _LOCK:
        return _demo_template()


def start_over() -> None:
    """Give up the visitor's copy of the demo bank."""
    with suppress(UnknownEntryError):
        MemoryBank.find(None, DEMO_TITLE, owner=visitor()).delete()


def copy_bank(bank: MemoryBank, name: str) -> str:
    """A further copy for the visitor; returns its token.

    Raises:
        InvalidParameterError, StoreError: if it cannot be called so, or there are too many.
    """
    _require_room()
    return bank.copy(name.strip(), owner=visitor()).id


def import_own(content: bytes, name: str) -> str:
    """A bank from an exported file, for the visitor; returns its token.

    Raises:
        BankFileError, StoreError, InvalidParameterError: if it is no such file, or there are too
            many, or another is called so.
    """
    _require_room()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bank.zip"
        path.write_bytes(content)
        return import_bank(None, path, name.strip() or None, owner=visitor()).bank.id


def export_bytes(bank: MemoryBank) -> bytes:
    """A bank as a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bank.zip"
        bank.export(path)
        return path.read_bytes()


def _own_copy(bank_id: str) -> MemoryBank:
    if not _ID.fullmatch(bank_id):  # names are not unique among visitors
        raise UnknownEntryError(f"There is no memory bank {bank_id[:40]!r} here.")
    bank = MemoryBank.find(None, bank_id)
    if bank.owner == visitor() or bank.owner == _PROGRAM:
        return bank
    name = f"{bank.name[:80]} (copy of {bank.id[:6]})"
    with _LOCK:  # two tabs of one visitor
        with suppress(UnknownEntryError):
            return MemoryBank.find(None, name, owner=visitor())
        _require_room()
        return bank.copy(name, owner=visitor())


def _require_room() -> None:
    if len(list_banks(owner=visitor())) >= _MOST_BANKS:
        raise DDRSError(f"You have {_MOST_BANKS} memory banks already: delete one first.")


def _demo() -> MemoryBank:
    """The visitor's copy of the demo bank, as long as there is none the bank itself."""
    with suppress(UnknownEntryError):
        return MemoryBank.find(None, DEMO_TITLE, owner=visitor())
    return shipped_bank()


def _own_demo() -> MemoryBank:
    with _LOCK:
        with suppress(UnknownEntryError):
            return MemoryBank.find(None, DEMO_TITLE, owner=visitor())
        return _demo_template().copy(DEMO_TITLE, owner=visitor())


@lru_cache(maxsize=1)
def _template_name() -> str:
    """Another file makes another template."""
    return f"{DEMO_TITLE} ({hashlib.sha256(DEMO_FILE.read_bytes()).hexdigest()[:12]})"


def _demo_template() -> MemoryBank:
    """The shipped bank, which all visitors copy."""
    name = _template_name()
    with suppress(UnknownEntryError):
        return MemoryBank.find(None, name, owner=_PROGRAM)
    try:
        import_bank(None, DEMO_FILE, name, owner=_PROGRAM)
    except StoreError:
        with suppress(UnknownEntryError):  # another server was quicker
            return MemoryBank.find(None, name, owner=_PROGRAM)
        raise
    return MemoryBank.find(None, name, owner=_PROGRAM)


def _card_of(digest: str) -> ModelCard | None:
    cards = [*list_models(), *own_models()]
    return next((card for card in cards if card.digest == digest), None)


def _dataset_of(card: ModelCard | None) -> Dataset | None:
    if card is None:
        return None
    with suppress(DDRSError):
        return open_for_model(card.dataset, get_card(card.name))
    return None
