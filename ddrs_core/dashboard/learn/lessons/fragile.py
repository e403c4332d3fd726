"""Lesson: a small change that is chosen, not drawn, flips the answer of a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddrs_core.dashboard.learn.lesson import Answer, Lesson, Question, RealImages, Step
from ddrs_core.dashboard.learn.picture import Picture
from ddrs_core.dashboard.learn.precomputed import precomputed
from ddrs_core.data import load_dataset
from ddrs_core.models import load_model
from ddrs_core.smoothing.deepfool import confidences_along, nearest_change

MODEL = "digits-gaussian-0.25"
SHOWN = (8, 55, 103, 52)  # test images; the last one resists as long as half of all do
ATTACKED = 100  # the first images of the test split
SIZES = torch.linspace(0, 1, 101)  # l2 norms of changes that the slider offers
_DIRECTIONS = 1_000  # random ones, for each shown image
_FEW_DIRECTIONS = 20  # for each attacked image
_COARSE = 10  # every which size is judged with many directions
_SEED = 0
_PICTURE = Picture("fragile")


@precomputed
def facts() -> dict[str, Any]:
    """All numbers that the picture may show: attacks on a shipped network."""
    network, data = load_model(MODEL, "cpu"), load_dataset("digits", "test")
    random = random_directions(_DIRECTIONS)
    images = [_image(network, *data[index], random) for index in SHOWN]
    distances, flipped = [], []
    for index in range(ATTACKED):
        image, label = data[index]
        change = None if _answer(network, image) != label else nearest_change(network, image)
        distances.append(0.0 if change is None else float(change.norm()))
        said = confidences_along(network, image, random[:_FEW_DIRECTIONS], SIZES[::_COARSE])
        flipped.append((said.argmax(2) == label).double().mean(0).numpy())
    return {
        "sizes": SIZES.numpy().round(2).tolist(),
        "coarse": SIZES[::_COARSE].numpy().round(2).tolist(),
        "images": images,
        "distances": sorted(round(distance, 4) for distance in distances),
        "random": np.mean(flipped, axis=0).round(4).tolist(),
    }


def random_directions(count: int) -> Tensor:
    """Directions [count, 1, 8, 8] of length 1, uniform on the sphere; always the same."""
    drawn = torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(_SEED))
    return drawn / drawn.flatten(1).norm(dim=1)[:, None, None, None]


def _answer(network: torch.nn.Module, image: Tensor) -> int:
    with torch.no_grad():
        return int(network(image[None]).argmax())


def _image(network: torch.nn.Module, image: Tensor, label: int, random: Tensor) -> dict[str, Any]:
    change = nearest_change(network, image)
    assert change is not None
    attack = change / change.norm()
    said = confidences_along(network, image, torch.stack([attack, random[0]]), SIZES)
    flips = confidences_along(network, image, random, SIZES[::_COARSE]).argmax(2) != label
    return {
        "label": label,
        "answer": _answer(network, image + change),
        "distance": float(change.norm()),
        "pixels": _plain(image),
        "changes": {"attack": _plain(attack), "random": _plain(random[0])},
        "said": {
            kind: (1000 * values).round().int().tolist()
            for kind, values in zip(("attack", "random"), said, strict=True)
        },
        "flips": flips.sum(0).tolist(),
        "directions": len(random),
    }


def _plain(image: Tensor) -> list[float]:
    return image.flatten().double().numpy().round(4).tolist()


def _draw(scene: Mapping[str, Any]) -> None:
    _PICTURE.show(scene, **facts())


LESSON = Lesson(
    name="fragile",
    title="A classifier is fragile",
    idea="A network that is right about an image is wrong about one that looks the same to us.",
    steps=(
        Step(
            "A small network reads handwritten digits of 8×8 pixels and is right on 99.6 % of "
            "images that it has never seen. We add a **change** to the image and make it longer: "
            "its length $\\lVert\\delta\\rVert_2$ is the square root of all squared changes of "
            "pixels. **Drag it.** When does the answer flip? Could you see why?",
            "Drag slowly and let the class call out when they see a difference. The change was "
            "computed with the network's gradient (DeepFool): it goes straight to the nearest "
            "border between two answers. The last digit is a typical one: half of all images "
            "resist longer.",
            {"view": "image", "kind": "attack", "size": 0, "image": 0},
        ),
        Step(
            "Perhaps the network just hates noise? Here is a change in a **random direction**, as "
            "long as you like. The count says how many of 1,000 random directions of this length "
            "change the answer. Compare with the attack. **An attack is not noise: it is a "
            "direction that noise hardly ever takes.**",
            "This is the observation that the whole method rests on: at lengths at which an attack "
            "always succeeds, random noise nearly never does. So the votes of noisy copies are a "
            "calm signal where the network itself is nervous.",
            {"view": "image", "kind": "random", "size": 0.5, "image": 0},
        ),
        Step(
            "Not just these digits: a hundred test images, and the share that is still answered "
            "right. A change that is **chosen** destroys the network long before a change that is "
            "**drawn** even scratches it. So a test without attacks says little, and a test "
            "*with* attacks says: *this* attack found nothing. We want a **proof** that none "
            "exists.",
            "Attacks give an upper bound on robustness, never a guarantee: a stronger attack may "
            "come tomorrow. Ten years of broken defences are behind that sentence. The rest of the "
            "course builds a lower bound.",
            {"view": "all", "size": 0.8},
        ),
    ),
    question=Question(
        "The best attack known flips an image only at $\\lVert\\delta\\rVert_2 = 0.9$. "
        "What have you learned about changes of length 0.5?",
        (
            Answer(
                "None of them changes the answer: 0.5 is less than 0.9.",
                "The attack found nothing nearer. That does not mean that there is nothing: it "
                "follows the gradient, and may miss a border that is close.",
            ),
            Answer(
                "Nothing for certain: a better attack may find one that does.",
                "An attack shows where a classifier *is* wrong. That it is right everywhere within "
                "a distance has to be proved, and the next lessons do that.",
                right=True,
            ),
            Answer(
                "At most one direction in a thousand is dangerous, so the image is safe.",
                "One direction is enough: whoever attacks does not draw it at random.",
            ),
        ),
        "The first answer is the trap. Draw two borders on the board, and an arrow that finds the "
        "farther one.",
    ),
    take_home="Noise is harmless where a chosen change of the same length is fatal, and an attack "
    "that fails proves nothing.",
    take_home_note="Ask what a guarantee would have to say: for every change up to this length, "
    "the answer stays. That is a certificate.",
    real=(
        RealImages(
            "Attack a smoothed network",
            "failures",
            {"kind": "too-close"},
            "Choose an image and press *Attack the image*: how near a change of the answer lies, "
            "beside the radius that is proved.",
        ),
        RealImages(
            "The same digit in the explorer",
            "explorer",
            {"dataset": "digits", "model": MODEL, "image": "8", "bound": "two-sided"},
            "Its noisy copies, and what the network says about each.",
        ),
    ),
    draw=_draw,
)
