"""The level of the runs of method ``tuned``: chosen before their first vote, and remembered.

Scores are kept in the user's data folder, under the digest of everything that they depend on: an
interrupted tuning goes on there, and a second run on the same model and images needs no votes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ddrs_core.data import ReadImages, image_digest
from ddrs_core.models import get_card
from ddrs_core.quantities import counted
from ddrs_core.runs.certify.config import CertifyConfig, Method
from ddrs_core.runs.certify.run import CertifyRun, RunStep
from ddrs_core.runs.certify.tuned import (
    FIRST_VOTES,
    KEPT,
    TUNING_STEPS,
    LevelScore,
    best_level,
    find_training_images,
    training_images,
    tuning_levels,
    tuning_steps,
)
from ddrs_core.runs.certify.tuning_files import (
    Tuning,
    read_scores,
    tunings_folder,
    write_tuning,
)
from ddrs_core.smoothing import StopAtRelativeWidth, round_down

# Of adaptive runs. Bounds that settle radii 0.25 apart are loose, more for some levels than for
# others: 0.463 and 0.551 at two levels of a network where 10,000 votes prove 0.618 and 0.628.
TUNING_RULE = StopAtRelativeWidth(0.1)


def check_tuning(configs: Sequence[CertifyConfig]) -> None:
    """Raises DDRSError if a level is to be tuned and there are no training images with labels."""
    missing = [c for c in configs if c.method is Method.TUNED and c.tuned is None]
    for config in missing[:1]:  # the others are on the same images
        find_training_images(config)


def tune_runs(runs: Sequence[CertifyRun]) -> Iterator[tuple[int, RunStep]]:
    """Choose the level of the runs of method ``tuned`` that have none; their configurations hold
    it afterwards.

    Yields:
        The number of the run and a step of stage ``tune``, several a second.

    Raises:
        DDRSError: if there are no training images with labels.
    """
    for number, run in enumerate(runs):
        if run.config.method is Method.TUNED and run.config.tuned is None:
            for step in _tune(run):
                yield number, step


def _tune(run: CertifyRun) -> Iterator[RunStep]:
    budget = run.config.budget
    # One tuning serves runs with all seeds; its noise, of seed -1 - seed, is that of none of them.
    seed = 1 if budget.seed == -1 else 0
    stop = None if budget.stop is None else TUNING_RULE
    plain = CertifyRun(replace(run.config, budget=replace(budget, seed=seed, stop=stop)), like=run)
    training = training_images(run.config)
    levels = tuning_levels(run.config.sigma)
    path = tunings_folder() / f"{_key(plain, training, levels)}.json"
    about = _about(plain, training)
    scores = _known_scores(path, levels, budget.n)
    first, last = (counted(budget.n0 + n, "vote") for n in (min(FIRST_VOTES, budget.n), budget.n))
    message = (
        f"Tuning one sigma for all images: {counted(len(levels), 'level')} from {levels[0]:.3g} to "
        f"{levels[-1]:.3g} on {counted(len(training.indices), 'training image')}, with at most "
        f"{first} an image, and the best {KEPT} with up to {last}. The result is kept for later "
        "runs."
    )
    for score in tuning_steps(plain, levels, tuple(scores), lambda: training):
        if score is not None:
            scores.append(score)
            write_tuning(path, about, scores)
        at = min(len(scores) + 1, TUNING_STEPS)
        yield RunStep("tune", 0, note=f"tuning sigma: {at} of {TUNING_STEPS}", message=message)
        message = ""
    run.config = replace(run.config, tuned=best_level(scores))
    write_tuning(path, replace(about, tuned=run.config.tuned), scores)
    yield RunStep("tune", 0, note="tuning sigma", message=_choice(run, scores))


def _choice(run: CertifyRun, scores: Sequence[LevelScore]) -> str:
    last = sorted((s for s in scores if s.n == max(s.n for s in scores)), key=lambda s: s.sigma)
    listed = ", ".join(f"{s.sigma:.4g}: {round_down(s.acr, 4)}" for s in last)
    budget = run.config.budget
    n = f"N = {last[0].n:,}"
    if budget.stop is not None:
        n = f"lower bounds, N at most {last[0].n:,}"
    return (
        f"Tuned sigma: {run.config.level:.4g}, which has the largest average certified radius on "
        f"the training images ({budget.bound} bounds, {n}; {listed})."
    )


def _key(run: CertifyRun, training: ReadImages, levels: Sequence[float]) -> str:
    """Digest of everything that decides the scores; the budget is that of the tuning."""
    forward, config = run.smoothed.forward, run.config
    network = (forward.digest, str(get_card(config.model).normalization), forward.precision)
    images = (config.dataset, training.indices, training.labels.tolist())
    known = (network, forward.device.type, images, image_digest(training.images), levels)
    return hashlib.sha256(repr((*known, config.budget)).encode()).hexdigest()[:32]


def _known_scores(path: Path, levels: Sequence[float], n: int) -> list[LevelScore]:
    """The scores that are kept; none from a file of something else."""
    scores = read_scores(path)
    fits = all(s.sigma in levels and s.n in (min(FIRST_VOTES, n), n) for s in scores)
    return scores if fits else []


def _about(run: CertifyRun, training: ReadImages) -> Tuning:
    forward, config = run.smoothed.forward, run.config
    return Tuning(
        dataset=config.dataset,
        model=forward.digest,
        sigma_0=config.sigma,
        images=len(training.indices),
        n0=config.budget.n0,
        n=config.budget.n,
        alpha=config.budget.alpha,
        bound=str(config.budget.bound),
        adaptive=config.budget.stop is not None,
        precision=forward.precision,
        device=forward.device.type,
    )
