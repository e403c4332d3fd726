"""Lesson: what a certificate does not say, and plots that say more than was proved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import rotate, shift

from ddrs_core.dashboard.learn.lesson import Answer, Lesson, Question, RealImages, Step
from ddrs_core.dashboard.learn.picture import Picture
from ddrs_core.dashboard.learn.precomputed import precomputed
from ddrs_core.data import load_dataset
from ddrs_core.models import load_model
from ddrs_core.runs.results.comparison import certified_accuracy
from ddrs_core.runs.results.references import reference_results
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.smoothing import Bound, SmoothedClassifier
from ddrs_core.smoothing.confidence import radius_cap

MODEL, IMAGE, SIGMA, VOTES, ALPHA = "digits-gaussian-0.25", 21, 0.25, 10_000, 0.001
RADII = (0.0, 0.25, 0.5, 0.75, 1.0)
CONSTANT_SIGMA, CONSTANT_VOTES = 5.0, 100_000  # of the classifier that never looks
RUNS, OF_A_RUN = 20, 50
_SEED = 0
_TUNED = "reference.tuned.digits-gaussian-0.50-tuned-0.3"
_LOGS = {
    "own": "digits-gaussian-0.50-ds-0.5",
    "training": "digits-gaussian-0.50-fixed-0.5",
    "small": "digits-gaussian-0.25-fixed-0.25",
    "near": "digits-smoothadv-0.25-fixed-0.25",
    "best": "digits-smoothadv-ds2-0.50-ds-0.5",
}
_PICTURE = Picture("limits")


@precomputed
def facts() -> dict[str, Any]:
    """All numbers that the picture may show: real certificates, and shipped logs."""
    logs = {name: reference_results(f"reference.study.{log}") for name, log in _LOGS.items()}
    logs["tuned"] = reference_results(_TUNED)
    return {
        "ruler": ruler(),
        "nonsense": nonsense(),
        "radii": RADII,
        "accuracy": {
            name: certified_accuracy(logs[name], RADII).tolist()
            for name in ("own", "training", "tuned", "small")
        },
        "mean": [_constant_mean(), *(_mean_radius(logs[name]) for name in ("best", "tuned"))],
        "right": [
            _most_frequent(),
            *(float(certified_accuracy(logs[name], [0.0])[0]) for name in ("best", "tuned")),
        ],
        "near": sorted(_held(logs["near"]).tolist()),
        "images": len(logs["near"].rows),
        "runs": _runs(logs["training"]),
    }


def ruler() -> list[dict[str, Any]]:
    """A digit, changes of it with their l2 distances, and its certificate, which comes first."""
    data, network = load_dataset("digits", "test"), _smoothed()
    image = data[IMAGE][0][0].numpy().astype(np.float64)
    spot = image.copy()
    spot[7, 0] = 1.0
    twin = min(
        (data[i][0][0].numpy() for i in range(len(data)) if i != IMAGE and data[i][1] == 4),
        key=lambda other: float(np.linalg.norm(other - image)),
    )
    changes = {
        "the image": image,
        "10 % brighter": np.clip(1.1 * image, 0, 1),
        "20 % darker": 0.8 * image,
        "one white pixel": spot,
        "another 4": twin,
        "turned by 15°": np.clip(rotate(image, 15, reshape=False, order=1), 0, 1),
        "one pixel to the right": shift(image, (0, 1)),
    }
    return [
        {
            "name": name,
            "distance": float(np.linalg.norm(changed - image)),
            "pixels": changed.round(3).flatten().tolist(),
            **_certified(network, changed),
        }
        for name, changed in changes.items()
    ]


def nonsense() -> list[dict[str, Any]]:
    """Images that show no digit, and what is proved about them."""
    cross = ((np.eye(8) + np.eye(8)[::-1]) > 0).astype(float)
    half = np.repeat((np.arange(8.0) < 4)[None], 8, axis=0).astype(float)
    shown = {"black": np.zeros((8, 8)), "white": np.ones((8, 8)), "half": half, "a cross": cross}
    network = _smoothed()
    return [
        {"name": name, "pixels": image.flatten().tolist(), **_certified(network, image)}
        for name, image in shown.items()
    ]


def _smoothed() -> SmoothedClassifier:
    return SmoothedClassifier(load_model(MODEL, "cpu"), 10, precision="fp32")  # as everywhere


def _certified(network: SmoothedClassifier, image: NDArray[np.float64]) -> dict[str, Any]:
    c = network.certify(
        torch.tensor(image, dtype=torch.float32)[None],
        sigma=SIGMA,
        n=VOTES,
        alpha=ALPHA,
        bound=Bound.ONE_SIDED,
    )
    return {"answer": c.prediction, "radius": c.radius, "counts": list(c.counts)}


def _held(results: ResultSet) -> NDArray[np.float64]:
    return np.asarray(results.radii[results.counted], dtype=np.float64)


def _mean_radius(results: ResultSet) -> float:
    return float(_held(results).sum() / len(results.rows))


def _most_frequent() -> float:
    labels = load_dataset("digits", "test").labels
    return float(np.bincount(labels).max() / len(labels))


def _constant_mean() -> float:
    return _most_frequent() * float(radius_cap(CONSTANT_SIGMA, CONSTANT_VOTES, ALPHA))


def _runs(results: ResultSet) -> dict[str, Any]:
    """Certified accuracy at 0.5 on random parts of the test images."""
    right = np.zeros(len(results.rows))
    right[results.counted] = results.radii[results.counted] >= 0.5
    rng = np.random.Generator(np.random.PCG64(_SEED))
    parts = [right[rng.choice(len(right), OF_A_RUN, replace=False)].mean() for _ in range(RUNS)]
    return {"parts": [float(part) for part in parts], "all": float(right.mean())}


CLAIMS = {
    "baseline": (
        "A σ for every image certifies far more than a fixed σ.",
        "The fixed σ is that of training. One σ for all, tuned on training images, reaches about "
        "as much, here more at r = 0, 0.75 and 1 and less between, and without condition.",
    ),
    "envelope": (
        "Our method is best at every radius.",
        "The line takes the best of three classifiers at each radius. Whoever uses it would have "
        "to know the radius before choosing: no classifier does that.",
    ),
    "mean": (
        "Our average certified radius is three times the best known.",
        "It always answers 2, whatever it sees, under huge noise. The few images that do show a 2 "
        "get a huge radius.",
    ),
    "rounded": (
        "45.0 % of images are certified at r = 0.75.",
        "The log prints two digits, rounded. Seven radii below 0.75 were printed as 0.75, and "
        "nothing is proved for them there: 43.6 % are.",
    ),
    "runs": (
        "We certify 70 % of images at r = 0.5.",
        "The best of twenty runs on 50 images each. All 500 images give 53 %.",
    ),
}


def _draw(scene: Mapping[str, Any]) -> None:
    _PICTURE.show(scene, claims=CLAIMS, **facts())


def _flaw(view: str, text: str, note: str) -> Step:
    return Step(f"**Find the flaw.** {text}", note, {"view": view})


LESSON = Lesson(
    name="limits",
    title="What a certificate does not say",
    idea="A certificate speaks of one classifier, one norm and our noise; plots often say more.",
    steps=(
        Step(
            "This 4 is certified at $\\sigma = 0.25$: within the green part of the ruler every "
            "image gets the same answer. Now look at changes that **people** call small. One pixel "
            "to the right is more than four times as far as the proof reaches, and gets "
            "another answer. **A certificate knows one norm.**",
            "The pixels are 8x8, so a shift by one is a lot here; in photographs it is the same "
            "story. Other norms and transformations have certificates of their own. An attack that "
            "stays within the green part is what this proof excludes, and nothing else.",
            {"view": "ruler"},
        ),
        Step(
            "None of these shows a digit, and each is **certified** by 10,000 votes. The answer is "
            "*stable*, and that is all that was proved. **Whether it is right is another "
            "question**, and the network never learned to say: this is no digit.",
            "Certified does not mean correct: hence 'certified accuracy', the share of images that "
            "are right *and* certified. On images unlike those of training it says nothing.",
            {"view": "nonsense"},
        ),
        _flaw(
            "baseline",
            "Certified accuracy of one network, with a $\\sigma$ for every image and with a fixed "
            "$\\sigma$.",
            "Give them a minute before you press the button. Real logs that come with the program. "
            "Ask always: what is the best simple thing to compare with? The default strategy of "
            "today finds a little more than this log: a mean radius of 0.645 against 0.627, as "
            "lesson 6 said.",
        ),
        _flaw(
            "envelope",
            "The method is above the others everywhere. How many classifiers do you see?",
            "Common in papers: the best sigma at each radius, joined to one line. It is allowed if "
            "it is drawn dashed and called an envelope.",
        ),
        _flaw(
            "mean",
            "The average certified radius (ACR) of three classifiers. What would you ask before "
            "you believe it?",
            "The share of twos in the test set times the cap at sigma = 5 and N = 100,000. An ACR "
            "never stands alone: beside it the certified accuracies, and the accuracy at r = 0.",
        ),
        _flaw(
            "rounded",
            "The certified radii of 500 images, read from a log that prints two digits.",
            "Radii are rounded down, always: a radius printed too large was not proved. This "
            "program prints three digits, rounded down, and stores all.",
        ),
        _flaw(
            "runs",
            "One number, one certified accuracy. What is missing?",
            "The number of images, how they were chosen, and how often it was tried. 50 images "
            "leave an interval of plus or minus 14 points.",
        ),
    ),
    question=Question(
        "*Class 4, certified within R = 0.67 at α = 0.001.* What follows?",
        (
            Answer(
                "The image shows a 4 with a probability of 99.9 %.",
                "α is about our noise: how often, at most, the votes mislead us about the "
                "classifier. Whether that is right about the image is not its subject.",
            ),
            Answer(
                "The network answers 4 for every image within 0.67.",
                "The *smoothed* classifier does, which votes over noise. The network alone may be "
                "fooled by much less, as in the first lesson.",
            ),
            Answer(
                "The smoothed classifier answers 4 within an ℓ₂ distance of 0.67, unless the noise "
                "that was drawn was unlucky, which happens at most once in a thousand times.",
                "One classifier, one norm, one kind of chance. Every word counts.",
                right=True,
            ),
            Answer(
                "A 4 that is turned or shifted a little is still answered with 4.",
                "Turning and shifting are far in the ℓ₂ norm: see the ruler.",
            ),
        ),
        "Let them say the right sentence in their own words. Who can do that has understood the "
        "course.",
    ),
    take_home="A certificate is exactly as strong as its sentence: this smoothed classifier, this "
    "norm, this radius, this α, and nothing beyond.",
    take_home_note="For homework: find a plot in a paper and write down what it does not say.",
    real=(
        RealImages(
            "The honest comparison",
            "compare",
            {
                "show": "reference.study.digits-gaussian-0.50-ds-0.5,"
                f"{_TUNED},reference.study.digits-gaussian-0.50-fixed-0.5",
                "pair": "1-2",
            },
            "A has a σ for every image, B one σ of 0.3, tuned on training images; the third is "
            "that of training. The intervals of A minus B, and what each radius is worth.",
        ),
        RealImages(
            "What keeps images from being certified",
            "failures",
            {},
            "Right but too close, wrong already without noise, too few samples: each with a link.",
        ),
    ),
    draw=_draw,
)
