"""From another person's file to a classifier: what the file does not tell is tried and proposed.

Files of others hold no class names, no training noise and, above all, no normalisation layer. The
field's usual normalisations are tried on a few dozen labelled images, and compared with what the
network's first batch-norm layer stores of its training images; the best one is proposed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ddrs_core.data import Dataset, list_datasets
from ddrs_core.errors import DDRSError, InvalidParameterError, unknown_name
from ddrs_core.models.classifier import Classifier, ModelCard, Normalization, with_card
from ddrs_core.models.compatibility import check_fit, open_for_model
from ddrs_core.models.importing.batchnorm_statistics import StatisticsFit, fit_statistics
from ddrs_core.models.importing.build import build_foreign
from ddrs_core.models.importing.normalizations import (
    Trial,
    is_near_chance,
    list_normalizations,
    try_normalizations,
    usual_normalization,
)
from ddrs_core.models.importing.recognise import Recognition, recognise
from ddrs_core.models.importing.sniff import RawCheckpoint
from ddrs_core.models.inference.cost import affordable
from ddrs_core.models.inference.forward import NoisyForward
from ddrs_core.models.robustness import (
    Robustness,
    find_robustness,
    measure_robustness,
    spread_images,
)
from ddrs_core.quantities import counted

IN_FILE = "file"  # the name of the normalisation that a file holds itself
_IMAGES, _FEWEST_IMAGES = 64, 24
_SECONDS = 6.0
_COMPARED_IMAGES = 256  # with the first batch-norm, for which no label and one layer is needed
_GOOD_FIT = 0.02
_NO_NOISE = 0.04  # what augmentation and other pixels look like at most
_AGREE = 0.25  # relative difference of two statements about the training noise
_ALIKE = 3.0  # ratio of mismatches; wrong normalisations of the shipped models have 10 and more
_ALIKE_LOSS = 0.1  # nats
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
    equals: tuple[str, ...]  # other normalisations that do about as well
    near_chance: bool
    sigma: float | None  # training noise, as it was measured, else as the file's name says
    noise: str  # where the two contradict each other, or nothing was measured: a sentence
    fit: StatisticsFit | None  # of the proposed normalisation; None where it cannot be had
    robustness: Robustness | None  # with the proposed normalisation; None where nothing was tried
    shape: tuple[int, int, int]  # (C, H, W) of the input
    num_classes: int
    digest: str  # of the weights in that architecture

    @property
    def normalizations(self) -> dict[str, Normalization]:
        """Those that can be chosen, by name; the proposed one first."""
        known = list_normalizations(self.shape[0])
        if self.raw.normalization is not None:
            known = {IN_FILE: self.raw.normalization, **known}
        return {self.normalization: known[self.normalization], **known}

    @property
    def advice(self) -> str:
        """What the trials say, in a few sentences."""
        return " ".join(filter(None, (*self._tried(), self.noise)))

    def _tried(self) -> Iterator[str]:
        in_file = self.raw.normalization is not None
        if not self.trials:
            yield "No labelled images of these classes are available, so nothing was tried out:"
            if in_file:
                yield "the normalisation is that of the file."
            else:
                yield f"the normalisation {self.normalization!r} is what such files usually need."
            return
        best = self.trials[0]
        tried = counted(best.images, "image")
        yield f"{self.normalization!r} gets {best.accuracy:.0%} of {tried} right."
        own = next((t for t in self.trials if t.name == IN_FILE), best)
        if own is not best:
            yield (
                f"The file's own normalisation gets {own.accuracy:.0%} of them right, which is "
                "clearly worse, so it is not proposed."
            )
        if self.fit is not None and self.fit.mismatch < _GOOD_FIT:
            noise = f"with noise of about sigma {self.fit.sigma:.2f}"
            noise = "without noise" if self.fit.sigma < _NO_NOISE else noise
            yield f"The statistics of its first batch-norm layer fit such images {noise}."
        if self.near_chance:
            yield (
                "That is no better than guessing: the classes may be in another order, the "
                "architecture or the data set another one, or the file holds no trained network."
            )
        elif self.equals:
            names = " and ".join(repr(name) for name in self.equals)
            yield (
                f"With {names} it does about as well, and these images do not decide between "
                "them: choose the one that the network was trained with, where its author names it."
            )


def propose(
    raw: RawCheckpoint, *, architecture: str | None = None, dataset: str | None = None
) -> Proposal:
    """Recognise a file, try the usual normalisations, and measure what noise does to it.

    Args:
        raw: what :func:`read_state` found; the training noise that the file's name tells is
            believed where it cannot be measured.
        architecture: its architecture, where it is known.
        dataset: the data set that it classifies, where it is known.

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
    name = IN_FILE if raw.normalization else usual_normalization(raw.layout, card.shape)[0]
    near_chance, robustness = False, None
    if data is not None:
        name = trials[0].name
        near_chance = is_near_chance(trials[0], card.num_classes)
        robustness = _under_noise(raw, card, trials[0].normalization, data)
    sigma, noise = _noise(sigma_in(raw.name), fit, None if near_chance else robustness)
    return Proposal(
        raw,
        found,
        card.architecture,
        data.info.name if data is not None else None,
        trials,
        name,
        _equals(tried),
        near_chance,
        sigma,
        noise,
        fit,
        robustness,
        card.shape,
        card.num_classes,
        card.digest,
    )


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
    known = proposal.normalizations
    if wanted not in known:
        raise unknown_name("normalisation", wanted, known)
    classifier = build_foreign(
        raw,
        proposal.architecture,
        normalization=known[wanted],
        name=name,
        dataset=proposal.dataset or "unknown",
    )
    trial = next((t for t in proposal.trials if t.name == wanted), None)
    found = proposal.sigma if sigma is None else sigma
    measured = {}
    if trial is not None:
        measured = {f"clean, {counted(trial.images, 'image')}": round(trial.accuracy, 4)}
    method = method or classifier.card.method
    return with_card(classifier, sigma=found, method=method, accuracy=measured)


def sigma_in(name: str) -> float | None:
    """The training noise that a file's name such as ``resnet20_noise_0.25.pth.tar`` tells.

    The folders of its path are not asked: they may be named after anything else.
    """
    found = _SIGMA.findall(name)
    return float(found[-1]) if found else None


def _labelled(card: ModelCard, dataset: str | None) -> Dataset | None:
    """Images that the model can be judged by: those of the named data set, where they have labels,
    else of the first with its shape and number of classes."""
    if dataset is not None:
        opened = open_for_model(dataset, replace(card, dataset=dataset))
        check_fit(replace(card, dataset=dataset), opened.info)
        if (opened.labels >= 0).any():
            return opened
    for info in list_datasets():
        if info.num_classes != card.num_classes:
            continue
        try:
            opened = open_for_model(info.name, card)
        except DDRSError:
            continue
        if (opened.labels >= 0).any():
            return opened
    return None


def _noise(
    told: float | None, fit: StatisticsFit | None, robustness: Robustness | None
) -> tuple[float | None, str]:
    """The training noise, and a sentence where the file's name is contradicted or believed."""
    if fit is not None and fit.mismatch < _GOOD_FIT:
        measured = 0.0 if fit.sigma < _NO_NOISE else round(fit.sigma, 2)
        if told is None or abs(told - measured) <= max(_NO_NOISE, _AGREE * told):
            return measured if told is None else told, ""
        return measured, (
            f"Its name says that it was trained with noise of sigma {told:g}, but its first "
            f"batch-norm says {measured:g}, which is believed."
        )
    if not told:
        return told, ""
    if robustness is None:
        return told, f"That it was trained with noise of sigma {told:g} is said by its name alone."
    lost = robustness.collapses_at
    if lost is None or lost > told:
        return told, ""
    return None, (
        f"Its name says that it was trained with noise of sigma {told:g}, but of "
        f"{robustness.accuracy[0.0]:.0%} right without noise, {robustness.accuracy[lost]:.0%} are "
        f"left at sigma {lost:g}, so its training noise is taken to be unknown."
    )


def _under_noise(
    raw: RawCheckpoint, card: ModelCard, normalization: Normalization, data: Dataset
) -> Robustness:
    classifier = build_foreign(raw, card.architecture, normalization=normalization)
    known = find_robustness(classifier.card, data.info.name)
    if known is not None:
        return known
    *_, found = measure_robustness(NoisyForward(classifier), data, classifier.card)
    return found


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
    read = data.read(spread_images(data, wanted // candidates))
    if not read.indices:
        raise InvalidParameterError(f"{data.info.title} has no labelled image that can be read.")
    trials = try_normalizations(plain.network, plain.card, read.images, read.labels, extra=in_file)
    more = affordable(forward, plain.card.shape, _COMPARED_IMAGES, _SECONDS, len(read.indices))
    images = data.read(spread_images(data, more)).images
    fits = [fit_statistics(plain.network, trial.normalization, images) for trial in trials]
    return sorted(
        zip(trials, fits, strict=True), key=lambda pair: _rank(pair[0], pair[1], trials[0])
    )


def _rank(
    trial: Trial, fit: StatisticsFit | None, most_accurate: Trial
) -> tuple[bool, bool, float, float]:
    """First those whose accuracy could be luck away from the best; of them the file's own, then
    the one that the network's own statistics fit, or else the surest answers."""
    return (
        trial.accuracy < most_accurate.accuracy - 3 * _spread(most_accurate),
        trial.name != IN_FILE,
        fit.mismatch if fit is not None else math.inf,
        trial.loss,
    )


def _spread(trial: Trial) -> float:
    """The standard deviation of an accuracy."""
    p = trial.accuracy
    return math.sqrt(max(p * (1 - p), 0.01) / trial.images)


def _equals(tried: Sequence[tuple[Trial, StatisticsFit | None]]) -> tuple[str, ...]:
    """Names of the normalisations that neither accuracy nor statistics tell from the first; none
    where the file itself holds the first one."""
    if not tried or tried[0][0].name == IN_FILE:
        return ()
    (best, best_fit), *others = tried
    names = []
    for trial, fit in others:
        if fit is not None and best_fit is not None:
            alike = trial.accuracy >= best.accuracy - 3 * _spread(best)
            alike = alike and fit.mismatch <= _ALIKE * best_fit.mismatch
        else:
            alike = trial.accuracy >= best.accuracy - _spread(best)
            alike = alike and trial.loss <= best.loss + _ALIKE_LOSS
        if alike:
            names.append(trial.name)
    return tuple(names)
