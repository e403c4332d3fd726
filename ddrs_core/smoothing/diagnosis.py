"""Why an image is not certified at a radius: one kind of failure, told from its certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddrs_core.errors import NamedEnum, require_number
from ddrs_core.quantities import counted
from ddrs_core.smoothing.alpha_spending import LookSchedule
from ddrs_core.smoothing.certificate import ABSTAIN, Bound, Certificate, prove_radii, round_down
from ddrs_core.smoothing.confidence import (
    Floats,
    binomial_p_value,
    radius_cap,
    radius_one_sided,
    radius_two_sided,
)
from ddrs_core.smoothing.grade import Grade

MOST_VOTES = 10**9  # beyond it nobody waits
_SHARE_OF_TWO = 0.8  # of the votes that two classes must hold to be called the two


class FailureKind(NamedEnum, kind="kind of failure"):
    """What keeps an image from being certified; the first rule that applies names it."""

    CERTIFIED = "certified"
    DAMAGED = "damaged"
    WRONG_CLEAN = "wrong-clean"
    WRONG_NOISY = "wrong-noisy"
    UNDECIDED_TWO = "undecided-two"
    UNDECIDED_MANY = "undecided-many"
    UNDECIDED = "undecided"
    MEMORY = "memory"
    CAPPED = "capped"
    TOO_FEW_SAMPLES = "too-few-samples"
    TOO_CLOSE = "too-close"
    UNRECORDED = "unrecorded"

    @property
    def heading(self) -> str:
        """What people call it."""
        return _TEXTS[self][0]

    @property
    def rule(self) -> str:
        """When it applies, in a sentence."""
        return _TEXTS[self][1]


_TEXTS = {
    FailureKind.CERTIFIED: (
        "certified",
        "The class is the label, and the certified radius is at least r.",
    ),
    FailureKind.DAMAGED: ("damaged image", "The image cannot be read."),
    FailureKind.WRONG_CLEAN: (
        "wrong already without noise",
        "The network gives another class than the label to the image itself.",
    ),
    FailureKind.WRONG_NOISY: (
        "noise changes the answer",
        "The network is right without noise, but the noisy votes are for another class: it leads "
        "the label beyond chance (exact binomial test at alpha).",
    ),
    FailureKind.UNDECIDED_TWO: (
        "undecided between two classes",
        "No class has a provable majority, and two classes hold at least 80 % of the votes.",
    ),
    FailureKind.UNDECIDED_MANY: (
        "undecided among many classes",
        "No class has a provable majority, and the votes are spread over three classes or more.",
    ),
    FailureKind.UNDECIDED: (
        "undecided",
        "No class has a provable majority; the log does not record the votes.",
    ),
    FailureKind.MEMORY: (
        "limited by stored balls",
        "The votes prove r for the label, but balls stored before leave less or another class.",
    ),
    FailureKind.CAPPED: (
        "capped by the number of samples",
        "The share of votes suggests r, but unanimous votes would not prove it with this N.",
    ),
    FailureKind.TOO_FEW_SAMPLES: (
        "too few samples",
        "The share of votes suggests r, but this many votes prove less.",
    ),
    FailureKind.TOO_CLOSE: (
        "right but too close",
        "Even the share of votes itself suggests less than r: at this noise level the boundary is "
        "too near.",
    ),
    FailureKind.UNRECORDED: (
        "reason not recorded",
        "The class is right and the radius below r, but the log does not record the votes.",
    ),
}
FAILURES = tuple(kind for kind in FailureKind if kind is not FailureKind.CERTIFIED)


@dataclass(frozen=True)
class Diagnosis:
    """Why one image is, or is not, certified at ``target``.

    ``suggested`` is the radius that the share of votes itself would give, which proves nothing
    (infinite for unanimous votes; None where votes are not recorded). ``samples_needed`` is the N,
    fixed in advance, at which votes with these shares would prove ``target``; None where no N up
    to a billion would.
    """

    kind: FailureKind
    reason: str
    target: float
    certified_but_wrong: bool = False
    suggested: float | None = None
    samples_needed: int | None = None


def diagnose(
    certificate: Certificate, radius: float, clean: int | None = None, names: Sequence[str] = ()
) -> Diagnosis:
    """Why an image is not certified at a radius, from its votes alone.

    Args:
        certificate: of the image. Without a label, its leading class counts as right.
        radius: r, l2 in units of pixels in [0, 1].
        clean: class of the image without noise, for certificates that do not record it.
        names: of the classes; those without a name get a number.

    Raises:
        InvalidParameterError: if the radius is negative or no number.

    >>> import torch
    >>> from ddrs_core.smoothing import SmoothedClassifier
    >>> f = lambda x: torch.stack([2 - x.sum((1, 2, 3)), x.sum((1, 2, 3)) - 2], dim=1)
    >>> x = torch.full((1, 2, 2), 0.75)  # of class 1, 0.5 from the plane between the classes
    >>> g = SmoothedClassifier(f, num_classes=2)
    >>> found = diagnose(g.certify(x, sigma=0.25, n=1_000, label=1), radius=0.49)
    >>> found.kind.value, found.samples_needed > 1_000
    ('too-few-samples', True)
    >>> diagnose(g.certify(x, sigma=0.25, n=1_000, label=1), radius=0.6).kind.value
    'too-close'
    """
    target = require_number("The radius", radius, at_least=0.0, at_most=1e6)
    c, clean = certificate, certificate.clean if clean is None else clean
    wrong, name = c.prediction != ABSTAIN and c.correct is False, class_name(c.prediction, names)
    if c.failure:
        return Diagnosis(FailureKind.DAMAGED, c.failure, target)
    if not wrong and c.prediction != ABSTAIN and c.radius >= target:
        said = f"Certified as {name} within {round_down(c.radius)}."
        return Diagnosis(FailureKind.CERTIFIED, said, target, suggested=suggested_radius(c))
    suggested, needed = suggested_radius(c), samples_needed(c, target)
    kind, reason = _first_kind(c, target, clean, names, suggested, needed)
    if wrong:
        reason += f" Certified as {name} within {round_down(c.radius)}: wrong."
    return Diagnosis(kind, reason, target, wrong, suggested, needed)


def suggested_radius(certificate: Certificate) -> float:
    """The radius that the shares of votes give, taken as probabilities; 0 without a majority."""
    held, other, n = _shares(certificate)
    if certificate.bound is Bound.TWO_SIDED:
        return float(radius_two_sided(certificate.sigma, held / n, other / n))
    return float(radius_one_sided(certificate.sigma, held / n))


def radii_with(certificate: Certificate, samples: ArrayLike) -> Floats:
    """What votes with the same shares would prove for the same class, for each N of ``samples``,
    fixed in advance and with all of alpha."""
    c, wanted = certificate, np.asarray(samples, dtype=np.float64)
    held, other, n = _shares(c)
    _, radii = prove_radii(held / n * wanted, other / n * wanted, wanted, c.sigma, c.alpha, c.bound)
    return radii


def vote_margin(certificate: Certificate) -> float:
    """By how much the label leads the other classes in the votes, as a share of all."""
    held, other, n = _shares(certificate)
    return (held - other) / n


def samples_needed(certificate: Certificate, radius: float) -> int | None:
    """The N, fixed in advance, at which votes with the same shares would prove ``radius`` for the
    same class with all of alpha; None where none up to a billion would."""

    def proves(wanted: int) -> bool:
        proved = float(radii_with(certificate, wanted))
        return proved >= radius if radius > 0 else proved > 0

    low, high = 0, 16
    while not proves(high):
        low, high = high, high * 2
        if low >= MOST_VOTES:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proves(middle) else (middle, high)
    return high if high <= MOST_VOTES else None


def class_name(number: int, names: Sequence[str]) -> str:
    """The name of a class; ``class 9`` where it has none, or a bare number."""
    name = names[number] if 0 <= number < len(names) else str(number)
    return f"class {name}" if name.isdigit() else name


def _shares(c: Certificate) -> tuple[int, int, int]:
    """Votes of the class that should be certified, the most of any other class, and all."""
    held_class = _wanted(c)
    other = max((v for k, v in enumerate(c.counts) if k != held_class), default=0)
    held = c.counts[held_class] if 0 <= held_class < len(c.counts) else 0
    return held, other, max(1, sum(c.counts))


def _wanted(c: Certificate) -> int:
    """The label, or without one the leading class."""
    return int(np.argmax(c.counts)) if c.label is None else c.label


def _first_kind(
    c: Certificate,
    target: float,
    clean: int | None,
    names: Sequence[str],
    suggested: float,
    needed: int | None,
) -> tuple[FailureKind, str]:
    """The first rule that applies to an image that is not certified, and its evidence."""
    wanted, n = _wanted(c), max(1, sum(c.counts))
    held, _, _ = _shares(c)
    leading = int(np.argmax(c.counts))
    share, name = c.counts[leading] / n, class_name(wanted, names)
    if c.label is not None and clean is not None and clean != c.label:
        return (
            FailureKind.WRONG_CLEAN,
            f"Without noise the network answers {class_name(clean, names)}, not {name}; of the "
            f"noisy votes {held / n:.1%} are for {name}.",
        )
    if leading != wanted and binomial_p_value(c.counts[leading], held) <= c.alpha:
        known = "The network is right without noise, but" if clean is not None else "Under noise"
        return (
            FailureKind.WRONG_NOISY,
            f"{known} {share:.1%} of the votes are for {class_name(leading, names)}, "
            f"{held / n:.1%} for {name} (σ = {c.sigma:.3g}).",
        )
    proved = _proved_by_votes(c)
    if proved <= 0:
        return _undecided(c, n, names)
    if c.grade is Grade.FOR_QUERIES_AFTER and proved >= target:
        return (
            FailureKind.MEMORY,
            f"The votes prove {round_down(proved)} for {name}; balls stored before leave "
            f"{round_down(c.radius)} for {class_name(c.prediction, names)}.",
        )
    n_max, cap = _most_votes(c)
    if suggested < target:
        return (
            FailureKind.TOO_CLOSE,
            f"{held / n:.2%} of {counted(n, 'vote')} at σ = {c.sigma:.3g} suggest a radius of "
            f"about {round_down(suggested)}; more samples prove no more than the true share "
            "allows.",
        )
    how = "no N up to a billion" if needed is None else f"about N = {needed:,}"
    if cap < target:
        return (
            FailureKind.CAPPED,
            f"With N = {n_max:,}, unanimous votes prove at most {round_down(cap)} at "
            f"σ = {c.sigma:.3g}; with these shares {how} would prove {target:g}.",
        )
    early = f" Sampling ended after {n:,} of {counted(n_max, 'vote')}." if n < n_max else ""
    likely = "any radius" if suggested == np.inf else f"a radius of {round_down(suggested)}"
    return (
        FailureKind.TOO_FEW_SAMPLES,
        f"The share of votes suggests {likely}, of which {counted(n, 'vote')} prove "
        f"{round_down(c.radius)}.{early} With these shares {how} would prove {target:g}.",
    )


def _undecided(c: Certificate, n: int, names: Sequence[str]) -> tuple[FailureKind, str]:
    """How the votes of an image without a provable majority are spread."""
    order: NDArray[np.int64] = np.argsort(-np.asarray(c.counts), kind="stable")
    first, second = (int(k) for k in order[:2])
    shares = [c.counts[first] / n, c.counts[second] / n]
    said = f"{shares[0]:.1%} of the votes are for {class_name(first, names)}, "
    said += f"{shares[1]:.1%} for {class_name(second, names)}"
    if first != c.candidate:
        said += f"; the {counted(c.n0, 'vote')} before (N0) had chosen "
        said += class_name(c.candidate, names)
    if sum(shares) >= _SHARE_OF_TWO:
        return FailureKind.UNDECIDED_TWO, f"{said}."
    rest = sum(1 for votes in c.counts if votes > 0) - 2
    return FailureKind.UNDECIDED_MANY, f"{said}, {1 - sum(shares):.1%} for {rest} others."


def _proved_by_votes(c: Certificate) -> float:
    """The radius that the votes prove for the class that should be certified; 0 for another."""
    return c.recompute_radius() if c.candidate == _wanted(c) else 0.0


def _most_votes(c: Certificate) -> tuple[int, float]:
    """N, the most votes that the image could have got, and the cap of the radius there."""
    if not c.schedule:
        return c.n, c.radius_cap
    schedule = LookSchedule.from_text(c.schedule)
    spent = schedule.spent(schedule.n_max, c.alpha)
    return schedule.n_max, float(radius_cap(c.sigma, schedule.n_max, spent / c.bound.parts))
