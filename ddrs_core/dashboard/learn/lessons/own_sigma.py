"""Lesson: choosing the noise level for each input, by a gradient and by a fitted curve."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from ddrs_core.dashboard.components.badge import grade_badge
from ddrs_core.dashboard.learn.lesson import Answer, Lesson, Question, RealImages, Step
from ddrs_core.dashboard.learn.lessons.one_sigma import POINTS, proved_table
from ddrs_core.dashboard.learn.picture import Picture
from ddrs_core.dashboard.learn.worlds import BANDS, get_rows, get_world, world_url
from ddrs_core.smoothing import Grade, SigmaStep, surface_sigma
from ddrs_core.smoothing.plane import ASCENT, BOUNDS, BUDGET, SURFACE, as_images

START = 0.05  # where both searches begin at the points of the lesson
_TITLES = {
    "largest": ("one σ, largest mean radius", Grade.UNCONDITIONAL),
    "careful": ("one σ, nearly all right", Grade.UNCONDITIONAL),
    "ascent": ("Algorithm 1, own σ", Grade.CONDITIONAL),
    "surface": ("response surface, own σ", Grade.CONDITIONAL),
}
_PICTURE = Picture("own_sigma")


@lru_cache(maxsize=1)
def surface_rounds() -> dict[str, list[dict[str, Any]]]:
    """The rounds of the response surface at each point of the lesson."""
    world = get_world(BANDS)
    found = {}
    for name, x in zip(POINTS, as_images(np.array(list(POINTS.values()))), strict=True):
        steps = surface_sigma(world.network, x, sigma_0=START, config=SURFACE, budget=BUDGET)
        found[name] = [_round(step) for step in steps]
    return found


def table_rows() -> list[dict[str, Any]]:
    """What each way of choosing is worth at the fresh points."""
    rows = []
    for row in get_rows(BANDS):
        title, grade = _TITLES[row.name]
        rows.append(
            {
                "name": row.name,
                "title": title,
                "badge": str(grade_badge(grade)),
                "passes": row.passes,
                "mean": float(row.radii.mean()),
                "right": float((row.radii > 0).mean()),
                "at": float((row.radii >= 0.1).mean()),
                "sigmas": row.sigmas.round(4).tolist(),
                "radii": row.radii.round(4).tolist(),
            }
        )
    return rows


def _round(step: SigmaStep) -> dict[str, Any]:
    fit = step.fit
    assert fit is not None
    parts = {name: getattr(fit, name) for name in ("levels", "radius", "low", "high")}
    return {
        **{name: values.round(5).tolist() for name, values in parts.items()},
        **{name: getattr(fit, name).tolist() for name in ("n", "held", "planned")},
        "chosen": step.chosen,
    }


def _draw(scene: Mapping[str, Any]) -> None:
    facts: dict[str, Any] = {}
    if scene["view"] == "surface":
        facts |= {"rounds": surface_rounds(), "votes": SURFACE.votes}
    if scene["view"] == "rows":
        facts["rows"] = table_rows()
    _PICTURE.show(
        scene,
        world=world_url(BANDS),
        bounds=BOUNDS,
        proved=proved_table(),
        points=POINTS,
        start=START,
        ascent={
            "lr": ASCENT.lr,
            "steps": ASCENT.steps,
            "samples": ASCENT.samples,
            "clamp": ASCENT.clamp,
        },
        **facts,
    )


LESSON = Lesson(
    name="own-sigma",
    title="A sigma for every input",
    idea="The noise level is chosen for each input so that its radius becomes large: uphill along "
    "the gradient, or by votes at many levels and a curve through them.",
    steps=(
        Step(
            "**Algorithm 1** (Alfarra et al.): draw eight noisy copies, estimate the radius $R$ "
            "and its **gradient** in $σ$, move $σ$ a little uphill, repeat. Take one step at a "
            "time and watch the tangent, then run it. Put P into another band and start over.",
            "No label is used, so this can be done for any input. Eight copies are few: their "
            "radius is too optimistic on average (dashed), since eight often agree by luck. So "
            "the algorithm goes further to the right than it should. In the narrowest band let "
            "it start over several times: the majority of eight is sometimes the neighbour's.",
            {"view": "ascent", "point": "B"},
        ),
        Step(
            "Every vote at any $σ$ tells something about **one smooth curve**. The response "
            "surface asks a few copies at many levels, fits the curve with its uncertainty, and "
            "spends further votes where the best level may be. No gradient, no step size. **Go "
            "round by round.**",
            "500 votes instead of 800 copies with gradients (a gradient costs as much as two more "
            "passes). The band is narrow where votes are many and where it matters. Point A is a "
            "good example: its best level lies at the edge of the range.",
            {"view": "surface", "point": "B"},
        ),
        Step(
            "Is it worth it? Compare with the **best single level**, not with any level. Choose a "
            "row: each point shows its ball. A single $σ$ must give up narrow bands or large "
            "balls; an own $σ$ need not. **But mind the badge.**",
            "Algorithm 1 gains radius and loses some points in narrow bands; the surface keeps "
            "them, for fewer passes. Both are CONDITIONAL: the ball is proved for the classifier "
            "that keeps this point's sigma everywhere, and a neighbour would choose another one. "
            "That gap is the next lesson.",
            {"view": "rows", "row": "surface"},
        ),
    ),
    question=Question(
        "For an image the level $σ^* = 0.31$ was chosen, and $R = 0.9$ certified at $σ^*$. An "
        "attacker changes the image by 0.5. **What is proved?**",
        (
            Answer(
                "The classifier that chooses σ for every image keeps its answer.",
                "At the changed image it may choose another σ, and with it another answer. The "
                "certificate says nothing about that.",
            ),
            Answer(
                "The classifier smoothed with 0.31, at every image, keeps its answer.",
                "This is what the badge CONDITIONAL means: the certificate holds for the σ that "
                "was chosen at the original image.",
                right=True,
            ),
            Answer(
                "The network without noise keeps its answer.",
                "Smoothing never says anything about the network itself, only about the vote.",
            ),
            Answer(
                "Nothing, since σ was chosen by looking at the image.",
                "Choosing by looking is allowed, as long as fresh noise certifies. What is proved "
                "holds for this σ.",
            ),
        ),
        "This is the point that the paper's memory repairs. Whoever answers the first has found "
        "the trap that many readers fall into.",
    ),
    take_home="Choosing σ for every input makes the radius larger than any single σ does, but the "
    "ball is proved only for the classifier that keeps this σ.",
    take_home_note="Larger, honestly compared; and conditional. Both halves belong together.",
    real=(
        RealImages(
            "The digit that gains most",
            "explorer",
            {"example": "gains-most"},
            "Run it, and watch the level move and the radius grow.",
        ),
        RealImages(
            "The response surface on a digit",
            "explorer",
            {"dataset": "digits", "model": "digits-gaussian-0.50", "image": "30"},
            "Blue: votes and fit; amber: many more votes that the search does not know.",
        ),
    ),
    draw=_draw,
    prepare=surface_rounds,
)
