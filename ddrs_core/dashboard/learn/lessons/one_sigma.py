"""Lesson: every input has its own best noise level, so any single one is a compromise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ddrs_core.dashboard.learn.lesson import Answer, Lesson, Question, RealImages, Step
from ddrs_core.dashboard.learn.picture import Picture
from ddrs_core.dashboard.learn.precomputed import precomputed
from ddrs_core.dashboard.learn.worlds import BANDS, get_world, world_url
from ddrs_core.smoothing.plane import BOUNDS, LEVELS, provable_probit, radius_table

POINTS = {"A": (0.17, 0.6), "B": (0.56, 0.42), "C": (0.77, 0.7), "D": (0.9, 0.3)}
_Z = np.linspace(-1.0, 5.0, 301)
_PICTURE = Picture("one_sigma")


def proved_table() -> dict[str, list[float]]:
    """Radius over sigma that the votes are expected to prove, by the probit of the class."""
    return {"z": _Z.tolist(), "proved": provable_probit(_Z).round(5).tolist()}


@precomputed
def facts() -> dict[str, Any]:
    """What single levels are worth for the training points."""
    world = get_world(BANDS)
    radii = radius_table(world, world.points)
    return {
        "bounds": BOUNDS,
        "proved": proved_table(),
        "levels": LEVELS.round(5).tolist(),
        "mean": radii.mean(axis=1).round(5).tolist(),
        "right": (radii > 0).mean(axis=1).round(5).tolist(),
    }


def _draw(scene: Mapping[str, Any]) -> None:
    # Not above: the view of the page knows the lessons.
    from ddrs_core.dashboard.learn.attendance import count_level, draw_with_levels
    from ddrs_core.dashboard.learn.view import current_view

    view, known = current_view(), facts()

    def show(counts: list[int] | None) -> None:
        url = world_url(BANDS)
        said = _PICTURE.show(scene, on=("level",), world=url, counts=counts, **known)
        level = said.get("level")
        if isinstance(level, int) and 0 <= level < len(LEVELS):
            count_level(view, level)

    draw_with_levels(view, len(LEVELS), show)


LESSON = Lesson(
    name="one-sigma",
    title="One sigma does not fit all",
    idea="Too little noise proves little, too much drowns the answer. Where the best level lies "
    "between them depends on the input.",
    steps=(
        Step(
            "Bands of two classes, narrower and narrower. Point **B** lies in the middle of one. "
            "Drag $σ$: its certified ball **grows with the noise, until the noise reaches the "
            "bands beside it**; then it shrinks. The curve shows the radius at every level.",
            "The left half is lesson 4: all votes agree, and N votes prove at most about 3.2 "
            "sigma (dotted). So less noise means less radius there, however clear the answer is. "
            "The right half is lesson 2: the noise reaches other regions.",
            {"view": "points", "points": {"B": POINTS["B"]}, "sigma": 0.025},
        ),
        Step(
            "Now one point in **each band**. Find the best $σ$ for D, then the best for A. Is "
            "there a level that is good for all four? Drag the points as well: which of them move "
            "their peak?",
            "At D's best level, A wastes most of its room; at A's best level, C and D are lost. A "
            "has a border on one side only, so it can use all the noise there is. Moving along a "
            "band changes little; moving towards its border lowers the curve and moves the peak "
            "to the left.",
            {"view": "points", "points": POINTS, "sigma": 0.05},
        ),
        Step(
            "Usually one $σ$ is chosen for the whole data set. **Choose it**: every training "
            "point gets its ball, and a cross marks a point that is lost. When you have decided, "
            "see what every other choice would have given.",
            "In a class, every student's choice is counted and shown here. The mean radius has "
            "its maximum where a third of the points are lost: the wide bands pay for the narrow "
            "ones. So never show a mean radius without the share of right answers. Lesson 9 comes "
            "back to this.",
            {"view": "set", "points": {}, "sigma": 0.03},
        ),
    ),
    question=Question(
        "For an image, a certification with $σ = 0.25$ proves $R = 0.8$, the most that its votes "
        "can prove. What is likely to happen at a slightly larger $σ$?",
        (
            Answer(
                "R grows: the votes are unanimous, so the noise has not reached another class.",
                "On the left of the peak the radius is limited by the votes, 3.2 σ here. As long "
                "as they stay unanimous, more noise means more radius.",
                right=True,
            ),
            Answer(
                "R falls: more noise always makes votes worse.",
                "Only once the noise reaches another class. Here all votes agree, so there is "
                "room left.",
            ),
            Answer(
                "R stays: it belongs to the image.",
                "The certified radius depends on σ and on the votes. The image fixes the curve, "
                "not the point on it.",
            ),
            Answer(
                "The image gets a wrong answer.",
                "That needs noise that reaches other regions with more than half of the copies. "
                "With unanimous votes we are far from it.",
            ),
        ),
        "0.8 / 0.25 = 3.2, the cap of 10,000 votes. A number that looks good may only say that "
        "the noise level is too small for this image.",
    ),
    take_home="The radius first grows with σ and then breaks down, and where it does so belongs "
    "to the input: no single σ is best for all.",
    take_home_note="Left of the peak: too few votes for so little noise. Right of it: too much "
    "noise for so little room.",
    real=(
        RealImages(
            "A digit with too little noise",
            "explorer",
            {"example": "too-little-noise"},
            "Its curve is still climbing at the training σ.",
        ),
        RealImages(
            "A digit with too much noise",
            "explorer",
            {"example": "too-much-noise"},
            "Its peak lies to the left of the training σ.",
        ),
    ),
    draw=_draw,
)
