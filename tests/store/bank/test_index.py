"""The filter never misses a ball, whatever the images; what it passes is compared exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ddrs_core.smoothing import ABSTAIN
from ddrs_core.smoothing.memory.distance import distance, distances
from ddrs_core.smoothing.memory.rules import Ball, settle
from ddrs_core.store import MemoryBank, Store
from ddrs_core.store.bank.images import LEVELS, pack_image, read_images, unpack_image
from ddrs_core.store.bank.index import (
    COEFFICIENTS,
    BankIndex,
    _cosines,
    frequencies,
    margin,
    project,
    reach,
)
from ddrs_core.store.errors import StoreError
from tests.store.bank.banks import (
    SlowMemory,
    check_exactly,
    claim,
    essence,
    new_bank,
    random_claims,
)

SHAPES = [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 4, 4), (1, 2, 1), (5,), (4, 7), (3, 96, 64)]


def photographs(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Smooth images, of which some are nearly equal."""
    images = rng.random((count, *shape))
    for axis in range(max(1, len(shape) - 2), len(shape) + 1):
        images = (images + np.roll(images, 1, axis) + np.roll(images, 2, axis)) / 3
    images[1::3] = images[0] + rng.normal(0, 1e-3, images[1::3].shape)
    return np.clip(images, 0, 1).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_projection_never_lengthens_a_distance(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    images = photographs(rng, 40, shape)
    images[-2:] = np.array([0, 1], np.float32).reshape(2, *[1] * len(shape))  # the furthest two
    points = project(images)
    assert points.shape == (40, min(COEFFICIENTS, math.prod(shape)))
    for i in range(40):
        exact = np.array([d.low for d in distances(images, images[i])])
        shown = np.linalg.norm(points.astype(np.float64) - points[i], axis=1)
        assert (shown <= reach(exact, shape)).all()
    if math.prod(shape) <= COEFFICIENTS:  # a rotation
        assert shown == pytest.approx(exact, abs=margin(shape))


@pytest.mark.parametrize("size", [1, 2, 3, 8, 28, 32, 224])
def test_the_cosines_are_orthonormal(size: int) -> None:
    matrix = _cosines(size, min(size, COEFFICIENTS))
    assert np.abs(matrix @ matrix.T - np.eye(len(matrix))).max() < 1e-12


@pytest.mark.parametrize("shape", SHAPES)
def test_frequencies_are_chosen_once_each_with_the_mean_first(shape: tuple[int, ...]) -> None:
    chosen = frequencies(shape)
    assert len(set(chosen)) == len(chosen) == min(COEFFICIENTS, math.prod(shape))
    assert chosen[0] == (0,) * len(shape)
    assert (np.array(chosen) < shape).all()


def test_low_frequencies_keep_most_of_the_distance_of_smooth_images() -> None:
    images = photographs(np.random.default_rng(1), 30, (3, 32, 32))[::3]
    shown = np.linalg.norm(project(images)[1:] - project(images)[0], axis=1)
    exact = np.array([d.low for d in distances(images[1:], images[0])])
    assert (shown > 0.3 * exact).all()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 4, 4)])
@pytest.mark.parametrize("radius", [0.0, 0.01, 0.3, 2.0, 1e30, 1e300])
def test_the_filter_misses_no_ball(shape: tuple[int, ...], radius: float) -> None:
    rng = np.random.default_rng(2)
    images = photographs(rng, 300, shape)
    ready = read_images(images, shape)
    radii = rng.exponential(0.2, 300)
    radii[:3] = [0.0, 1e40, 1.7e308]
    index = BankIndex(shape)
    for first in range(0, 300, 7):  # it grows
        part = range(first, min(first + 7, 300))
        index.add([Ball(i, i % 5, radii[i]) for i in part], [ready[i].projection for i in part])
    for x in ready[::10]:
        found = index.near(x.projection, radius)
        assert [ball.id for ball in found] == sorted({ball.id for ball in found})
        assert all(ball == Ball(ball.id, ball.id % 5, radii[ball.id]) for ball in found)
        exact = distances(images, x.pixels)
        near = {i for i, d in enumerate(exact) if d.low <= radii[i] + radius}
        assert near <= {ball.id for ball in found}
    assert index.nbytes < 2 * 300 * (4 * COEFFICIENTS + 40)


def test_the_filter_leaves_few_photographs() -> None:
    shape = (3, 32, 32)
    images = photographs(np.random.default_rng(3), 600, shape)
    images = images[np.arange(600) % 3 != 1]  # without those that are nearly equal
    ready = read_images(images, shape)
    index = BankIndex(shape)
    index.add([Ball(i, 0, 0.2) for i in range(len(ready))], [x.projection for x in ready])
    assert sum(len(index.near(x.projection, 0.2)) for x in ready) < 2 * len(ready)


def test_touching_balls_pass_the_filter() -> None:
    """Balls whose surfaces meet, give or take the last bit, along every axis of the projection."""
    shape = (1, 8, 8)
    rng = np.random.default_rng(4)
    for _ in range(200):
        x, y = rng.random((2, *shape)).astype(np.float32)
        y = x + np.float32(0.01) * (y - x) if rng.random() < 0.5 else y
        d = distance(x, y)
        a, b = read_images([x, np.clip(y, 0, 1)], shape)
        share = rng.random() * d.high
        index = BankIndex(shape)
        index.add([Ball(1, 0, share)], [a.projection])
        assert index.near(b.projection, math.nextafter(d.high - share, math.inf))


ON_ONE_STORE = settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.slow
@ON_ONE_STORE
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(1, 4, 4), (3, 6, 6), (1, 1, 2)]),
    spread=st.sampled_from([0.01, 0.3, 1.0]),
)
@example(seed=0, shape=(1, 1, 2), spread=1.0)
def test_settlements_are_those_of_brute_force(
    store: Store, seed: int, shape: tuple[int, ...], spread: float
) -> None:
    rng = np.random.default_rng(seed)
    bank, memory = new_bank(store, shape=shape), SlowMemory()
    claims = random_claims(rng, 30, shape, spread)
    cuts = sorted(rng.integers(0, 30, 3))
    for first, last in zip([0, *cuts], [*cuts, 30], strict=True):
        if first == last:
            continue
        looked = bank.lookup_many(*zip(*claims[first:last], strict=True))
        expected = [memory.look(x, c) for x, c in claims[first:last]]
        assert [essence(f.settlement) for f in looked] == [essence(s) for s in expected]
        settled = bank.settle_many(*zip(*claims[first:last], strict=True))
        for s, (x, c) in zip(settled, claims[first:last], strict=True):
            everything = memory.look_at_all(x, c)
            assert essence(s) == essence(memory.add(x, c))
            assert s.prediction == everything.prediction
            assert s.radius == pytest.approx(everything.radius, abs=1e-12)
    check_exactly(bank)
    assert bank.check().holds


def test_queries_that_are_made_to_be_near(store: Store) -> None:
    """On surfaces, on centres, and between balls that touch."""
    bank, memory = new_bank(store), SlowMemory()
    rng = np.random.default_rng(6)
    for x, c in random_claims(rng, 25):
        bank.settle(x, c)
        memory.add(x, c)
    surfaces = []
    for centre, ball in memory.stored:
        direction = rng.standard_normal(centre.shape)
        direction /= np.linalg.norm(direction)
        x = (centre + ball.radius * direction).astype(np.float32)
        surfaces.append(np.clip(x, 0, 1))
        d = distance(centre, surfaces[-1])
        other = (ball.prediction + 1) % 4
        for image, prediction, radius in (
            (centre, other, 0.0),
            (centre, ball.prediction, d.low),
            (centre, other, d.high),
            (centre, ABSTAIN, 0.0),
            (surfaces[-1], ABSTAIN, 0.0),
            (surfaces[-1], other, 0.0),
            (surfaces[-1], other, math.nextafter(max(0, d.low - ball.radius), 9)),
            (surfaces[-1], ball.prediction, d.low),
        ):
            c = claim(prediction, radius)
            found = bank.lookup(image, c).settlement
            assert essence(found) == essence(memory.look(image, c))
    for x in surfaces:
        c = claim(int(rng.integers(4)), 0.1)
        assert essence(bank.settle(x, c)) == essence(memory.add(x, c))
    check_exactly(bank)


def test_a_bank_of_large_images(store: Store) -> None:
    rng, shape = np.random.default_rng(7), (3, 224, 224)
    bank, memory = new_bank(store, shape=shape), SlowMemory()
    base = photographs(rng, 2, shape)
    for i in range(8):
        x = np.clip(base[i % 2] + np.float32(i / 1000), 0, 1)
        c = claim(i % 3, 0.6)
        assert essence(bank.settle(x, c)) == essence(memory.add(x, c))
    assert bank.check().holds
    assert bank.index_bytes < 100_000


def test_many_near_balls_are_read_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from ddrs_core.store.bank import lookup as bank_near

    monkeypatch.setattr(bank_near, "_MOST_AT_ONCE", 4)
    bank, memory = new_bank(store), SlowMemory()
    for x, c in random_claims(np.random.default_rng(8), 30, spread=0.01):
        assert essence(bank.settle(x, c)) == essence(memory.add(x, c))


def test_the_indices_of_a_process_are_bounded(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ddrs_core.store.bank import index as bank_index

    monkeypatch.setattr(bank_index, "_MOST_BYTES", 100_000)
    banks: list[MemoryBank] = []
    for i in range(6):
        banks.append(new_bank(store))
        banks[-1].settle_many(*zip(*random_claims(np.random.default_rng(i), 80), strict=True))
        banks[-1].lookup(np.zeros((1, 4, 4), np.float32))
        others = sum(index.nbytes for index in bank_index._loaded.values()) - banks[-1].index_bytes
        assert others <= 100_000
    for bank in banks:  # forgotten ones are loaded again
        first = bank.balls(limit=1)[0]
        found = bank.lookup(bank.image(1)).containing
        assert bool(found) == (first.radius > 0)


# Images.


@given(st.integers(0, 255))
def test_levels_are_those_of_every_program(k: int) -> None:
    assert LEVELS[k] == np.float32(k) / np.float32(255) == np.float32(k / 255)


@settings(max_examples=100)
@given(
    st.lists(
        st.floats(0, 1, width=32) | st.sampled_from([float(v) for v in LEVELS]),
        min_size=6,
        max_size=6,
    )
)
def test_images_are_kept_exactly(values: list[float]) -> None:
    image = np.array(values, np.float32).reshape(1, 2, 3) + np.float32(0)
    (ready,) = read_images([image], (1, 2, 3))
    assert unpack_image(ready.packed, (1, 2, 3)).tobytes() == image.tobytes()


def test_bytes_are_kept_as_bytes() -> None:
    steps = np.random.default_rng(9).integers(0, 256, (3, 32, 32))
    packed = pack_image(LEVELS[steps])
    assert len(packed) < 3 * 32 * 32 * 1.1
    (settled,) = [settle(1, 0.5, [(Ball(1, 2, 0.5), distance(LEVELS[steps], LEVELS[steps]))])]
    assert settled.prediction == 2


@pytest.mark.parametrize("damage", [b"", b"u", b"x", b"uabc", b"f" + b"\0" * 100])
def test_damaged_images_are_said_so(damage: bytes) -> None:
    with pytest.raises(StoreError, match="damaged"):
        unpack_image(damage, (1, 2, 3))


def test_an_image_that_unpacks_to_gigabytes_is_not_unpacked() -> None:
    import zlib

    bomb = b"u" + zlib.compress(bytes(50_000_000), 9)
    assert unpack_image(bomb, (1, 2, 3)).shape == (1, 2, 3)  # as many bytes as it has pixels
