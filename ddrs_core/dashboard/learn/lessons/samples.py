"""Lesson: a certificate rests on samples, so it may be false, with a probability that is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from ddrs_core.dashboard.learn.lesson import Answer, Lesson, Question, RealImages, Step
from ddrs_core.dashboard.learn.picture import Picture
from ddrs_core.smoothing.confidence import lower_bound, radius_cap, radius_one_sided
from ddrs_core.smoothing.false_bounds import false_probability

COUNTS = (10, 100, 1_000)  # votes of a certification
ALPHAS = (0.1, 0.001)
TRUE = np.round(np.arange(0.5, 0.995, 0.01), 2)  # that the slider offers
CAP_COUNTS = np.unique(
    np.concatenate([np.arange(1, 21), np.geomspace(20, 100_000, 75).round(), 10.0 ** np.arange(6)])
).astype(int)
_PICTURE = Picture("samples")


@lru_cache(maxsize=1)
def facts() -> dict[str, Any]:
    """All numbers that the picture may show, by N and alpha."""
    return {
        "true": TRUE.tolist(),
        "bounds": {
            n: {a: lower_bound(np.arange(n + 1), n, a).round(6).tolist() for a in ALPHAS}
            for n in COUNTS
        },
        "radii": {
            n: {
                a: radius_one_sided(1.0, lower_bound(np.arange(n + 1), n, a)).round(6).tolist()
                for a in ALPHAS
            }
            for n in COUNTS
        },
        "false": {
            n: {a: false_probability(TRUE, n, a).round(6).tolist() for a in ALPHAS} for n in COUNTS
        },
        "counts": CAP_COUNTS.tolist(),
        "caps": {a: np.maximum(radius_cap(1.0, CAP_COUNTS, a), 0.0).tolist() for a in ALPHAS},
        "lowest": {a: (a ** (1.0 / CAP_COUNTS)).tolist() for a in ALPHAS},
    }


def _draw(scene: Mapping[str, Any]) -> None:
    _PICTURE.show(scene, **facts())


LESSON = Lesson(
    name="samples",
    title="We only have samples",
    idea="The share of noisy copies that a network gets right is unknown. Votes bound it from "
    "below, and such a bound is false now and then: at most as often as we allow.",
    steps=(
        Step(
            "The network is right on a share $p$ of all noisy copies of this image. Nobody knows "
            "$p$; only this lesson does. A certification draws $N = 100$ votes and computes a "
            "**lower bound** $p_A$ that lies below $p$ with probability at least $1 - \\alpha$, "
            "here 90 %. Certify the image **a hundred times**: each column is one try, and it is "
            "**orange where the bound is false**.",
            "Let the class guess first: of a hundred certifications at alpha = 0.1, how many are "
            "false? Then press the button several times and watch the share settle below 10 %. It "
            "stays below because a count is a whole number: the exact share stands beside it. "
            "Move p and press again: the promise holds for every p.",
            {"view": "tries", "p": 0.9, "n": 100, "alpha": 0.1},
        ),
        Step(
            "A proof that fails one time in ten is not much of a proof. Papers use "
            "$\\alpha = 0.001$. Certify again, as often as you like: **false ones become rare**. "
            "What is the price? Compare the typical radius with the one at $\\alpha = 0.1$, "
            "and then draw more votes.",
            "Expect about one false bound in 2,000 tries, so probably none will be seen. The price "
            "is a smaller radius from the same votes. More votes bring it back, but they do not "
            "make fewer bounds false: that is alpha's business alone.",
            {"view": "tries", "p": 0.9, "n": 100, "alpha": 0.001},
        ),
        Step(
            "Now a network that is **never wrong** on noisy copies: all $N$ votes agree. Even then "
            "the bound is only $p_A = \\alpha^{1/N}$, since a network with this $p$ would have got "
            "all votes by luck with probability $\\alpha$. So **N caps the radius**, however good "
            "the network is. Drag $N$.",
            "Ask: can ten times as many votes prove ten times the radius? No: the cap grows like "
            "the square root of log N. From 10,000 to 100,000 votes it grows from 3.199 to 3.811 "
            "sigma. That is why papers stop at 100,000.",
            {"view": "cap", "alpha": 0.001, "n": 1_000},
        ),
        Step(
            "**Nine votes always abstain** at $\\alpha = 0.001$: nine heads in a row happen with a "
            "fair coin once in 512 times, which is more often than once in a thousand. So $p_A$ "
            "stays below ½, and nothing can be proved. **Ten votes prove next to nothing.** "
            "*To abstain* means just this: the votes do not prove that one class has the majority.",
            "The half comes from lesson 3: a class needs more than half of the votes for a ball "
            "to exist. 2^-9 = 1/512 > 1/1000 > 1/1024 = 2^-10. An abstention is no error of the "
            "network: it may well be right.",
            {"view": "cap", "alpha": 0.001, "n": 9},
        ),
    ),
    question=Question(
        "You certify an image whose true $p$ is 0.9 a hundred times, at $\\alpha = 0.1$. In eight "
        "of the hundred, the bound $p_A$ lies above 0.9. What went wrong?",
        (
            Answer(
                "The program has an error: a proof cannot be false.",
                "What is proved is a statement about random votes: *with probability at least "
                "1 − α* the bound lies below p. In a hundred tries at α = 0.1, up to ten false "
                "ones are expected.",
            ),
            Answer(
                "There were too few votes. With more of them, none would have been false.",
                "More votes move the bound closer to p, so the radius grows. The share of false "
                "ones still approaches α from below: try N = 1,000 in the first picture.",
            ),
            Answer(
                "Nothing: up to ten of a hundred may be false on average.",
                "That is the promise of α = 0.1, and the reason why real certifications use "
                "α = 0.001.",
                right=True,
            ),
            Answer(
                "The network was attacked between two certifications.",
                "Nobody touched it: the hundred certifications differ only in the noise that was "
                "drawn.",
            ),
        ),
        "Most choose the second answer. Go back to the first picture with N = 1,000: the bounds "
        "crowd below p, and about one in eleven is still orange.",
    ),
    take_home="A certificate is true with probability at least 1 − α over the votes that were "
    "drawn; α says how often it may be false, and N how much it can say.",
    take_home_note="Two different knobs: alpha for trust, N for reach. A student who can say what "
    "an abstention is has understood the lesson.",
    real=(
        RealImages(
            "Certify a digit with 100 votes",
            "explorer",
            {
                "dataset": "digits",
                "model": "digits-gaussian-0.50",
                "image": "58",
                "n": "100",
                "bound": "one-sided",
            },
            "Press *Certify σ₀ and σ\\** at the top, then raise N: the radius comes closer to "
            "what the votes' share allows, and never exceeds the cap.",
        ),
        RealImages(
            "Images for which 10,000 votes were too few",
            "failures",
            {"kind": "too-few-samples"},
            "Each card says how many votes would be needed.",
        ),
    ),
    draw=_draw,
)
