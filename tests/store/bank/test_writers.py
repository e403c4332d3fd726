"""Many processes settle into one bank, some are killed: the invariant holds, nothing is lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ddrs_core.errors import InvalidParameterError
from ddrs_core.smoothing import ABSTAIN
from ddrs_core.store import AlphaBudget, BudgetKind, MemoryBank, Store
from ddrs_core.store.bank.rows import BankStore
from tests.store.bank.banks import (
    CLASSES,
    MODEL,
    SHAPE,
    SlowMemory,
    address,
    check_exactly,
    claim,
    new_bank,
    random_claims,
)
from tests.store.test_certificates import settle as settle_down

FORK = multiprocessing.get_context("fork")
WRITERS, EACH = 20, 6


def _write(bank: MemoryBank, seed: int, path: Path) -> None:
    """Settle some, one by one and together, and note what was accepted."""
    claims = random_claims(np.random.default_rng(seed), EACH)
    settled = [bank.settle(x, c) for x, c in claims[:3]]
    settled += bank.settle_many(*zip(*claims[3:], strict=True))
    noted = [
        [s.serial, s.prediction, s.radius, s.outcome.value, x.tobytes().hex()]
        for s, (x, _) in zip(settled, claims, strict=True)
    ]
    path.write_text(json.dumps(noted))


def check_history(bank: MemoryBank) -> None:
    """Every ball is what looking at all balls before it would have made of its certificate."""
    memory = SlowMemory()
    for ball in bank.balls():
        settlement = memory.add(bank.image(ball.serial), ball.certificate)
        assert (ball.outcome, ball.prediction, ball.radius) == (
            settlement.outcome,
            settlement.prediction,
            settlement.radius,
        )
        assert ball.decided_by == (None if settlement.by is None else settlement.by.id)


@pytest.mark.slow
def test_twenty_writers_at_once(store: Store, tmp_path: Path) -> None:
    bank = new_bank(store)
    writers = [
        FORK.Process(target=_write, args=(bank, i, tmp_path / str(i))) for i in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    stored = {ball.serial: ball for ball in bank.balls()}
    seen = set()
    for i in range(WRITERS):
        for serial, prediction, radius, outcome, pixels in json.loads(
            (tmp_path / str(i)).read_text()
        ):
            if serial is None:
                assert prediction == ABSTAIN
                continue
            ball = stored[serial]
            assert (ball.prediction, ball.radius, ball.outcome) == (prediction, radius, outcome)
            assert bank.image(serial).tobytes().hex() == pixels
            seen.add(serial)
    assert seen == set(stored) == set(range(1, len(stored) + 1))
    record = bank.record()
    assert (record.settled, record.stored) == (WRITERS * EACH, len(stored))
    assert sum(record.tallies.values()) == WRITERS * EACH
    assert record.alpha_sum == pytest.approx(WRITERS * EACH * 0.001)
    check_history(bank)
    check_exactly(bank)
    assert bank.check().holds


def _write_until_killed(bank: MemoryBank, seed: int, pipe: int) -> None:
    rng = np.random.default_rng(seed)
    while True:
        claims = random_claims(rng, 3)
        settled = bank.settle_many(*zip(*claims, strict=True))
        os.write(pipe, struct.pack("<3q", *[s.serial or 0 for s in settled]))


@pytest.mark.slow
def test_killed_writers_lose_nothing_and_leave_nothing_half_done(store: Store) -> None:
    bank, moments = new_bank(store), random.Random(4)
    acknowledged: set[int] = set()
    for attempt in range(4):
        reading, pipe = os.pipe()
        writers = [
            FORK.Process(target=_write_until_killed, args=(bank, 10 * attempt + i, pipe))
            for i in range(3)
        ]
        for writer in writers:
            writer.start()
        os.close(pipe)
        for writer in writers:
            time.sleep(moments.uniform(0.03, 0.2))
            os.kill(writer.pid or 0, signal.SIGKILL)
        for writer in writers:
            writer.join()
        with os.fdopen(reading, "rb") as said:
            heard = said.read()
        for serials in struct.iter_unpack("<3q", heard):
            acknowledged |= set(serials) - {0}
        settle_down(store)
        record, balls = bank.record(), bank.balls()
        assert [ball.serial for ball in balls] == list(range(1, record.stored + 1))
        assert acknowledged <= {ball.serial for ball in balls}
        assert record.settled % 3 == 0  # whole batches
        assert bank.check().holds
    assert len(acknowledged) > 10
    check_history(bank)


def test_a_crash_between_settling_and_storing_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = new_bank(store)
    claims = random_claims(np.random.default_rng(0), 12)
    bank.settle_many(*zip(*claims[:10], strict=True))
    before, balls = bank.record(), bank.balls()
    for moment in ("before", "amid", "after"):
        with monkeypatch.context() as patch:
            patch.setattr(BankStore, "save", _dying(BankStore.save, moment))
            child = FORK.Process(
                target=bank.settle_many, args=tuple(zip(*claims[10:], strict=True))
            )
            child.start()
            child.join()
            assert child.exitcode == -signal.SIGKILL
        settle_down(store)
        assert bank.record() == before
        assert bank.balls() == balls
    bank.settle_many(*zip(*claims[10:], strict=True))
    check_history(bank)


def _dying(save: object, moment: str) -> object:
    def dying(self: BankStore, connection: object, settling: object) -> None:
        if moment == "amid":
            settling.image_rows[-1]["certificate"] = _Deadly()  # type: ignore[attr-defined]
        if moment != "before":
            save(self, connection, settling)  # type: ignore[operator]
        os.kill(os.getpid(), signal.SIGKILL)

    return dying


class _Deadly(str):
    """Kills whoever stores it."""

    def replace(self, *_: object) -> str:  # type: ignore[override]
        os.kill(os.getpid(), signal.SIGKILL)
        return ""


def test_threads_share_a_bank(store: Store) -> None:
    bank = new_bank(store)
    claims = random_claims(np.random.default_rng(1), 48)

    def use(i: int) -> None:
        x, c = claims[i]
        bank.lookup(x)
        bank.settle(x, c)
        bank.lookup(x, c)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(use, range(48)))
    assert bank.record().settled == 48
    check_history(bank)
    check_exactly(bank)


def _open(url: str, name: str, go: object, said: object) -> None:
    go.wait()  # type: ignore[attr-defined]
    try:
        bank = MemoryBank.open(url, name, model=MODEL, num_classes=CLASSES, shape=SHAPE)
        bank.settle(np.zeros(SHAPE, np.float32), claim(1, 0.0))
        said.put(bank.id)  # type: ignore[attr-defined]
    except BaseException as error:
        said.put(repr(error))  # type: ignore[attr-defined]


@pytest.mark.slow
def test_ten_processes_may_open_a_new_bank_at_once(store: Store) -> None:
    go, said = FORK.Event(), FORK.Queue()
    name = new_bank(store).name + " of all"
    processes = [
        FORK.Process(target=_open, args=(address(store), name, go, said)) for _ in range(10)
    ]
    for process in processes:
        process.start()
    go.set()
    answers = {said.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert answers == {MemoryBank.find(address(store), name).id}
    assert MemoryBank.find(address(store), name).record().stored == 10


def _spend(bank: MemoryBank, said: object) -> None:
    accepted = 0
    for _ in range(5):
        try:
            bank.settle(np.zeros(SHAPE, np.float32), claim(1, 0.0, alpha=0.001))
            accepted += 1
        except InvalidParameterError:
            pass
    said.put(accepted)  # type: ignore[attr-defined]


def test_a_budget_holds_for_all_writers_together(store: Store) -> None:
    bank, said = new_bank(store, budget=AlphaBudget(BudgetKind.TOTAL, 0.012, 12)), FORK.Queue()
    writers = [FORK.Process(target=_spend, args=(bank, said)) for _ in range(4)]
    for writer in writers:
        writer.start()
    assert sum(said.get(timeout=60) for _ in writers) == 12
    for writer in writers:
        writer.join()
    assert bank.record().settled == 12
    assert bank.confidence().next_alpha == 0


def test_a_copy_made_while_others_write_is_whole(store: Store, tmp_path: Path) -> None:
    bank = new_bank(store)
    writers = [FORK.Process(target=_write, args=(bank, i, tmp_path / str(i))) for i in range(4)]
    for writer in writers:
        writer.start()
    copies = [bank.copy(f"{bank.name} {i}") for i in range(4)]
    for writer in writers:
        writer.join()
    for copy in copies:
        record = copy.record()
        assert len(copy.balls()) == record.stored
        assert copy.check().holds
