"""Certificates come back exactly, once each, and none that was acknowledged is ever lost."""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import select
import signal
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ddrs_core.errors import InvalidParameterError
from ddrs_core.smoothing import Bound, Certificate, Grade
from ddrs_core.store import AlreadyStoredError, RunRecord, RunState, Store, UnknownEntryError
from ddrs_core.store.certificate_rows import pack_counts, unpack_counts
from ddrs_core.store.schema import certificates as table
from tests.store.conftest import certificate

FORK = multiprocessing.get_context("fork")
ON_ONE_STORE = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

doubles = st.floats(allow_nan=False, allow_infinity=False)
integers = st.integers(-(2**63), 2**63 - 1)
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
counts = st.lists(st.integers(0, 2**40) | st.just(0), max_size=40).map(tuple)
certified = st.builds(
    Certificate,
    dataset=st.none() | words,
    index=st.none() | integers,
    label=st.none() | integers,
    prediction=integers,
    radius=doubles,
    sigma=doubles,
    grade=st.sampled_from(Grade),
    counts=counts,
    n0=integers,
    n=integers,
    alpha=doubles,
    bound=st.sampled_from(Bound),
    p_lower=doubles,
    seed=st.integers(),
    precision=words,
    model=words,
    seconds=doubles,
    candidate=integers,
    schedule=words,
    failure=words,
    execution=words,
    clean=st.none() | integers,
)


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def same(left: Certificate, right: Certificate) -> bool:
    """Equal field by field, of the same types, and floats to the last bit but the sign of 0."""
    for field in fields(Certificate):
        a, b = getattr(left, field.name), getattr(right, field.name)
        if type(a) is not type(b) or a != b:
            return False
        if isinstance(a, float) and a and bits(a) != bits(b):
            return False
    return True


def test_every_field_has_a_column() -> None:
    assert {field.name for field in fields(Certificate)} <= set(table.c.keys())


@ON_ONE_STORE
@given(batch=st.lists(certified, min_size=1, max_size=5))
def test_every_field_comes_back_exactly(store: Store, batch: list[Certificate]) -> None:
    run = store.create_run(title="x", config={}, settings=[{}], total=5)
    store.add_certificates(run.id, [(0, i, c) for i, c in enumerate(batch)])
    back = [stored.certificate for stored in store.certificates(run.id)]
    assert len(back) == len(batch)
    assert all(same(left, right) for left, right in zip(batch, back, strict=True))


def test_the_edges_of_the_doubles_come_back_exactly(store: Store, run: RunRecord) -> None:
    edges = [5e-324, 2.2250738585072009e-308, 0.1 + 0.2, 1.7976931348623157e308, math.pi, 1e16 + 2]
    store.add_certificates(run.id, [(0, i, certificate(radius=x)) for i, x in enumerate(edges)])
    back = [stored.certificate.radius for stored in store.certificates(run.id)]
    assert [bits(x) for x in back] == [bits(x) for x in edges]


@given(counts=counts)
def test_packed_counts_come_back(counts: tuple[int, ...]) -> None:
    assert unpack_counts(pack_counts(counts)) == counts


def test_a_thousand_classes_are_short() -> None:
    votes = [0] * 1000
    votes[17], votes[230], votes[231] = 99_000, 999, 1
    assert len(pack_counts(votes)) < 50
    assert len(pack_counts(range(1, 1001))) < 5 * 1000


def test_what_is_no_number_is_refused(store: Store, run: RunRecord) -> None:
    for value in (math.nan, math.inf, -math.inf):
        batch = [(0, 0, certificate()), (0, 1, certificate(radius=value))]
        with pytest.raises(InvalidParameterError, match="radius"):
            store.add_certificates(run.id, batch)
    assert store.count(run.id) == 0
    with pytest.raises(InvalidParameterError, match="negative"):
        store.add_certificates(run.id, [(0, 0, certificate(counts=(1, -1)))])
    with pytest.raises(InvalidParameterError, match="lacks"):
        store.add_certificates(run.id, [(0, 0, replace(certificate(), prediction=None))])  # type: ignore[arg-type]


def test_a_place_is_filled_once(store: Store, run: RunRecord) -> None:
    store.add_certificates(run.id, [(0, 0, certificate()), (1, 0, certificate())])
    before = store.certificates(run.id)
    with pytest.raises(AlreadyStoredError, match="Image 0 of setting 1"):
        store.add_certificates(
            run.id, [(0, 1, certificate(1)), (1, 0, certificate(2)), (0, 2, certificate())]
        )
    with pytest.raises(AlreadyStoredError, match="Image 5 of setting 0"):
        store.add_certificates(run.id, [(0, 5, certificate()), (0, 5, certificate())])
    assert store.certificates(run.id) == before
    assert store.count(run.id) == store.run(run.id).stored == 2
    store.add_certificates(run.id, [(0, 1, certificate(1))])
    assert [c.serial for c in store.certificates(run.id, setting=0)] == [1, 3]


def test_certificates_come_by_position_and_can_be_chosen(store: Store, run: RunRecord) -> None:
    for setting, position in [(1, 7), (0, 2), (1, 0), (2, 2), (0, 0)]:
        store.add_certificates(run.id, [(setting, position, certificate(position))])
    every = [(c.position, c.setting) for c in store.certificates(run.id)]
    assert every == [(0, 0), (0, 1), (2, 0), (2, 2), (7, 1)]
    assert [c.position for c in store.certificates(run.id, setting=1)] == [0, 7]
    assert [c.position for c in store.certificates(run.id, after=3)] == [0, 2]
    assert store.certificates(run.id, after=5) == []
    assert store.stored_keys(run.id) == {(1, 7), (0, 2), (1, 0), (2, 2), (0, 0)}


def test_unknown_and_deleted_runs_are_said_so(store: Store, run: RunRecord) -> None:
    store.add_certificates(run.id, [(0, 0, certificate())])
    other = store.create_run(title="other", config={}, settings=[{}], total=1)
    store.add_certificates(other.id, [(0, 0, certificate())])
    store.claim(run.id)
    store.release(run.id, RunState.FAILED)
    store.delete_run(run.id)
    for use in (
        store.certificates,
        store.stored_keys,
        store.count,
        store.run,
        store.delete_run,
        store.claim,
        lambda run_id: store.add_certificates(run_id, [(0, 0, certificate())]),
    ):
        for run_id in (run.id, "nonsense", "../etc", "\0", "x" * 10_000, "\ud800"):
            with pytest.raises(UnknownEntryError, match="There is no run"):
                use(run_id)
    assert store.count(other.id) == len(store.certificates(other.id)) == 1


BATCH = 5


def _write_until_killed(store: Store, run_id: str, first: int, pipe: int) -> None:
    for position in range(first, 10**9, BATCH):
        batch = [(0, position + i, certificate(position + i)) for i in range(BATCH)]
        store.add_certificates(run_id, batch)
        os.write(pipe, struct.pack("<q", position))


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_and_leaves_no_half_batch(
    store: Store, run: RunRecord
) -> None:
    moments = random.Random(4)
    acknowledged: set[int] = set()
    for turn in range(12):
        reading, pipe = os.pipe()
        first = store.count(run.id)
        writer = FORK.Process(target=_write_until_killed, args=(store, run.id, first, pipe))
        writer.start()
        os.close(pipe)
        if turn % 3:  # else it may die before its first word
            assert select.select([reading], [], [], 60)[0]
        time.sleep(moments.uniform(0.01, 0.15))
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
        with os.fdopen(reading, "rb") as said:
            heard = said.read()
        for (position,) in struct.iter_unpack("<q", heard[: len(heard) // 8 * 8]):
            acknowledged |= set(range(position, position + BATCH))
        settle(store)
        stored = [c.position for c in store.certificates(run.id)]
        assert acknowledged <= set(stored)
        assert stored == list(range(len(stored)))  # each once, no gap
        assert len(stored) % BATCH == 0
        assert len(stored) == store.count(run.id)
    assert len(acknowledged) > 10 * BATCH


def settle(store: Store) -> None:
    """A server may still be at the last words of a client that is gone."""
    if store._engine.dialect.name == "sqlite":
        return
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND state <> 'idle'"
    )
    deadline = time.monotonic() + 60
    with store._engine.connect() as connection:
        while connection.exec_driver_sql(query).scalar() and time.monotonic() < deadline:
            connection.rollback()
            time.sleep(0.01)


def _write(store: Store, run_id: str, setting: int, total: int) -> None:
    chance = random.Random(setting)
    position = 0
    while position < total:
        size = min(chance.randint(1, 4), total - position)
        batch = [(setting, position + i, certificate(position + i)) for i in range(size)]
        store.add_certificates(run_id, batch)
        position += size


def test_a_reader_who_follows_sees_everything_once(store: Store, run: RunRecord) -> None:
    total, writers = 150, 3
    processes = [
        FORK.Process(target=_write, args=(store, run.id, s, total)) for s in range(writers)
    ]
    for process in processes:
        process.start()
    seen: list[tuple[int, int]] = []
    after, polls, deadline = 0, 0, time.monotonic() + 60
    while len(seen) < total * writers and time.monotonic() < deadline:
        fresh = store.certificates(run.id, after=after)
        serials = sorted(c.serial for c in fresh)
        assert serials == list(range(after + 1, after + 1 + len(fresh)))  # none is missed
        after += len(fresh)
        seen += [(c.setting, c.position) for c in fresh]
        polls += bool(fresh)
    for process in processes:
        process.join()
    assert len(seen) == len(set(seen)) == total * writers
    assert polls > 5
    assert store.certificates(run.id, after=after) == []


def test_threads_share_a_store(store: Store, run: RunRecord) -> None:
    def write(position: int) -> None:
        store.add_certificates(run.id, [(0, position, certificate(position))])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(100)))
    assert [c.serial for c in sorted(store.certificates(run.id), key=lambda c: c.serial)] == list(
        range(1, 101)
    )
