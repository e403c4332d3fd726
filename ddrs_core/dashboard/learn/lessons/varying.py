"""Lesson: how much sigma may vary until a proof is lost, and how that depends on the dimension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import chdtri, ndtri

from ddrs_core.dashboard.learn.demo_bank import demo_bank
from ddrs_core.dashboard.learn.lesson import Answer, Lesson, Question, RealImages, Step
from ddrs_core.dashboard.learn.picture import Picture
from ddrs_core.dashboard.learn.precomputed import precomputed
from ddrs_core.smoothing.varying_sigma import sigma_room, worst_case_probability

P_A = 0.99
DIMENSIONS = (
    *(2, 3, 5, 8, 12, 20, 30, 64, 120, 250, 450, 784, 1_500, 3_072, 6_000, 12_288),
    *(25_000, 50_000, 100_000, 150_528),
)
NAMES = {
    2: "a plane",
    64: "digits, 8×8",
    784: "MNIST",
    3_072: "CIFAR-10",
    150_528: "ImageNet",
}
EXCESS = np.arange(0, 51) / 100  # by how much the neighbour's sigma is larger
BANDS = (64, 784, 3_072, 150_528)
_POINTS = 48  # of a band
_PICTURE = Picture("varying")


@precomputed
def facts() -> dict[str, Any]:
    """All numbers that the picture may show."""
    reach = float(ndtri(P_A))
    distances = np.linspace(0, reach, _POINTS + 1)
    bands = {d: sigma_room(P_A, distances, d) for d in BANDS}
    return {
        "dimensions": DIMENSIONS,
        "names": NAMES,
        "radius": [np.sqrt(chdtri(d, 1 - P_A) / d).round(5) for d in DIMENSIONS],
        "excess": EXCESS.tolist(),
        "least": [worst_case_probability(P_A, 1 + EXCESS, 0.0, d).round(4) for d in DIMENSIONS],
        "room": {
            p: [float(sigma_room(p, 0.0, d)[1] - 1) for d in DIMENSIONS] for p in (0.9, 0.99, 0.999)
        },
        "reach": reach,
        "distances": distances.round(4),
        "bands": {d: [end.round(5) for end in ends] for d, ends in bands.items()},
        **neighbours(),
    }


def neighbours() -> dict[str, Any]:
    """Pairs of the shipped bank that are near enough for a proof by p_A = 0.99: their distance in
    units of the first one's sigma, the ratio of both, and how many of those that differ are
    outside the room of several dimensions."""
    balls, _, between = demo_bank()
    sigmas = np.array([ball.certificate.sigma for ball in balls])
    far = between.high / sigmas[:, None]
    first, second = np.nonzero((far < ndtri(P_A)) & ~np.eye(len(balls), dtype=bool))
    far, ratio = far[first, second], sigmas[second] / sigmas[first]
    differs = ratio != 1
    return {
        "pairs": [far.round(3), ratio.round(3)],
        "different": int(differs.sum()),
        "outside": {
            d: int((worst_case_probability(P_A, ratio, far, d)[differs] <= 0.5).sum())
            for d in BANDS
        },
        "sigmas": [float(sigmas.min()), float(sigmas.max())],
    }


def _draw(scene: Mapping[str, Any]) -> None:
    _PICTURE.show(scene, **facts())


LESSON = Lesson(
    name="varying",
    title="How much may σ vary?",
    idea="In many dimensions, noise betrays its σ by its length: a neighbour whose σ differs by a "
    "few per cent is out of reach of the proof.",
    steps=(
        Step(
            "An image has $p_A = 0.99$ under noise of its own $\\sigma_0$. A neighbour, as near as "
            "you like, chose a $\\sigma$ that is 10 % larger. What is proved there? The **worst "
            "classifier** looks at nothing but the *length* of the noise and answers A left of the "
            "line. In the plane, that hardly matters. **Drag the dimension up.**",
            "A Gaussian vector in d dimensions has a length close to sigma times the square root "
            "of d: a thin shell. The curves are the exact densities of the length. Two sigmas give "
            "two shells, and in many dimensions they separate. Nothing was assumed about the "
            "network: it could do this.",
            {"view": "lengths", "dimension": 2, "excess": 0.1},
        ),
        Step(
            "The **room**: by how much a neighbour's $\\sigma$ may exceed $\\sigma_0$ until the "
            "worst classifier's share of A falls to one half. It shrinks like one over the square "
            "root of the dimension. On **CIFAR-10 about 3 %** is left at $p_A = 0.99$, and on "
            "ImageNet less than half a per cent. Can a better network help? Try other $p_A$.",
            "Súkeník et al. (ICML 2022). Ask what happens for p_A closer to one: a little more "
            "room, but p_A is limited by the number of votes. The distance was zero here: this is "
            "the best case.",
            {"view": "room", "dimension": 3_072},
        ),
        Step(
            "A neighbour has a distance, too, and both together eat up the proof. Inside the "
            "coloured band the class of the image is **proved at the neighbour**. With equal "
            "$\\sigma$ (the middle line) the band reaches as far as "
            "$R = \\sigma_0\\,\\Phi^{-1}(p_A)$, the radius of a fixed $\\sigma$; at its tip "
            "$\\sigma$ must not differ at all. Compare dimensions.",
            "Read the tip: at the full radius there is no room. So a function sigma(x) that is "
            "to keep its radius must be nearly constant over the whole ball. Hence the radius of a "
            "data-dependent sigma is called conditional.",
            {"view": "band", "dimension": 3_072},
        ),
        Step(
            "Are real $\\sigma$ so much alike? Each dot is a **pair of neighbouring digits** from "
            "the shipped memory bank. On the middle line are those that both chose the largest "
            "$\\sigma$ allowed. Of the others, **almost half are outside the band**, so this proof "
            "cannot reach them, though digits have only 64 dimensions. And with the band of "
            "CIFAR-10?",
            "The choice of sigma was made for large radii, not for smoothness. There are two ways "
            "out: make sigma(x) nearly constant (little gain is left), or remember what was "
            "certified, as the memory does.",
            {"view": "band", "dimension": 64, "pairs": True},
        ),
    ),
    question=Question(
        "A CIFAR-10 image has $p_A = 0.99$ at $\\sigma_0 = 0.25$. Right beside it lies an image "
        "whose own $\\sigma$ is 0.27. What do we know about the class of that neighbour?",
        (
            Answer(
                "It is proved: the neighbour lies well inside the radius.",
                "The radius speaks of the classifier that is smoothed with σ₀ = 0.25. The "
                "neighbour is answered with 0.27, which is another classifier.",
            ),
            Answer(
                "It differs: 0.27 is outside the room.",
                "Outside the room nothing is *proved*. The worst classifier would answer "
                "differently there; a real network mostly does not.",
            ),
            Answer(
                "Nothing by this proof: 8 % more is outside the room of about 3 %.",
                "The worst classifier tells both noises apart by their length, so the proof ends "
                "at about 0.257. The neighbour needs its own certificate, or a memory.",
                right=True,
            ),
            Answer(
                "It is the same, because more noise only makes the answer more stable.",
                "More noise is another question to the network. It may well answer it differently.",
            ),
        ),
        "The second answer confuses 'not proved' with 'false', the most common mistake in this "
        "field. Come back to it in the next lesson.",
    ),
    take_home="A radius that was proved with one σ says little about a neighbour with another, and "
    "the more dimensions, the less.",
    take_home_note="If students ask whether a smooth sigma(x) helps: yes, but then it can hardly "
    "vary, and hardly gains anything.",
    real=(
        RealImages(
            "Search for two images that contradict each other",
            "memory",
            {"section": "collisions"},
            "Scroll down to *Search for a counterexample* and press *Search*: inside one's "
            "certified ball, the other image chooses another σ and gets another class.",
        ),
        RealImages(
            "How a network's σ differ from image to image",
            "compare",
            {"tab": "sigmas"},
            "The σ that each test image chose for itself.",
        ),
    ),
    draw=_draw,
)
