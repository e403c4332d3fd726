"""The check finds the tightest pair, and whatever somebody changed by other means."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from sqlalchemy import text

from ddrs_core.smoothing.memory.distance import distance
from ddrs_core.store import MemoryBank, Store, StoreError
from tests.store.bank.banks import claim, new_bank, random_claims


@pytest.fixture
def bank(store: Store) -> MemoryBank:
    """With balls that touch, and some that lie inside others."""
    bank = new_bank(store)
    bank.settle_many(*zip(*random_claims(np.random.default_rng(0), 60), strict=True))
    return bank


def change(bank: MemoryBank, statement: str, **values: object) -> None:
    with bank._store.engine.begin() as connection:
        connection.execute(text(f"{statement}"), {"bank": bank.id, **values})


def brute_force_gap(bank: MemoryBank) -> float:
    stored = [(ball, bank.image(ball.serial)) for ball in bank.balls()]
    return min(
        distance(x, y).low - (a.radius + b.radius)
        for (a, x), (b, y) in combinations(stored, 2)
        if a.prediction != b.prediction
    )


def test_a_sound_bank_holds(bank: MemoryBank) -> None:
    check = bank.check()
    assert check.holds
    check.require()
    assert check.balls == bank.record().stored
    assert check.tightest is not None
    assert check.tightest.a.prediction != check.tightest.b.prediction
    assert check.tightest.gap == pytest.approx(brute_force_gap(bank), abs=1e-12)
    assert check.tightest.gap >= 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("count", "shape", "radius"), [(300, (3, 6, 6), 0.02), (40, (1, 4, 4), 0)])
def test_the_tightest_pair_is_that_of_all_pairs(
    store: Store, seed: int, count: int, shape: tuple[int, ...], radius: float
) -> None:
    """Also where no two balls are close to each other."""
    rng = np.random.default_rng(seed)
    images = rng.random((count, *shape)).astype(np.float32)
    bank = new_bank(store, shape=shape)
    certificates = [claim(int(rng.integers(4)), radius * rng.random()) for _ in range(count)]
    bank.settle_many(list(images), certificates)
    stored = bank.balls()
    classes = np.array([ball.prediction for ball in stored])
    radii = np.array([ball.radius for ball in stored])
    flat = images.reshape(count, -1).astype(np.float64)
    gaps = np.linalg.norm(flat[:, None] - flat, axis=2) - radii[:, None] - radii
    gaps[classes[:, None] == classes] = np.inf
    check = bank.check()
    assert check.tightest is not None
    assert check.tightest.gap == pytest.approx(gaps.min(), abs=1e-12)
    assert check.measured < count * count / 4


def test_a_bank_of_one_class_has_no_tightest_pair(store: Store) -> None:
    bank = new_bank(store)
    assert bank.check().holds
    assert bank.check().tightest is None
    bank.settle(np.zeros((1, 4, 4), np.float32), claim(1, 0.1))
    assert bank.check().tightest is None
    bank.settle(np.ones((1, 4, 4), np.float32), claim(1, 0.1))
    assert bank.check().tightest is None
    assert bank.check().holds


def test_a_radius_that_was_enlarged_is_found(bank: MemoryBank) -> None:
    pair = bank.check().tightest
    assert pair is not None
    change(
        bank,
        "UPDATE balls SET radius = radius + 1e-6 WHERE bank_id = :bank AND serial = :serial",
        serial=pair.a.id,
    )
    check = bank.check()
    assert not check.holds
    assert check.tightest is not None
    assert check.tightest.gap < 0
    assert any({pair.a.id, pair.b.id} == {p.a.id, p.b.id} for p in check.overlaps)
    with pytest.raises(StoreError, match=rf"balls .*{pair.a.id}.* overlap by .*e-0"):
        check.require()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE balls SET radius = radius / 2", "other numbers than when it was stored"),
        ("UPDATE balls SET radius = -1", "a radius of -1"),
        ("UPDATE balls SET prediction = 77", "a class 77"),
        ("UPDATE balls SET indexed = NOT indexed", "mark"),
        ("UPDATE balls SET outcome = 'lucky'", "mark"),
        ("UPDATE balls SET fingerprint = 'x'", "other numbers"),
        ("UPDATE balls SET projection = :bytes", "projection"),
        ("UPDATE balls SET digest = 'x'", "another image"),
        ("UPDATE balls SET alpha = 0", "claim"),
        ("UPDATE balls SET sigma = sigma / 2", "claim"),
        ("UPDATE balls SET claimed_radius = 7", "claim"),
        ("UPDATE ball_images SET certificate = '{'", "certificate that cannot be read"),
        ("UPDATE ball_images SET certificate = '{}'", "certificate that is not complete"),
        ("UPDATE ball_images SET certificate = '[' || certificate", "certificate that cannot"),
        ("UPDATE ball_images SET image = :bytes", "an image that cannot be read"),
        ("DELETE FROM ball_images", "an image that cannot be read"),
        ("DELETE FROM balls", "ball 5 is missing"),
    ],
)
def test_whatever_was_changed_is_found_once(bank: MemoryBank, statement: str, said: str) -> None:
    """Nothing is said of the balls after it, nor of their number."""
    more = {"bytes": b"u123"} if ":bytes" in statement else {}
    change(bank, f"{statement} WHERE bank_id = :bank AND serial = 5", **more)
    check = bank.check()
    assert not check.holds
    (words,) = check.damaged
    assert said in words
    assert "ball 5 " in words
    with pytest.raises(StoreError, match="changed by other means"):
        check.require()


def test_two_damages_are_two(bank: MemoryBank) -> None:
    change(bank, "UPDATE ball_images SET image = :b WHERE bank_id = :bank AND serial = 5", b=b"u1")
    change(bank, "DELETE FROM balls WHERE bank_id = :bank AND serial BETWEEN 8 AND 10")
    change(bank, "UPDATE balls SET radius = radius / 2 WHERE bank_id = :bank AND serial = 20")
    said = bank.check().damaged
    assert len(said) == 3
    for words, named in zip(
        said, ("ball 5 ", "balls 8 to 10 are missing", "ball 20 "), strict=True
    ):
        assert named in words


def test_alphas_that_are_not_counted_are_found(bank: MemoryBank) -> None:
    change(bank, "UPDATE banks SET alpha_sum = alpha_sum / 3 WHERE id = :bank")
    (words,) = bank.check().damaged
    assert "alpha" in words


def test_certificates_that_their_votes_do_not_prove_are_found(bank: MemoryBank) -> None:
    """One of them may have swallowed every later ball of another class."""
    stored = bank.record().stored
    image = np.full((1, 4, 4), 0.25, np.float32)
    forged = replace(claim(2, 0.3), sigma=0.01)
    assert bank.check().holds
    bank.settle_many([image, image + np.float32(0.5)], [forged, replace(claim(1, 0.1), n=2000)])
    check = bank.check()
    assert not check.holds
    assert not check.damaged
    assert not check.overlaps
    first, second = check.unproved
    assert f"ball {stored + 1}:" in first
    assert f"ball {stored + 2}:" in second
    with pytest.raises(StoreError, match=f"do not prove: ball {stored + 1}"):
        check.require()


def test_a_bank_that_lost_its_last_ball_settles_no_more(bank: MemoryBank) -> None:
    last = bank.record().stored
    change(bank, "DELETE FROM balls WHERE bank_id = :bank AND serial = :serial", serial=last)
    from ddrs_core.store.bank import index as bank_index

    bank_index._loaded.clear()
    with pytest.raises(StoreError, match="changed by other means"):
        bank.settle(np.zeros((1, 4, 4), np.float32), claim(1, 0.1))
    assert not bank.check().holds


def test_a_missing_image_is_said_so_when_it_is_needed(bank: MemoryBank) -> None:
    image = bank.image(1)
    change(bank, "DELETE FROM ball_images WHERE bank_id = :bank AND serial = 1")
    with pytest.raises(StoreError, match="missing"):
        bank.lookup(image, claim(1, 0.5))
