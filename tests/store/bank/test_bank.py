"""The memory bank: what is stored, what is refused, and what two who use it see of each other."""

from __future__ import annotations

import json
import math
import secrets
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sqlalchemy import Engine, text

from ddrs_core.data import image_digest, load_dataset
from ddrs_core.errors import DDRSError, InvalidParameterError, MismatchError
from ddrs_core.runs.logs.columns import read_rows
from ddrs_core.smoothing import ABSTAIN, Grade
from ddrs_core.smoothing.memory.rules import Outcome
from ddrs_core.store import (
    AlphaBudget,
    BudgetKind,
    MemoryBank,
    Store,
    StoreError,
    UnavailableError,
    UnknownEntryError,
    list_banks,
    open_store,
)
from ddrs_core.store import engine as engines
from tests.store.bank.banks import (
    CLASSES,
    MODEL,
    SHAPE,
    SlowMemory,
    address,
    check_exactly,
    claim,
    essence,
    new_bank,
    random_claims,
)
from tests.store.conftest import certificate
from tests.store.test_certificates import same

GREY = np.full(SHAPE, 0.5, np.float32)
STUDY = Path(__file__).parents[3] / "assets/results/study"


def moved(distance: float) -> np.ndarray:
    """An image at that distance from the grey one."""
    image = GREY.copy()
    image[0, 0, 0] += np.float32(distance)
    return image


@pytest.fixture
def bank(store: Store) -> MemoryBank:
    return new_bank(store)


# What is stored, and what it says.


def test_five_outcomes_by_hand(bank: MemoryBank) -> None:
    first = bank.settle(GREY, claim(1, 0.25))
    assert (first.outcome, first.serial, first.by) == (Outcome.UNTOUCHED, 1, None)
    assert first.certificate is not None
    assert first.certificate.grade is Grade.FOR_QUERIES_AFTER
    trimmed = bank.settle(moved(0.375), claim(2, 0.3))
    assert (trimmed.outcome, trimmed.prediction) == (Outcome.TRIMMED, 2)
    assert trimmed.radius == pytest.approx(0.125)
    assert trimmed.certificate == replace(claim(2, trimmed.radius), grade=Grade.FOR_QUERIES_AFTER)
    adopted = bank.settle(moved(0.125), claim(3, 0.2))
    assert (adopted.outcome, adopted.prediction) == (Outcome.ADOPTED, 1)
    assert adopted.radius == pytest.approx(0.125)
    enlarged = bank.settle(moved(-0.0625), claim(1, 0.01))
    assert (enlarged.outcome, enlarged.prediction) == (Outcome.ENLARGED, 1)
    assert enlarged.radius == pytest.approx(0.1875)
    rescued = bank.settle(moved(0.1875), claim(ABSTAIN, 0.0))
    assert (rescued.outcome, rescued.prediction) == (Outcome.RESCUED, 1)
    assert rescued.radius == pytest.approx(0.0625)
    for found in (adopted, enlarged, rescued):
        assert found.by is not None
        assert (found.by.id, found.alpha) == (1, 0.002)  # its own certificate's, and the first's
    lost = bank.settle(moved(-0.375), claim(ABSTAIN, 0.0))
    assert (lost.outcome, lost.prediction, lost.serial) == (Outcome.UNTOUCHED, ABSTAIN, None)
    record = bank.record()
    assert (record.settled, record.stored, record.indexed) == (6, 5, 2)
    assert record.tallies == {
        "untouched": 1,
        "trimmed": 1,
        "adopted": 1,
        "enlarged": 1,
        "rescued": 1,
        "abstained": 1,
    }
    check_exactly(bank)


def test_everything_comes_back_as_it_was(bank: MemoryBank) -> None:
    rng = np.random.default_rng(0)
    claims = random_claims(rng, 20)
    settled = [bank.settle(x, c) for x, c in claims]
    back = {ball.serial: ball for ball in bank.balls()}
    assert sorted(back) == list(range(1, len(back) + 1))
    for (x, c), s in zip(claims, settled, strict=True):
        if s.serial is None:
            continue
        ball = back[s.serial]
        assert same(ball.certificate, c)
        assert (ball.outcome, ball.prediction, ball.radius) == (s.outcome, s.prediction, s.radius)
        assert (ball.claimed, ball.claimed_radius) == (c.prediction, c.radius)
        assert ball.decided_by == (None if s.by is None else s.by.id)
        assert ball.alpha == c.alpha
        stored = bank.image(s.serial)
        assert stored.dtype == np.float32
        assert stored.tobytes() == x.tobytes()
        assert ball.digest == image_digest(torch.from_numpy(x))
    assert [ball.serial for ball in bank.balls(after=3, limit=2)] == [4, 5]


def test_a_bank_is_there_after_everything_is_closed(store: Store) -> None:
    bank, claims = new_bank(store), random_claims(np.random.default_rng(1), 30)
    memory = SlowMemory()
    for x, c in claims[:20]:
        bank.settle(x, c)
        memory.add(x, c)
    engine = engines._engines.pop(store._engine.url)
    engine.dispose()
    again = MemoryBank.open(
        address(store), bank.name, model=MODEL, num_classes=CLASSES, shape=SHAPE
    )
    assert again.id == bank.id
    for x, c in claims[20:]:
        assert essence(again.settle(x, c)) == essence(memory.add(x, c))
    again._store.engine.dispose()


def test_together_is_as_one_by_one(store: Store) -> None:
    one, many = new_bank(store), new_bank(store)
    claims = random_claims(np.random.default_rng(2), 60)
    apart = [one.settle(x, c) for x, c in claims]
    first, second = claims[:25], claims[25:]
    together = many.settle_many(*zip(*first, strict=True))
    together += many.settle_many(*zip(*second, strict=True))
    assert together == apart
    assert many.record().fingerprint == one.record().fingerprint
    assert many.settle_many([], []) == []
    assert {s.outcome for s in apart} == set(Outcome)


def test_a_lookup_stores_nothing_and_says_what_settling_would(bank: MemoryBank) -> None:
    claims = random_claims(np.random.default_rng(3), 40)
    for x, c in claims[:20]:
        bank.settle(x, c)
    before = bank.record()
    images, certificates = zip(*claims[20:], strict=True)
    foreseen = bank.lookup_many(images, certificates)
    assert bank.record() == before
    found = bank.settle(images[0], certificates[0])
    assert essence(foreseen[0].settlement) == essence(found)
    assert foreseen[0].settlement.certificate == found.certificate
    assert foreseen[0].settlement.alpha == found.alpha


def test_a_lookup_says_which_ball_contains_the_image(bank: MemoryBank) -> None:
    bank.settle(GREY, claim(1, 0.25))
    bank.settle(moved(0.0625), claim(1, 0.25))
    found = bank.lookup(moved(0.125))
    assert [part.ball.id for part in found.containing] == [2, 1]
    assert [part.slack for part in found.containing] == pytest.approx([-0.1875, -0.125])
    assert (found.settlement.outcome, found.settlement.prediction) == (Outcome.RESCUED, 1)
    assert found.settlement.radius == pytest.approx(0.1875)
    assert found.settlement.certificate is None
    outside = bank.lookup(moved(-0.375))
    assert outside.containing == ()
    assert outside.settlement.prediction == ABSTAIN


def test_tensors_and_arrays_are_taken(bank: MemoryBank) -> None:
    for image in (
        torch.full(SHAPE, 0.25),
        torch.full(SHAPE, 0.25, requires_grad=True),
        torch.full(SHAPE, 0.25, dtype=torch.float64),
        torch.full(SHAPE, 0.25).bfloat16(),
        np.full(SHAPE, 0.25),
        np.full(SHAPE, 0.25, np.float32)[:, ::-1].tolist(),
    ):
        bank.settle(image, claim(1, 0.1))
    assert len({ball.digest for ball in bank.balls()}) == 1


def test_numbers_of_numpy_are_taken(bank: MemoryBank) -> None:
    bank.settle(GREY, claim(np.int64(1), np.float64(0.1), index=np.int64(3)))  # type: ignore[arg-type]
    assert bank.balls()[0].certificate.index == 3


@pytest.mark.parametrize("model", ["gaussian-0.50", "smoothadv-ds2-0.50", "macer-0.25"])
def test_certificates_of_one_fixed_sigma_are_neither_trimmed_nor_adopted(
    model: str, store: Store
) -> None:
    """All test digits: they belong to one smoothed classifier, which does not contradict itself."""
    (log,) = STUDY.glob(f"digits-{model}-fixed-*.tsv")
    rows = read_rows(log.read_text(), log.name)
    certificates = [row.certificate for row in rows]
    assert len(certificates) == 500
    images, _ = load_dataset("digits", "test").tensors([c.index for c in certificates])  # type: ignore[misc]
    bank = new_bank(store, model=certificates[0].model, num_classes=10, shape=(1, 8, 8))
    settled = bank.settle_many(list(images), certificates)
    assert not {s.outcome for s in settled} & {Outcome.TRIMMED, Outcome.ADOPTED}
    tallies = bank.record().tallies
    assert sum(tallies.values()) == 500
    assert tallies["abstained"] + tallies["rescued"] == sum(c.abstained for c in certificates)
    for s, c in zip(settled, certificates, strict=True):
        assert s.radius >= c.radius
        assert s.prediction == c.prediction or c.abstained
    assert bank.check().holds


# Banks: opened, listed, copied, removed.


def test_a_bank_belongs_to_one_model_one_shape_and_its_classes(store: Store) -> None:
    bank = new_bank(store, class_names=("a", "b", "c", "d"))
    wanted = {"model": MODEL, "num_classes": CLASSES, "shape": SHAPE}
    for change, said in (
        ({"model": "dda7fcf0"}, "belongs to the model e3b0c442, not dda7fcf0"),
        ({"num_classes": 10}, "4 classes, not 10"),
        ({"shape": (3, 4, 4)}, "images of 1x4x4, not 3x4x4"),
        ({"class_names": ("a", "b", "c", "e")}, "the class 'd', not 'e'"),
        ({"budget": AlphaBudget(BudgetKind.DECAYING, 0.05)}, "another alpha budget"),
    ):
        with pytest.raises(MismatchError, match=said):
            MemoryBank.open(address(store), bank.name, **{**wanted, **change})  # type: ignore[arg-type]
    again = MemoryBank.open(address(store), bank.name, **wanted)  # type: ignore[arg-type]
    assert again.id == bank.id
    assert again.kind.class_names == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": ""}, "model"),
        ({"num_classes": 1}, "classes"),
        ({"shape": ()}, "shape"),
        ({"shape": (1, 0, 8)}, "size"),
        ({"shape": (4000, 4000, 4000)}, "pixels"),
        ({"class_names": ("a",)}, "1 name for 4 classes"),
        ({"budget": AlphaBudget(BudgetKind.TOTAL, 0.05)}, "planned"),
        ({"budget": AlphaBudget(BudgetKind.DECAYING, 1.5)}, "total alpha"),
        ({"budget": AlphaBudget(BudgetKind.SUM, 0.5)}, "total alpha"),
    ],
)
def test_a_bank_that_makes_no_sense_is_refused(
    store: Store, change: dict[str, object], said: str
) -> None:
    with pytest.raises(InvalidParameterError, match=said):
        new_bank(store, **change)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\0b", "x" * 101, 7])
def test_a_bank_has_a_name_that_can_be_printed(store: Store, name: str) -> None:
    with pytest.raises(InvalidParameterError, match="name"):
        MemoryBank.open(address(store), name, model=MODEL, num_classes=4, shape=SHAPE)


def test_banks_are_found_by_name_and_by_id(store: Store) -> None:
    url, name, owner = address(store), secrets.token_hex(4), secrets.token_hex(4)
    wanted = {"model": MODEL, "num_classes": CLASSES, "shape": SHAPE}
    mine = MemoryBank.open(url, name, owner=owner, **wanted)  # type: ignore[arg-type]
    theirs = MemoryBank.open(url, name, owner=f"not {owner}", **wanted)  # type: ignore[arg-type]
    assert mine.id != theirs.id
    assert MemoryBank.find(url, mine.id).owner == owner
    assert MemoryBank.find(url, name, owner=owner).id == mine.id
    with pytest.raises(InvalidParameterError, match=r"2 memory banks.*Name one by its id"):
        MemoryBank.find(url, name)
    assert [bank.id for bank in list_banks(url, owner=owner)] == [mine.id]
    for nothing in ("nothing", "../etc", "\0", "\ud800"):
        with pytest.raises(UnknownEntryError, match="no memory bank"):
            MemoryBank.find(url, nothing)


def test_a_copy_goes_its_own_way(store: Store) -> None:
    bank, claims = new_bank(store), random_claims(np.random.default_rng(4), 30)
    bank.settle_many(*zip(*claims[:20], strict=True))
    before = bank.record()
    owner = secrets.token_hex(4)
    copy = bank.copy("mine", owner=owner)
    assert replace(copy.record(), id=bank.id, name=bank.name, owner="", created=0.0) == replace(
        before, created=0.0
    )
    assert copy.balls() == bank.balls()
    copy.settle_many(*zip(*claims[20:], strict=True))
    assert bank.record() == before
    assert copy.record().settled == 30
    assert copy.check().holds
    with pytest.raises(StoreError, match="already"):
        bank.copy("mine", owner=owner)
    bank.delete()
    assert copy.record().settled == 30
    copy.delete()
    assert list_banks(address(store), owner=owner) == []


def test_a_deleted_bank_is_said_to_be_gone(store: Store, tmp_path: Path) -> None:
    bank = new_bank(store)
    bank.settle(GREY, claim(1, 0.1))
    bank.delete()
    for use in (
        bank.record,
        bank.confidence,
        bank.check,
        bank.delete,
        lambda: bank.copy("x"),
        lambda: bank.settle(GREY, claim(1, 0.1)),
        lambda: bank.lookup(GREY),
        lambda: bank.export(tmp_path / "x.zip"),
        lambda: bank.image(1),
    ):
        with pytest.raises(UnknownEntryError, match="no memory bank"):
            use()
    assert not list(tmp_path.glob("*.zip"))
    with store._engine.connect() as connection:
        for table in ("balls", "ball_images"):
            count = f"SELECT count(*) FROM {table} WHERE bank_id = :id"
            assert connection.execute(text(count), {"id": bank.id}).scalar() == 0


# What is refused leaves the bank as it was.


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (GREY[0], "shape 1x4x4, not 4x4"),
        (np.zeros((3, 4, 4), np.float32), "not 3x4x4"),
        (GREY * 255, r"lie in \[0, 1\]; those of this one reach from 127.5"),
        (GREY - 1, r"reach from -0.5 to -0.5.*without normalisation"),
        (np.full(SHAPE, np.nan, np.float32), "NaN"),
        (np.full(SHAPE, 0.1), "float32"),
        (np.full(SHAPE, "a"), "numbers"),
        (np.full(SHAPE, 1j), "numbers"),
        (None, "shape"),
        ([[1], [2, 3]], "array"),
    ],
)
def test_images_that_do_not_fit_are_refused(bank: MemoryBank, image: object, said: str) -> None:
    bank.settle(GREY, claim(1, 0.1))
    before = bank.record()
    with pytest.raises(DDRSError, match=said):
        bank.settle_many([GREY, image], [claim(1, 0.1), claim(1, 0.1)])
    with pytest.raises(DDRSError, match=said):
        bank.lookup(image)
    assert bank.record() == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"radius": -0.1}, "from 0 on"),
        ({"radius": math.nan}, "finite"),
        ({"radius": math.inf}, "finite"),
        ({"radius": None}, "number"),
        ({"prediction": CLASSES}, "classes of this memory bank are 0 to 3, not 4"),
        ({"prediction": -2}, "class"),
        ({"prediction": None}, "number"),
        ({"prediction": 0.5}, "classes"),
        ({"prediction": ABSTAIN}, "abstention"),
        ({"model": "dda7fcf0"}, "model dda7fcf0, this memory bank to e3b0c442"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": 1.0}, "alpha"),
        ({"alpha": math.nan}, "alpha"),
        ({"p_lower": math.nan}, "p_lower"),
        ({"dataset": object()}, "stored"),
    ],
)
def test_certificates_that_do_not_fit_are_refused(
    bank: MemoryBank, change: dict[str, object], said: str
) -> None:
    bank.settle(GREY, claim(1, 0.1))
    before, balls = bank.record(), bank.balls()
    wrong = certificate(**{"prediction": 1, "radius": 0.1, **change})
    with pytest.raises((InvalidParameterError, MismatchError), match=said):
        bank.settle_many([GREY, GREY], [claim(2, 0.1), wrong])
    assert bank.record() == before
    assert bank.balls() == balls
    with pytest.raises(InvalidParameterError, match="2 images and 1 certificate"):
        bank.settle_many([GREY, GREY], [claim(1, 0.1)])


# Alpha.


def test_the_sum_of_alphas_is_what_is_known_of_all(bank: MemoryBank) -> None:
    assert bank.confidence().failure == 0
    bank.settle(GREY, claim(1, 0.1, alpha=0.4))
    bank.settle(moved(0.25), claim(ABSTAIN, 0.0, alpha=0.4))  # it was an attempt as well
    assert bank.confidence().failure == pytest.approx(0.8)
    bank.settle(GREY, claim(1, 0.1, alpha=0.4))
    known = bank.confidence()
    assert known.failure == 1
    assert known.expected_wrong == pytest.approx(1.2)
    assert (known.settled, known.next_alpha) == (3, None)


def test_a_total_is_shared_by_the_number_that_was_planned(store: Store) -> None:
    bank = new_bank(store, budget=AlphaBudget(BudgetKind.TOTAL, 0.01, 4))
    assert bank.confidence().next_alpha == 0.0025
    with pytest.raises(InvalidParameterError, match=r"Certificate 1 .* at most 0.0025, not 0.003"):
        bank.settle(GREY, claim(1, 0.1, alpha=0.003))
    bank.settle_many([GREY] * 3, [claim(1, 0.1, alpha=0.0025)] * 3)
    with pytest.raises(InvalidParameterError, match="4 certificates that this memory bank was"):
        bank.settle_many([GREY] * 2, [claim(1, 0.1, alpha=0.0025)] * 2)
    assert bank.record().settled == 3
    bank.settle(GREY, claim(1, 0.1, alpha=0.0025))
    assert bank.confidence().next_alpha == 0
    assert bank.confidence().alpha_sum <= 0.01 * (1 + 1e-9)


def test_a_decaying_budget_never_exceeds_its_total(store: Store) -> None:
    bank = new_bank(store, budget=AlphaBudget(BudgetKind.DECAYING, 0.05))
    for i in range(1, 8):
        allowed = bank.confidence().next_alpha
        assert allowed == pytest.approx(6 * 0.05 / (math.pi**2 * i**2))
        assert allowed is not None
        bank.settle(GREY, claim(1, 0.1, alpha=allowed))
        with pytest.raises(InvalidParameterError, match="may spend"):
            bank.settle(GREY, claim(1, 0.1, alpha=allowed))
    budget = AlphaBudget(BudgetKind.DECAYING, 0.05)
    total = math.fsum(budget.allowance(i) or 0 for i in range(1, 100_000))
    assert 0.0499 < total < 0.05
    assert bank.confidence().failure < 0.05


# The database.


def test_another_transaction_may_settle_and_store_more(store: Store) -> None:
    bank = new_bank(store)
    run = store.create_run(title="x", config={}, settings=[{}], total=5)
    with bank.transaction() as connection:
        (settled,) = bank.settle_within(connection, [GREY], [claim(1, 0.1)])
        assert settled.certificate is not None
        row = {"run_id": run.id, "setting": 0, "position": 0}
        from ddrs_core.store.certificate_rows import to_row

        store._insert(connection, run.id, [{**to_row(settled.certificate), **row}])
    assert store.count(run.id) == bank.record().stored == 1
    with pytest.raises(RuntimeError, match="power cut"):
        _settle_twice_and_fail(bank)
    assert bank.record().stored == len(bank.balls()) == 1
    # What was rolled back is in nobody's memory, either.
    assert bank.settle(moved(0.125), claim(3, 0.02)).outcome is Outcome.UNTOUCHED
    assert bank.check().holds


def _settle_twice_and_fail(bank: MemoryBank) -> None:
    with bank.transaction() as connection:
        bank.settle_within(connection, [moved(0.25)], [claim(2, 0.1)])
        bank.settle_within(connection, [moved(0.125)], [claim(2, 0.01)])
        raise RuntimeError("power cut")


def test_two_who_use_a_bank_see_each_other(store: Store) -> None:
    """Each has an index of its own; so do two processes."""
    from ddrs_core.store.bank import index as bank_index

    bank, memory = new_bank(store), SlowMemory()
    kept: list[dict[object, object]] = [{}, {}]
    for i, (x, c) in enumerate(random_claims(np.random.default_rng(5), 60)):
        mine = kept[i % 2]
        bank_index._loaded.clear()
        bank_index._loaded.update(mine)  # type: ignore[arg-type]
        assert essence(bank.lookup(x, c).settlement) == essence(memory.look(x, c))
        assert essence(bank.settle(x, c)) == essence(memory.add(x, c))
        mine.update(bank_index._loaded)
    check_exactly(bank)


def test_a_database_that_was_put_back_is_noticed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.sqlite3"
    open_store(url)
    bank = MemoryBank.open(url, "a", model=MODEL, num_classes=CLASSES, shape=SHAPE)
    bank.settle(GREY, claim(1, 0.1))
    with (
        sqlite3.connect(tmp_path / "x.sqlite3") as file,
        sqlite3.connect(tmp_path / "backup") as copy,
    ):
        file.backup(copy)
    bank.settle(moved(0.25), claim(2, 0.1))
    bank._store.engine.dispose()
    for leftover in tmp_path.glob("x.sqlite3*"):
        leftover.unlink()
    (tmp_path / "backup").rename(tmp_path / "x.sqlite3")
    assert bank.settle(moved(0.25), claim(3, 0.1)).outcome is Outcome.UNTOUCHED
    assert [ball.prediction for ball in bank.balls()] == [1, 3]
    assert bank.lookup(moved(0.25)).settlement.prediction == 3


@pytest.mark.slow
def test_a_full_disk_is_said_so_and_loses_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.sqlite3"
    bank = MemoryBank.open(url, "a", model=MODEL, num_classes=CLASSES, shape=SHAPE)
    bank.settle(GREY, claim(1, 0.1))
    before = bank.record()
    with bank._store.engine.connect() as connection:  # the only one in the pool
        connection.exec_driver_sql("PRAGMA max_page_count=1")  # the least possible: what it has
    with pytest.raises(UnavailableError, match="disk is full"):
        bank.settle_many([GREY] * 500, [claim(1, 0.1)] * 500)
    assert bank.record() == before
    assert bank.lookup(GREY).settlement.prediction == 1


def test_who_waits_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.2)
    url = f"sqlite:///{tmp_path}/x.sqlite3"
    bank = MemoryBank.open(url, "a", model=MODEL, num_classes=CLASSES, shape=SHAPE)
    other = sqlite3.connect(tmp_path / "x.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError, match="kept busy by others"):
        bank.settle(GREY, claim(1, 0.1))
    assert bank.lookup(GREY).containing == ()  # reading goes on meanwhile
    other.execute("ROLLBACK")
    bank.settle(GREY, claim(1, 0.1))
    other.close()


def older_database(url: str, version: str) -> Engine:
    """A database as an earlier version of the program made it."""
    from alembic import command
    from alembic.config import Config

    from ddrs_core.store.url import database_file, parse_url

    address = parse_url(url)
    file = database_file(address)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    engine = engines.engine_for(address)
    with engines.writing(engine) as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "ddrs_core.store:migrations")
        config.set_main_option("path_separator", "os")
        command.upgrade(config, version)
    return engine


def test_a_bank_of_before_has_tried_nothing_and_goes_on(url: str) -> None:
    """Version 2 of the tables, with a bank in it, is brought up to date."""
    engine = older_database(url, "0002")
    tallies = {"untouched": 1, "abstained": 1}
    row = {
        "id": "0" * 16,
        "name": "old",
        "owner": "",
        "model": MODEL,
        "classes": CLASSES,
        "shape": json.dumps(SHAPE),
        "budget": json.dumps(AlphaBudget().to_dict()),
        "tallies": json.dumps(tallies),
    }
    with engines.writing(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO banks (id, name, owner, created, model, num_classes, class_names, "
                "shape, pixels, budget, settled, stored, alpha_sum, tallies, fingerprint) VALUES "
                "(:id, :name, :owner, 1, :model, :classes, '[]', :shape, '[0, 1]', :budget, 2, 0, "
                "0.5, :tallies, '')"
            ),
            row,
        )
    bank = MemoryBank.open(url, "old", model=MODEL, num_classes=CLASSES, shape=SHAPE)
    assert bank.id == row["id"]
    assert (bank.confidence().settled, bank.confidence().tried) == (2, 0)
    bank.charge("a", 0.25)
    bank.settle_many([GREY], [claim(1, 0.1, alpha=0.25)], attempt="a")
    assert bank.confidence().failure == pytest.approx(0.75)
    bank.delete()
    assert list_banks(url) == []


def test_a_database_without_banks_gets_them(tmp_path: Path) -> None:
    """Version 1 of the tables, with a run in it, is brought up to date."""
    url = f"sqlite:///{tmp_path}/x.sqlite3"
    engine = older_database(url, "0001")
    with engine.connect() as connection:
        tables = connection.execute(text("SELECT name FROM sqlite_master")).scalars().all()
    assert "runs" in tables
    assert "banks" not in tables
    run = Store(engine).create_run(title="old", config={}, settings=[{}], total=1)
    bank = MemoryBank.open(url, "a", model=MODEL, num_classes=CLASSES, shape=SHAPE)
    bank.settle(GREY, claim(1, 0.1))
    assert open_store(url).run(run.id).title == "old"
