"""From somebody's file to a classifier: what the file does not tell is tried out and proposed.

Files of others hold no class names, no training noise and, above all, no normalisation layer. The
field's usual normalisations are tried on a few dozen labelled images, and compared with what the
network's first batch-norm remembers of its training images; the best one is proposed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from ddrs_core.data import Dataset, list_datasets
from ddrs_core.errors import DDRSError, InvalidParameterError, unknown_name
from ddrs_core.models.classifier import Classifier, ModelCard, Normalization, with_card
from ddrs_core.models.cost import affordable
from ddrs_core.models.first_layer import StatisticsFit, fit_statistics
from ddrs_core.models.fitting import check_fit, open_for_model
from ddrs_core.models.foreign import RawCheckpoint, Recognition, build_foreign, recognise
from ddrs_core.models.forward import NoisyForward
from ddrs_core.models.normalizations import (
    Trial,
    is_near_chance,
    list_normalizations,
    try_normalizations,
    usual_normalization,
)
from ddrs_core.models.robustness import spread_images

IN_FILE = "file"  # the name of the normalisation that a file holds itself
_IMAGES, _FEWEST_IMAGES = 64, 24
_SECONDS = 6.0
_COMPARED_IMAGES = 256  # with the first batch-norm, for which no label and one layer is needed
_GOOD_FIT = 0.02
_NO_NOISE = 0.04  # what augmentation and other pixels look like at most
_SIGMA = re.compile(r"(?:noise|sigma)[_=-]?((?:0|1)?\.\d{1,3}|[01](?!\d))", re.IGNORECASE)


@dataclass(frozen=True)
class Proposal:
    """What a file seems to be; everything in it can be chosen otherwise."""

    raw: RawCheckpoint
    recognitions: tuple[Recognition, ...]  # best first
    architecture: str
    dataset: str | None  # whose labelled images were tried; None where there are none
    trials: tuple[Trial, ...]  # best first
    normalization: str  # the proposed one's name
    near_chance: bool
    sigma: float | None  # training noise, as the path tells or the statistics suggest
    fit: StatisticsFit | None  # of the proposed normalisation; None where it cannot be had
    shape: tuple[int, int, int]  # (C, H, W) of the input
    num_classes: int
    digest: str  # of the weights in that architecture

    @property
    def advice(self) -> str:
        """What the trials say, in one or two sentences."""
        if not self.trials:
            return (
                "No labelled images of these classes are at hand, so the normalisation could not "
                f"be tried out; {self.normalization!r} is what such files usually need."
            )
        best = self.trials[0]
        text = f"{self.normalization!r} gets {best.accuracy:.0%} of {best.images} images right."
        if self.fit is not None and self.fit.mismatch < _GOOD_FIT:
            text += (
                " Its first batch-norm remembers such images with noise of about sigma "
                f"{self.fit.sigma:.2f}."
            )
        if self.near_chance:
            return (
                f"{text} That is no better than guessing: the classes may be in another order, the "
                "architecture or the data set another one, or the file holds no trained network."
            )
        return text


def propose(
    raw: RawCheckpoint,
    *,
    architecture: str | None = None,
    dataset: str | None = None,
    path: str = "",
) -> Proposal:
    """Recognise a file and try the usual normalisations.

    Args:
        raw: what :func:`read_state` found.
        architecture: its architecture, where it is known.
        dataset: the data set that it classifies, where it is known.
        path: where the file came from; Cohen's folders name the training noise.

    Raises:
        DDRSError: if no architecture fits, or something named does not exist or fit.
    """
    found = tuple(recognise(raw)) if architecture is None else ()
    plain = build_foreign(raw, architecture or (found[0].architecture if found else None))
    card = plain.card
    data = _labelled(card, dataset)
    tried = _try(plain, data, raw.normalization) if data is not None else []
    trials = tuple(trial for trial, _ in tried)
    fit = tried[0][1] if tried else None
    if raw.normalization is not None:
        name = IN_FILE
    else:
        name = trials[0].name if trials else usual_normalization(raw.layout, card.shape)[0]
    return Proposal(
        raw, found, card.architecture, data.info.name if data is not None else None, trials, name,
        bool(trials) and is_near_chance(trials[0], card.num_classes), _sigma(path, fit), fit,
        card.shape, card.num_classes, card.digest,
    )  # fmt: skip


def accept(
    proposal: Proposal,
    name: str,
    *,
    normalization: str | None = None,
    sigma: float | None = None,
    method: str | None = None,
) -> Classifier:
    """The classifier, with the proposed normalisation or another one.

    Args:
        proposal: from :func:`propose`.
        name: what it is to be called.
        normalization: name of another normalisation than the proposed one.
        sigma: training noise; by default the proposal's.
        method: training method; by default what the layout tells.

    Raises:
        UnknownNameError: if there is no such normalisation.
    """
    raw = proposal.raw
    wanted = normalization or proposal.normalization
    known = list_normalizations(proposal.shape[0])
    if raw.normalization is not None:
        known[IN_FILE] = raw.normalization
    if wanted not in known:
        raise unknown_name("normalisation", wanted, known)
    classifier = build_foreign(
        raw, proposal.architecture, normalization=known[wanted], name=name,
        dataset=proposal.dataset or "unknown",
    )  # fmt: skip
    trial = next((t for t in proposal.trials if t.name == wanted), None)
    found = proposal.sigma if sigma is None else sigma
    measured = {} if trial is None else {f"clean, {trial.images} images": round(trial.accuracy, 4)}
    method = method or classifier.card.method
    return with_card(classifier, sigma=found, method=method, accuracy=measured)


def sigma_in(path: str) -> float | None:
    """The training noise that a path such as ``.../noise_0.25/checkpoint.pth.tar`` names."""
    found = _SIGMA.findall(path)
    return float(found[-1]) if found else None


def _labelled(card: ModelCard, dataset: str | None) -> Dataset | None:
    """Images that the model can be judged by: those of the named data set, else of the first
    with its shape and number of classes."""
    if dataset is not None:
        opened = open_for_model(dataset, replace(card, dataset=dataset))
        check_fit(replace(card, dataset=dataset), opened.info)
        return opened
    for info in list_datasets():
        if info.num_classes != card.num_classes:
            continue
        try:
            return open_for_model(info.name, card)
        except DDRSError:
            continue
    return None


def _sigma(path: str, fit: StatisticsFit | None) -> float | None:
    told = sigma_in(path)
    if told is not None or fit is None or fit.mismatch >= _GOOD_FIT:
        return told
    return 0.0 if fit.sigma < _NO_NOISE else round(fit.sigma, 2)


def _try(
    plain: Classifier, data: Dataset, in_file: Normalization | None
) -> list[tuple[Trial, StatisticsFit | None]]:
    """Every candidate with its accuracy and its fit, the best first."""
    channels = plain.card.shape[0]
    candidates = len(list_normalizations(channels)) + (in_file is not None)
    forward = NoisyForward(plain, precision="fp32")
    wanted = affordable(
        forward, plain.card.shape, _IMAGES * candidates, _SECONDS, _FEWEST_IMAGES * candidates
    )
    chosen = spread_images(data, wanted // candidates)
    if not chosen:
        raise InvalidParameterError(f"{data.info.title} has no labelled image.")
    images, labels = data.tensors(chosen)
    trials = try_normalizations(plain.network, plain.card, images, labels, extra=in_file)
    more = affordable(forward, plain.card.shape, _COMPARED_IMAGES, _SECONDS, len(chosen))
    images, _ = data.tensors(spread_images(data, more))
    fits = [fit_statistics(plain.network, trial.normalization, images) for trial in trials]
    return sorted(
        zip(trials, fits, strict=True), key=lambda pair: _rank(pair[0], pair[1], trials[0])
    )


def _rank(
    trial: Trial, fit: StatisticsFit | None, most_accurate: Trial
) -> tuple[bool, bool, float, float]:
    """The file's own first; then, of those whose accuracy could be luck away from the best, the
    one that the network's own statistics fit, or else the surest answers."""
    p = most_accurate.accuracy
    luck = 3 * math.sqrt(max(p * (1 - p), 0.01) / trial.images)
    return (
        trial.name != IN_FILE, trial.accuracy < p - luck,
        fit.mismatch if fit is not None else math.inf, trial.loss,
    )  # fmt: skip
