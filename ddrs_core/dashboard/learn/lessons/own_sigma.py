"""Lesson: choosing the noise level for each input, by a gradient and by a fitted curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ddrs_core.dashboard.components.badge import grade_badge
from ddrs_core.dashboard.learn.lesson import Answer, Lesson, Question, RealImages, Step
from ddrs_core.dashboard.learn.lessons.one_sigma import POINTS, proved_table
from ddrs_core.dashboard.learn.picture import Picture
from ddrs_core.dashboard.learn.precomputed import precomputed
from ddrs_core.dashboard.learn.worlds import BANDS, get_world, world_url
from ddrs_core.smoothing import Grade, SigmaStep, surface_sigma
from ddrs_core.smoothing.plane import ASCENT, BOUNDS, BUDGET, SURFACE, as_images, compare_strategies

START = 0.05  # where both searches begin at the points of the lesson
_TITLES = {
    "largest": ("one σ, largest mean radius", Grade.UNCONDITIONAL),
    "careful": ("one σ, nearly all right", Grade.UNCONDITIONAL),
    "ascent": ("Algorithm 1, own σ", Grade.CONDITIONAL),
    "surface": ("response surface, own σ", Grade.CONDITIONAL),
}
_PICTURE = Picture("own_sigma")


@precomputed
def surface_rounds() -> dict[str, list[dict[str, Any]]]:
    """The rounds of the response surface at each point of the lesson."""
    world = get_world(BANDS)
    found = {}
    for name, x in zip(POINTS, as_images(np.array(list(POINTS.values()))), strict=True):
        steps = surface_sigma(world.network, x, sigma_0=START, config=SURFACE, budget=BUDGET)
        found[name] = [_round(step) for step in steps]
    return found


@precomputed
def table_rows() -> list[dict[str, Any]]:
    """What each way of choosing is worth at the fresh points."""
    return [
        {
            "name": row.name,
            "passes": row.passes,
            "mean": row.radii.mean(),
            "right": (row.radii > 0).mean(),
            "at": (row.radii >= 0.1).mean(),
            "sigmas": row.sigmas.round(4),
            "radii": row.radii.round(4),
        }
        for row in compare_strategies(get_world(BANDS))
    ]


def _titled(row: dict[str, Any]) -> dict[str, Any]:
    title, grade = _TITLES[row["name"]]
    return {**row, "title": title, "badge": str(grade_badge(grade))}


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
        facts["rows"] = [_titled(row) for row in table_rows()]
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
            "and its **gradient** in $σ$, move $σ$ a little uphill, repeat. Take one step and "
            "watch the tangent, then press *Run*: the radius of **A** grows by half. Then try "
            "**B**: there the search goes too far, and the radius **falls**.",
            "No label is used, so this can be done for any input. Eight copies are few: their "
            "radius is too optimistic on average (dashed), since eight often agree by luck. At B "
            "the level of the start is nearly the best already, so all that is left is to go too "
            "far. In D's band let it start over several times: the majority of eight is sometimes "
            "the neighbour's.",
            {"view": "ascent", "point": "A"},
        ),
        Step(
            "Every vote at any $σ$ tells something about **one smooth curve**. The response "
            "surface asks a few copies at many levels, fits the curve with its uncertainty, and "
            "spends further votes where the best level may be. No gradient, no step size. **Go "
            "round by round** at A, which gains much, and then at B, where nothing was to be "
            "gained.",
            "500 votes instead of 800 copies with gradients (a gradient costs as much as two more "
            "passes). The band is narrow where votes are many and where it matters. A's best level "
            "lies at the edge of the range. At B the start was nearly the best level, and the "
            "choice costs two thousandths of radius: a search is not free of error.",
            {"view": "surface", "point": "A"},
        ),
        Step(
            "Is it worth it? Compare with the **best single level**, not with any level. Choose a "
            "row: each point shows its ball. A single $σ$ must give up narrow bands or large "
            "balls; an own $σ$ need not, and gains a third of the mean radius. On real digits it "
            "gains 3 %: 0.645 against 0.627. **And mind the badge.**",
            "Algorithm 1 gains radius and loses some points in narrow bands; the surface keeps "
            "them, for fewer passes. These bands were made to differ; the digits (network trained "
            "at 0.5, default strategy, 10,000 votes, one-sided) have nearly the same best level. "
            "Both rows are CONDITIONAL: the ball is proved for the classifier "
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
    take_home="A σ for every input makes the mean radius larger than the best single σ does, by a "
    "third on these bands and by 3 % on the digits, but each ball is proved only for the "
    "classifier that keeps its σ.",
    take_home_note="How much is gained depends on how much the inputs differ; that it is "
    "conditional does not. Both halves belong together. Lesson 9 shows how a gain is overstated.",
    real=(
        RealImages(
            "The digit that gains most",
            "explorer",
            {"example": "gains-most"},
            "A finished run: how its level was found, and both certificates. Press *Run* to watch "
            "it again.",
        ),
        RealImages(
            "The response surface on a digit",
            "explorer",
            {"dataset": "digits", "model": "digits-gaussian-0.50", "image": "30"},
            "Blue: votes and fit; amber: many more votes that the search does not know.",
        ),
    ),
    draw=_draw,
)
