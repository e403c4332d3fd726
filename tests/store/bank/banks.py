"""Memory banks for tests, and a slow memory that looks at everything."""

from __future__ import annotations

import secrets
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddrs_core.smoothing import ABSTAIN, Certificate
from ddrs_core.smoothing.memory.distance import distance
from ddrs_core.smoothing.memory.rules import Ball, Settlement, settle
from ddrs_core.store import MemoryBank, Store
from tests.store.conftest import certificate

MODEL = "e3b0c442"
SHAPE = (1, 4, 4)
CLASSES = 4
Image = NDArray[np.float32]


def address(store: Store) -> str:
    return store._engine.url.render_as_string(hide_password=False)


def new_bank(store: Store, **changes: Any) -> MemoryBank:
    """An empty bank that nobody else knows of."""
    options = {"model": MODEL, "num_classes": CLASSES, "shape": SHAPE, **changes}
    return MemoryBank.open(address(store), f"bank {secrets.token_hex(4)}", **options)


def claim(prediction: int, radius: float, **changes: object) -> Certificate:
    """A certificate of a class and a radius, with votes that prove it with room to spare."""
    voted = max(prediction, 0)
    counts = [250] * CLASSES if prediction == ABSTAIN else [0] * CLASSES
    counts[voted] = 1000 - sum(counts[:voted] + counts[voted + 1 :])
    proved: dict[str, object] = {
        "sigma": 9.0,
        "counts": tuple(counts),
        "candidate": voted,
        "p_lower": 0.0 if prediction == ABSTAIN else 0.9,
    }
    return certificate(prediction=prediction, radius=radius, **{**proved, **changes})


def random_claims(
    rng: np.random.Generator, count: int, shape: tuple[int, ...] = SHAPE, spread: float = 0.3
) -> list[tuple[Image, Certificate]]:
    """Images about the centre, whose balls are as large as their distances; some abstain.

    Many images have pixels k/255, the others any float32; some lie close to others, or on them.
    """
    centre = 0.5 + spread * (rng.random((count, *shape)) - 0.5)
    images = centre.astype(np.float32)
    steps = np.rint(images * 255).astype(np.float32) / np.float32(255)
    images[::2] = steps[::2]
    for i in np.flatnonzero(rng.random(count) < 0.4):
        if i:  # towards an earlier one, or onto it
            earlier = images[rng.integers(i)]
            images[i] = earlier + rng.choice([0, 0.2, 0.5]) * (images[i] - earlier)
    usual = spread * float(np.sqrt(np.prod(shape) / 6))
    claims = []
    for image in images:
        prediction = int(rng.integers(-1, CLASSES))
        radius = 0.0 if prediction == ABSTAIN else float(rng.random() * 0.7 * usual)
        claims.append((image, claim(prediction, radius)))
    return claims


class SlowMemory:
    """Remembers everything, and looks at all of it."""

    def __init__(self) -> None:
        self.stored: list[tuple[Image, Ball]] = []
        self.indexed: list[tuple[Image, Ball]] = []

    def look(self, x: Image, certificate: Certificate) -> Settlement:
        near = [(ball, distance(centre, x)) for centre, ball in self.indexed]
        return settle(certificate.prediction, certificate.radius, near)

    def look_at_all(self, x: Image, certificate: Certificate) -> Settlement:
        """At those too that lie inside of others."""
        near = [(ball, distance(centre, x)) for centre, ball in self.stored]
        return settle(certificate.prediction, certificate.radius, near)

    def add(self, x: Image, certificate: Certificate) -> Settlement:
        settlement = self.look(x, certificate)
        if settlement.is_stored:
            ball = Ball(len(self.stored) + 1, settlement.prediction, settlement.radius)
            self.stored.append((x, ball))
            if settlement.enters_index:
                self.indexed.append((x, ball))
        return settlement


def essence(settlement: Settlement) -> tuple[object, ...]:
    """All that a settlement says."""
    parts = sorted(settlement.parts, key=lambda part: part.ball.id)
    return (
        settlement.outcome,
        settlement.prediction,
        settlement.radius,
        settlement.claimed,
        settlement.claimed_radius,
        settlement.by,
        parts,
    )


def check_exactly(bank: MemoryBank) -> None:
    """No two stored balls of different class overlap, in rational numbers, from what is stored."""
    stored = [(ball, bank.image(ball.serial)) for ball in bank.balls()]
    for (a, x), (b, y) in combinations(stored, 2):
        if a.prediction != b.prediction:
            differences = zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)
            square = sum((Fraction(p) - Fraction(q)) ** 2 for p, q in differences)
            assert (Fraction(a.radius) + Fraction(b.radius)) ** 2 <= square
