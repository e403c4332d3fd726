"""What a set of results says about a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from ddrs_core.errors import InvalidParameterError
from ddrs_core.quantities import counted
from ddrs_core.runs.results.results import ResultSet, from_certificates
from ddrs_core.smoothing import Certificate, round_down

RADII = (0.0, 0.25, 0.5, 0.75, 1.0)


class CleanSource(StrEnum):
    """Which class of an image counts for the clean accuracy."""

    PREDICTION = "of the network, without noise"
    VOTES = "of most votes, under noise: the rows hold no clean prediction"
    UNKNOWN = "unknown: the rows hold neither clean predictions nor votes"


@dataclass(frozen=True)
class Summary:
    """Shares are fractions of all images; abstentions count as wrong, and so do images without a
    label, of which there are ``images - labelled`` (if none has a label it is not known what is
    right, and accuracies are None), and images that could not be read
    (``unreadable``), which did not abstain. What was not recorded, and every share of no images,
    is None.

    ``certified_accuracy`` maps a radius r to the share that is correct with a radius of at least
    r (None for r > 0 if there are only predictions); ``clean_accuracy`` is the share that is
    classified correctly, proved or not, see :class:`CleanSource`. ``certified_share`` is like
    ``certified_accuracy``, whatever the class is, and ``average_radius`` like
    ``average_certified_radius``. ``n`` is the most samples that an image could
    get, ``n_mean`` what they got; where sampling stopped as soon as the radii of a table were
    settled the average certified radius is a floor.
    """

    images: int
    labelled: int
    certified_accuracy: dict[float, float | None]
    average_certified_radius: float | None  # wrong = 0
    clean_accuracy: float | None
    abstention_rate: float | None
    n: int | None
    alpha: float | None
    bound: str | None
    seconds: float | None
    certified_share: dict[float, float | None]
    average_is_floor: bool = False
    n_mean: float | None = None
    seconds_per_image: float | None = None
    unreadable: int = 0
    average_radius: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        if not self.images:
            return "no image yet"
        unlabelled = "" if self.labelled else " without labels"
        failed = f" ({self.unreadable:,} of them not readable)" if self.unreadable else ""
        head = f"{counted(self.images, 'image')}{unlabelled}{failed}, {self._protocol()}"
        shares = self.certified_accuracy if self.labelled else self.certified_share
        listed = ", ".join(f"{r:g}: {_share(share)}" for r, share in shares.items())
        floor = "at least " if self.average_is_floor else ""
        abstentions = f"abstentions {_share(self.abstention_rate)}"
        if not self.labelled:
            return (
                f"{head}\n"
                f"share certified, whatever the class, at {listed}\n"
                f"average radius, whatever the class {floor}{_radius(self.average_radius)}, "
                f"{abstentions}"
            )
        return (
            f"{head}\n"
            f"certified accuracy at {listed}\n"
            f"average certified radius (wrong = 0) {floor}"
            f"{_radius(self.average_certified_radius)}, "
            f"clean accuracy {_share(self.clean_accuracy)}, {abstentions}"
        )

    def _protocol(self) -> str:
        n = "unknown" if self.n is None else f"{self.n:,}"
        if self.n is not None and self.n_mean is not None and self.n_mean < self.n:
            n = f"at most {n}, {self.n_mean:,.0f} on average"
        alpha = "unknown" if self.alpha is None else f"{self.alpha:g}"
        seconds = "" if self.seconds is None else f", {self.seconds:.1f} s"
        bound = "" if self.bound is None else f", {self.bound} bounds"
        return f"N = {n}, alpha = {alpha}{bound}{seconds}"


def summarize(certificates: Sequence[Certificate], radii: Sequence[float] = RADII) -> Summary:
    """Summarize the certificates of one run.

    Raises:
        InvalidParameterError: if there is none.
    """
    if not certificates:
        raise InvalidParameterError("There is no certificate to summarize.")
    return summarize_results(from_certificates(certificates, id="", title=""), radii)


def summarize_results(results: ResultSet, radii: Sequence[float] = RADII) -> Summary:
    """Summarize results from anywhere, also none at all.

    >>> from ddrs_core.runs.results.references import reference_results
    >>> fixed = reference_results("reference.study.digits-gaussian-0.50-fixed-0.5")
    >>> summarize_results(fixed, radii=(0.0, 0.5)).certified_accuracy
    {0.0: 0.938, 0.5: 0.53}
    """
    seconds = [row.seconds for row in results.rows if row.seconds is not None]
    timed = bool(seconds) and len(seconds) == len(results.rows)
    found = [row.certificate for row in results.rows if row.certificate is not None]
    certificates = [c for c in found if not c.failure]
    effective = results.correct * results.radii
    certified, judged = results.certified, results.has_labels

    def share_at(r: float, held: np.ndarray) -> float | None:
        return _mean(held & (results.radii >= r)) if results.has_radii or r == 0 else None

    return Summary(
        images=len(results.rows),
        labelled=int(results.labelled.sum()),
        certified_accuracy={r: share_at(r, results.correct) if judged else None for r in radii},
        average_certified_radius=_mean(effective) if results.has_radii and judged else None,
        clean_accuracy=_clean_accuracy(results) if judged else None,
        abstention_rate=_mean(results.abstained),
        n=results.n,
        alpha=results.alpha,
        bound=results.bound,
        seconds=float(sum(seconds)) if timed else None,
        certified_share={r: share_at(r, certified) for r in radii},
        average_is_floor=results.acr_is_floor,
        n_mean=_mean(np.array([c.n for c in certificates])) if certificates else None,
        seconds_per_image=float(np.mean(seconds)) if seconds else None,
        unreadable=len(results.failed),
        average_radius=_mean(certified * results.radii) if results.has_radii else None,
    )


def average_text(radius: float) -> str:
    """An average certified radius, rounded down: with a digit more than radii, so that the figure
    that the literature rounds to three digits can be read from it."""
    return round_down(radius, 4)


def clean_source(results: ResultSet) -> CleanSource:
    """Where the clean accuracy of a set comes from."""
    found = [row.certificate for row in results.rows if row.certificate is not None]
    if not found or len(found) < len(results.rows):
        return CleanSource.UNKNOWN
    known = all(c.clean is not None for c in found if not c.failure)
    return CleanSource.PREDICTION if known else CleanSource.VOTES


def _clean_accuracy(results: ResultSet) -> float | None:
    source = clean_source(results)
    if source is CleanSource.UNKNOWN:
        return None
    found = [row.certificate for row in results.rows if row.certificate is not None]
    right = [
        not c.failure
        and (c.clean if source is CleanSource.PREDICTION else int(np.argmax(c.counts))) == c.label
        for c in found
    ]
    return float(np.mean(right))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _radius(value: float | None) -> str:
    return "unknown" if value is None else average_text(value)


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
