"""What was certified and seen is charged to the bank, whether it is stored or not."""

from __future__ import annotations

import math
import multiprocessing
import os
from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import pytest

from ddrs_core.errors import InvalidParameterError
from ddrs_core.smoothing import ABSTAIN
from ddrs_core.store import (
    AlphaBudget,
    AlreadyStoredError,
    BudgetKind,
    MemoryBank,
    Store,
    UnknownEntryError,
    import_bank,
)
from tests.store.bank.banks import address, claim, new_bank

FORK = multiprocessing.get_context("fork")
GREY = np.full((1, 4, 4), 0.5, np.float32)


@pytest.fixture
def bank(store: Store) -> MemoryBank:
    return new_bank(store)


def test_certificates_that_are_not_stored_count_as_those_that_are(bank: MemoryBank) -> None:
    """Ten were seen, the best was stored: one of the ten is wrong with probability 10 alpha."""
    for number in range(10):
        bank.charge(f"N={number}", 0.001)
    (settled,) = bank.settle_many([GREY], [claim(1, 0.1)], attempt="N=3")
    assert settled.serial == 1
    known = bank.confidence()
    assert (known.settled, known.tried) == (1, 9)
    assert known.failure == pytest.approx(0.01)
    assert known.failure >= 0.01


def test_the_same_votes_are_charged_once_and_stored_once(bank: MemoryBank) -> None:
    for _ in range(3):
        attempt = bank.charge("the same", 0.001)
        assert (attempt.alpha, attempt.settled) == (0.001, 0)
    assert bank.confidence().failure == pytest.approx(0.001)
    bank.settle_many([GREY], [claim(1, 0.1)], attempt="the same")
    before = bank.record()
    with pytest.raises(AlreadyStoredError, match="stored in the bank already"):
        bank.settle_many([GREY], [claim(1, 0.1)], attempt="the same")
    assert bank.record() == before
    attempt = bank.charge("the same", 0.001)
    assert attempt.settled == 1
    assert bank.record() == before


def test_an_abstention_that_was_charged_is_counted_once(bank: MemoryBank) -> None:
    bank.charge("unsure", 0.01)
    bank.settle_many([GREY], [claim(ABSTAIN, 0.0, alpha=0.01)], attempt="unsure")
    known = bank.confidence()
    assert (known.settled, known.tried, known.alpha_sum) == (1, 0, pytest.approx(0.01))


def test_no_more_is_settled_than_was_charged(bank: MemoryBank) -> None:
    bank.charge("a", 0.001, count=3)
    assert bank.confidence().failure == pytest.approx(0.003)
    for certificates, error in (
        ([claim(1, 0.1)] * 4, AlreadyStoredError),
        ([claim(1, 0.1, alpha=0.002)], InvalidParameterError),
    ):
        with pytest.raises(error):
            bank.settle_many([GREY] * len(certificates), certificates, attempt="a")
    with pytest.raises(UnknownEntryError, match="not been charged"):
        bank.settle_many([GREY], [claim(1, 0.1)], attempt="b")
    assert (bank.record().settled, bank.record().stored) == (0, 0)
    bank.settle_many([GREY] * 2, [claim(1, 0.1)] * 2, attempt="a")
    assert (bank.record().settled, bank.record().tried) == (2, 1)


def test_a_failure_leaves_the_charge_and_nothing_settled(bank: MemoryBank) -> None:
    bank.charge("a", 0.001)
    with pytest.raises(InvalidParameterError, match="seconds"):
        bank.settle_many([GREY], [claim(1, 0.1, seconds=math.nan)], attempt="a")
    attempt = bank.attempt("a")
    assert attempt is not None
    assert attempt.settled == 0
    assert bank.confidence().failure == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("key", "alpha", "count"),
    [
        ("", 0.1, 1),
        ("x" * 201, 0.1, 1),
        ("a", 0.0, 1),
        ("a", 1.0, 1),
        ("a", float("nan"), 1),
        ("a", 0.1, 0),
        ("a", 0.1, 10**6),
    ],
)
def test_a_charge_that_makes_no_sense_is_refused(
    bank: MemoryBank, key: str, alpha: float, count: int
) -> None:
    with pytest.raises(InvalidParameterError):
        bank.charge(key, alpha, count=count)
    assert bank.confidence().alpha_sum == 0


def test_attempts_take_their_turns_in_a_budget(store: Store) -> None:
    """Six that were planned may be tried, and not one more; nor may a later one spend more."""
    bank = new_bank(store, budget=AlphaBudget(BudgetKind.TOTAL, 0.06, 6))
    bank.charge("a", 0.01, count=3)
    bank.settle(GREY, claim(1, 0.1, alpha=0.01))
    with pytest.raises(InvalidParameterError, match="settled or tried"):
        bank.charge("b", 0.01, count=3)
    bank.charge("b", 0.01, count=2)
    assert bank.confidence().next_alpha == 0
    with pytest.raises(InvalidParameterError, match="settled or tried"):
        bank.settle(GREY, claim(1, 0.1, alpha=0.01))
    bank.settle_many([GREY], [claim(1, 0.1, alpha=0.01)], attempt="a")  # its turn was before
    assert bank.confidence().alpha_sum == pytest.approx(0.06)
    decaying = new_bank(store, budget=AlphaBudget(BudgetKind.DECAYING, 0.05))
    for number in range(5):
        allowed = decaying.confidence().next_alpha
        assert allowed is not None
        decaying.charge(f"{number}", allowed)
    assert decaying.confidence().failure < 0.05


def test_copies_and_files_keep_what_was_tried(
    store: Store, bank: MemoryBank, tmp_path: Path
) -> None:
    bank.charge("a", 0.25, count=2)
    bank.settle_many([GREY], [claim(1, 0.1)], attempt="a")
    bank.settle(GREY, claim(ABSTAIN, 0.0))
    bank.export(tmp_path / "bank.zip")
    imported = import_bank(address(store), tmp_path / "bank.zip", owner="bob").bank
    copied = bank.copy("a copy", owner=bank.id).record()
    for record in (imported, copied):
        assert (record.settled, record.tried) == (2, 1)
        assert record.confidence.failure == pytest.approx(bank.confidence().failure)
    assert MemoryBank.find(address(store), copied.id).attempt("a") is None


def test_ten_tabs_lose_no_charge(bank: MemoryBank) -> None:
    barrier = Barrier(10)

    def press(number: int) -> None:
        barrier.wait()
        bank.charge(f"attempt {number // 2}", 0.001)

    threads = [Thread(target=press, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    known = bank.confidence()
    assert known.tried == 5
    assert known.failure == pytest.approx(0.005)


def test_two_tabs_store_it_once(bank: MemoryBank) -> None:
    bank.charge("a", 0.001)
    barrier, refused = Barrier(2), []

    def press() -> None:
        barrier.wait()
        try:
            bank.settle_many([GREY], [claim(1, 0.1)], attempt="a")
        except AlreadyStoredError as error:
            refused.append(error)

    threads = [Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert (bank.record().stored, bank.record().tried) == (1, 0)


def _charge_and_die(bank: MemoryBank) -> None:
    bank.charge("a", 0.001)
    os._exit(1)  # as after kill -9, before any vote is drawn


def test_a_crash_after_the_charge_does_not_lose_it(store: Store) -> None:
    bank = new_bank(store)
    process = FORK.Process(target=_charge_and_die, args=(bank,))
    process.start()
    process.join(60)
    assert process.exitcode == 1
    assert bank.confidence().failure == pytest.approx(0.001)
    assert bank.charge("a", 0.001).settled == 0
    assert bank.confidence().failure == pytest.approx(0.001)
