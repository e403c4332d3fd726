"""The plane through three points keeps distances; sections and maps against closed forms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddrs_core.errors import InvalidParameterError
from ddrs_core.smoothing.memory.distance import distance
from ddrs_core.smoothing.memory.geometry import deciding_parts, plane_through
from ddrs_core.smoothing.memory.rules import Ball, Outcome, settle


def rotated(points: list[list[float]], n: int, seed: int = 0) -> np.ndarray:
    """Points of a low dimension, moved and turned in R^n."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.standard_normal((n, n)))
    given = np.array(points)
    return given @ turn[: given.shape[1]] + rng.standard_normal(n)


def distances_within(points: np.ndarray) -> list[float]:
    return [float(np.linalg.norm(a - b)) for a, b in itertools.combinations(points, 2)]


def test_a_right_triangle_stays_one() -> None:
    query, a, b = rotated([[0, 0], [3, 0], [0, 4]], 64).reshape(3, 1, 8, 8)
    plane = plane_through(query, a, b)
    np.testing.assert_allclose(plane.points, [[0, 0], [3, 0], [0, 4]], atol=1e-13)
    assert distances_within(plane.points) == pytest.approx([3, 4, 5])


@st.composite
def triangles(draw: st.DrawFn) -> np.ndarray:
    """Three points [3, n] in general position, on a line, nearly so, or coinciding."""
    n = draw(st.sampled_from([1, 2, 3, 64]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    a, b, c = rng.random((3, n))
    kind = draw(st.sampled_from(["general", "line", "nearly", "two", "first", "three"]))
    if kind in ("line", "nearly"):
        off = draw(st.sampled_from([1e-6, 1e-10, 1e-15])) * rng.standard_normal(n)
        c = a + draw(st.floats(-3, 3)) * (b - a) + (off if kind == "nearly" else 0)
    elif kind == "two":
        c = b
    elif kind == "first":
        b = a
    elif kind == "three":
        b = c = a
    return np.stack([a, b, c])


@settings(max_examples=200)
@given(triangles())
def test_all_three_distances_are_exact(points: np.ndarray) -> None:
    plane = plane_through(*points)
    scale = max(1e-300, *distances_within(points))
    found, wanted = distances_within(plane.points), distances_within(points)
    assert np.abs(np.subtract(found, wanted)).max() <= 1e-13 * scale
    product = plane.axes @ plane.axes.T
    rank = min(2, points.shape[1])
    np.testing.assert_allclose(product, np.diag([1.0] * rank + [0.0] * (2 - rank)), atol=1e-12)
    for point, flat in zip(points, plane.points, strict=True):
        section = plane.section(point, 0.5)  # balls of the plane's own points are cut in the middle
        assert section.height <= 1e-12
        assert section.radius == pytest.approx(0.5)
        np.testing.assert_allclose(section.centre, flat, atol=1e-12)


def test_a_plane_beside_the_centre_cuts_a_smaller_circle() -> None:
    query, a, b, off = rotated([[0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 5, 3]], 16)
    plane = plane_through(query, a, b)
    cut = plane.section(off, 5.0)
    assert (cut.height, cut.radius) == (pytest.approx(3), pytest.approx(4))
    assert cut.centre == (pytest.approx(2), pytest.approx(5))
    missed = plane.section(off, 2.999)
    assert not missed.is_cut
    assert missed.radius == 0


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 3.0))
def test_the_circle_lies_on_the_sphere(seed: int, radius: float) -> None:
    rng = np.random.default_rng(seed)
    *points, centre = rng.random((4, 5))
    plane = plane_through(*points)
    section = plane.section(centre, radius)
    if not section.is_cut:
        assert section.height >= radius
        return
    for angle in (0.0, 1.0, 4.0):
        x = section.centre[0] + section.radius * math.cos(angle)
        y = section.centre[1] + section.radius * math.sin(angle)
        there = plane.origin + x * plane.axes[0] + y * plane.axes[1]
        assert np.linalg.norm(there - centre) == pytest.approx(radius, rel=1e-9)


def test_points_of_other_spaces_are_refused() -> None:
    with pytest.raises(InvalidParameterError):
        plane_through(np.zeros(3), np.zeros(4))
    with pytest.raises(InvalidParameterError):
        plane_through(*np.eye(4))
    with pytest.raises(InvalidParameterError):
        plane_through(np.zeros(3)).section(np.zeros(4), 1.0)


def test_the_ball_that_decided_comes_first() -> None:
    near = [
        (Ball(0, 1, 0.5), distance([0.0], [1.2])),  # reaches in from outside
        (Ball(1, 0, 2.0), distance([0.0], [0.4])),  # holds the query, proves 1.6
        (Ball(2, 0, 1.0), distance([0.0], [0.9])),  # holds it too, proves 0.1
    ]
    settlement = settle(0, 1.0, near)
    assert settlement.outcome is Outcome.ENLARGED
    assert [part.ball.id for part in deciding_parts(settlement)] == [1, 2]
    assert [part.ball.id for part in deciding_parts(settlement, 3)] == [1, 2, 0]
    trimmed = settle(0, 1.0, near[:1])
    assert [part.ball.id for part in deciding_parts(trimmed)] == [0]
    assert deciding_parts(settle(0, 1.0, [])) == ()
