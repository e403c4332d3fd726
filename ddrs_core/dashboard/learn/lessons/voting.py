"""Lesson: asking the network about noisy copies, and taking the majority."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ddrs_core.dashboard.learn.lesson import Answer, Lesson, Question, RealImages, Step
from ddrs_core.dashboard.learn.picture import Picture
from ddrs_core.dashboard.learn.worlds import ISLANDS, world_url

_ISLAND = (0.491, 0.306)  # small, and blue
_PICTURE = Picture("voting")


def _draw(scene: Mapping[str, Any]) -> None:
    _PICTURE.show(scene, world=world_url(ISLANDS))


LESSON = Lesson(
    name="voting",
    title="Voting over noise",
    idea="Do not ask the network once, at the input. Ask it many times, at noisy copies of the "
    "input, and take the majority: small islands of wrong answers disappear.",
    steps=(
        Step(
            "An image with **two pixels** is a point in the plane. A small network has learned to "
            "tell blue points from orange ones, so well that it bends around single points. "
            "Drag **P** through the picture: how far is it to another answer?",
            "Start where P stands, on a small island: the dashed circle reaches to the nearest "
            "point with another answer. This is lesson 1 seen from above: an attack is a step "
            "across the nearest border. Let somebody find the point with the largest circle.",
            {"point": _ISLAND, "sigma": 0.08, "regions": "network", "votes": False},
        ),
        Step(
            "Now add noise: two hundred noisy copies of P, each a dot. The network is asked about "
            "every copy, and **the majority wins**. Drag P around, and change the noise level $σ$. "
            "Where does the vote say something else than the network does?",
            "The network is not changed at all; only how its answers are used. The bar shows the "
            "exact share of all possible noise. Draw other copies: the counts change a little, "
            "the bar does not. Lesson 4 is about that difference.",
            {"point": _ISLAND, "sigma": 0.05, "regions": "network", "votes": True},
        ),
        Step(
            "Vote at **every** point, and the plane gets new regions, with the strong border; the "
            "thin line is the network's. Drag $σ$ slowly from the left. Islands go first, "
            "tongues next, and **with too much noise** even the shape that the data has is lost.",
            "Pale means that the vote is close. Play the sweep once and let the class say stop "
            "where they would choose sigma. There is no right answer yet: lesson 5 asks again.",
            {"point": _ISLAND, "sigma": 0.05, "regions": "vote", "votes": True},
        ),
    ),
    question=Question(
        "A small orange island of the network lies within a large blue region. The noise level "
        "$σ$ is about three times as large as the island. What does the vote say **in the middle "
        "of the island**?",
        (
            Answer(
                "Orange, since the network says orange there.",
                "The network is asked about noisy copies, not about the point itself, and few of "
                "the copies fall onto the island.",
            ),
            Answer(
                "Blue, since most noisy copies fall beside the island.",
                "Most of the noise leaves the island and lands in blue, so blue has the majority "
                "even in the middle of it.",
                right=True,
            ),
            Answer(
                "Orange, if enough copies are drawn.",
                "More copies bring the counted shares closer to the exact ones. They do not move "
                "the majority from blue to orange.",
            ),
            Answer(
                "Blue, since the noise trains the network anew.",
                "Nothing is trained here. The same network is asked, only more often.",
            ),
        ),
        "Go back to the second picture: P stands on exactly such an island. Students who choose "
        "the third answer mix up two things: how many copies, and how far they reach.",
    ),
    take_home="The smoothed classifier answers what the network says for the majority of noisy "
    "copies, and the noise level decides which details survive the vote.",
    take_home_note="The noise level is a knob with a price at both ends: too small, and islands "
    "stay; too large, and the data's own shape goes.",
    real=(
        RealImages(
            "A digit, its noisy copies and their votes",
            "explorer",
            {"dataset": "digits", "model": "digits-gaussian-0.50", "image": "58"},
            "Drag the noise level along the curve: the copies and the votes follow.",
        ),
    ),
    draw=_draw,
)
