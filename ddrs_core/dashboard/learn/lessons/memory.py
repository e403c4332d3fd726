"""Lesson: certified balls that contradict each other, and a memory that makes them agree."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from ddrs_core.dashboard.learn.demo_bank import demo_bank
from ddrs_core.dashboard.learn.lesson import Answer, Lesson, Question, RealImages, Step
from ddrs_core.dashboard.learn.picture import Picture
from ddrs_core.dashboard.learn.precomputed import precomputed
from ddrs_core.data import load_dataset
from ddrs_core.models import NoisyForward, load_model
from ddrs_core.smoothing import Bound, CertificationBudget, SmoothedClassifier, get_preset
from ddrs_core.smoothing.memory.arrival_order import Distances, replay
from ddrs_core.smoothing.memory.collisions import WalkConfig, WalkPoint, from_both_ends, walk

MODEL = "digits-smoothadv-ds2-0.50"
FIRST, SECOND = 45, 364  # test images whose stored balls overlap most
POINTS = 13
SHUFFLES = 12
_SIGMA_0, _VOTES, _SEED = 0.5, 1_000, 0
_PICTURE = Picture("memory")


@precomputed
def facts() -> dict[str, Any]:
    """All numbers that the picture may show: real certificates, settled in several orders."""
    points = walked()
    known = Distances.between(np.array([point.image.numpy() for point in points]))
    classes = [point.certificate.prediction for point in points]
    radii = [point.certificate.radius for point in points]
    rng = np.random.Generator(np.random.PCG64(_SEED))
    rows = list(range(POINTS))
    orders = [
        rows,
        rows[::-1],
        *([int(i) for i in rng.permutation(POINTS)] for _ in range(SHUFFLES)),
    ]
    return {
        "pair": stored_pair(),
        "length": float(known.high[0, -1]),
        "points": [
            {
                "t": point.t,
                "claimed": point.certificate.prediction,
                "radius": point.certificate.radius,
                "sigma": point.certificate.sigma,
                "pixels": point.image.flatten().numpy().astype(float).round(3).tolist(),
            }
            for point in points
        ],
        "orders": [
            [
                {
                    "row": arrival.row,
                    "answer": arrival.settlement.prediction,
                    "radius": arrival.settlement.radius,
                    "outcome": arrival.settlement.outcome.value,
                }
                for arrival in replay(known, classes, radii, order)
            ]
            for order in orders
        ],
    }


def stored_pair() -> dict[str, Any]:
    """Two balls of the shipped bank as their certificates claimed them, and their distance."""
    balls, _, between = demo_bank()
    places = {ball.certificate.index: i for i, ball in enumerate(balls)}
    i, j = places[FIRST], places[SECOND]
    return {
        "classes": [balls[i].claimed, balls[j].claimed],
        "radii": [balls[i].claimed_radius, balls[j].claimed_radius],
        "sigmas": [balls[i].certificate.sigma, balls[j].certificate.sigma],
        "distance": float(between.low[i, j]),
    }


@cache
def walked() -> list[WalkPoint]:
    """Certificates of images on the way from one to the other, each with its own sigma: those of
    the walk on the memory page, since the order of certification selects the noise."""
    data = load_dataset("digits", "test")
    forward = NoisyForward(load_model(MODEL, "cpu"), precision="fp32")  # as on every machine
    config = WalkConfig(
        _SIGMA_0,
        get_preset("surface").at(_SIGMA_0),
        CertificationBudget(n=_VOTES, bound=Bound.ONE_SIDED),
    )
    steps = walk(
        SmoothedClassifier(forward, data.info.num_classes),
        data[FIRST][0],
        data[SECOND][0],
        from_both_ends(POINTS),
        config,
    )
    found = [step.point for step in steps if step.point is not None]
    return sorted(found, key=lambda point: point.t)


def _draw(scene: Mapping[str, Any]) -> None:
    _PICTURE.show(scene, **facts())


LESSON = Lesson(
    name="memory",
    title="Balls that contradict, and a memory",
    idea="When every input chooses its own σ, two certified balls may contradict each other; a "
    "memory of balls makes the answers agree.",
    steps=(
        Step(
            "Two digits from the shipped memory bank, a **9** and a **3**. Each chose a $\\sigma$ "
            "of its own, and each has a certified ball. **The balls overlap.** An image in the "
            "overlap would have to be a 9 *and* a 3. No certificate is false: each speaks of the "
            "classifier that is smoothed with *its* $\\sigma$. Together they are no promise of one "
            "classifier.",
            "The picture is exact: a plane through both centres cuts the balls in 64 dimensions in "
            "these circles. Ask who is wrong. Nobody: the sentence 'within R the class stays' has "
            "changed its classifier between the two images.",
            {"view": "pair", "first": "none"},
        ),
        Step(
            "The way out (Alfarra et al., Algorithm 2): a **memory** keeps certified balls and "
            "answers from them. Whoever comes later gives way: its ball is **trimmed** to where "
            "the stored one begins, $R = d - R_{\\text{stored}}$. Choose who comes first. From "
            "then on no stored balls of different class overlap, so the answers agree. (In the "
            "bank, the 9 was trimmed itself before, so that its 3 keeps 0.364.)",
            "The promise is weaker in one way: it holds for queries after the image was stored. "
            "And it is by construction: one could store any ball. What the certificate adds is "
            "that the smoothed classifier says the same there.",
            {"view": "pair", "first": "9"},
        ),
        Step(
            "Thirteen images **on the way** from the 9 to the 3, each certified with its own "
            "$\\sigma$ (afresh, by another strategy and 1,000 votes, so both ends differ from the "
            "bank). Let them **arrive one after the other**. An image whose centre lies inside "
            "a stored ball of another class **adopts** that ball's answer, whatever its own votes "
            "say. Then let the 3 come first.",
            "All thirteen certificates are real: the response surface, then 1,000 votes each; the "
            "bank's came from the guarded ascent and 10,000 votes. The nines choose a large sigma "
            "and get large balls, so whoever is first decides most answers. Compare the two "
            "orders at the last arrival.",
            {"view": "walk", "order": 0, "arrivals": 1},
        ),
        Step(
            "So the answers depend on the **order of arrival**. Same images, same certificates: "
            "**shuffle**. Each row is one order, each cell the answer that an image got. On the "
            "500 test digits themselves, which lie farther apart, shuffling changes radii but no "
            "class.",
            "This is the price of a memory. Whether it matters depends on how close the images of "
            "different classes come: here they were made to. The memory page shuffles the whole "
            "bank: no class changes in 20 orders, 95 radii do.",
            {"view": "orders", "rows": 2},
        ),
    ),
    question=Question(
        "The votes at an image prove *class 3 within 0.36*. But the image lies **inside** a stored "
        "ball of class 9, at a distance of 0.5 from its centre; the ball's radius is 0.8. What "
        "does the memory answer?",
        (
            Answer(
                "3 within 0.36: the image's own certificate counts most.",
                "Then an image just beside it, inside the ball, would still have to be a 9, as was "
                "promised when the ball was stored. The memory keeps its promises.",
            ),
            Answer(
                "9 within 0.3: it adopts the ball's answer up to the ball's surface.",
                "The ball was promised first. What is left of it around the image is "
                "0.8 − 0.5 = 0.3.",
                right=True,
            ),
            Answer(
                "3 within 0.3: the ball is trimmed at the surface of the stored one.",
                "Trimming is for an image *outside* the stored ball. Inside it, every radius of "
                "class 3 would contradict what is stored.",
            ),
            Answer(
                "It abstains, since the two certificates contradict each other.",
                "An abstention would be safe, too, but the ball proves more: 9 within 0.3.",
            ),
        ),
        "Draw the two balls. The third answer is the interesting one: it shows who has understood "
        "trimming but not adopting.",
    ),
    take_home="With its own σ for every input, a certificate becomes a promise only by being "
    "remembered, and what is promised depends on who came first.",
    take_home_note="Three grades: unconditional (one sigma for all), for queries after x (memory), "
    "conditional on sigma_x (neither). Every radius in this program carries one of them.",
    real=(
        RealImages(
            "The same walk with all details",
            "memory",
            {"section": "collisions", "bound": "one-sided", "first": "45", "second": "364"},
            "Press *Walk*: every certificate, its σ, and what became of it.",
        ),
        RealImages(
            "Shuffle the whole bank",
            "memory",
            {"section": "order"},
            "Scroll down and press *Shuffle*: 481 stored balls in random orders.",
        ),
    ),
    draw=_draw,
)
