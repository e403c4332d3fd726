"""What a set of certificates says about a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ddrs_core.errors import InvalidParameterError
from ddrs_core.smoothing import Certificate, round_down

RADII = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Summary:
    """Shares are fractions of all images; abstentions count as wrong, and so do images without a
    label, of which there are ``images - labelled``.

    ``certified_accuracy`` maps a radius r to the share that is correct with a radius of at least
    r; ``clean_accuracy`` is the share whose most frequent class is the label, proved or not.
    ``certified_share`` is like ``certified_accuracy``, whatever the class is.
    """

    images: int
    labelled: int
    certified_accuracy: dict[float, float]
    average_certified_radius: float  # wrong = 0
    clean_accuracy: float
    abstention_rate: float
    n: int
    alpha: float
    seconds: float
    certified_share: dict[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        if not self.labelled:
            shares = [f"{r:g}: {share:.3f}" for r, share in self.certified_share.items()]
            return (
                f"{self.images:,} images without labels, N = {self.n:,}, alpha = {self.alpha:g}, "
                f"{self.seconds:.1f} s\n"
                f"share certified, whatever the class, at {', '.join(shares)}; "
                f"abstentions {self.abstention_rate:.3f}"
            )
        shares = [f"{r:g}: {share:.3f}" for r, share in self.certified_accuracy.items()]
        return (
            f"{self.images:,} images, N = {self.n:,}, alpha = {self.alpha:g}, "
            f"{self.seconds:.1f} s\n"
            f"certified accuracy at {', '.join(shares)}\n"
            f"average certified radius (wrong = 0) {round_down(self.average_certified_radius)}, "
            f"clean accuracy {self.clean_accuracy:.3f}, abstentions {self.abstention_rate:.3f}"
        )


def summarize(certificates: Sequence[Certificate], radii: Sequence[float] = RADII) -> Summary:
    """Summarize the certificates of one run.

    Raises:
        InvalidParameterError: if there is none.
    """
    if not certificates:
        raise InvalidParameterError("There is no certificate to summarize.")
    correct = np.array([bool(c.correct) for c in certificates])
    radius = np.array([c.radius for c in certificates])
    return Summary(
        images=len(certificates),
        labelled=sum(c.label is not None for c in certificates),
        certified_accuracy={r: float((correct & (radius >= r)).mean()) for r in radii},
        average_certified_radius=float((correct * radius).mean()),
        clean_accuracy=float(np.mean([np.argmax(c.counts) == c.label for c in certificates])),
        abstention_rate=float(np.mean([c.abstained for c in certificates])),
        n=certificates[0].n,
        alpha=certificates[0].alpha,
        seconds=float(sum(c.seconds for c in certificates)),
        certified_share={
            r: float(np.mean([not c.abstained and c.radius >= r for c in certificates]))
            for r in radii
        },
    )
