"""What a memory made of the certificates of a run: how many answers it changed, and by how much."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ddrs_core.quantities import counted
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.runs.results.summary import average_text
from ddrs_core.smoothing import ABSTAIN, Certificate

_MEMORY = "ds-memory"
_ROUNDING = 1e-9  # relative difference of radii that are the same


@dataclass(frozen=True)
class MemoryEffect:
    """Certificates as their votes prove them, against the answers that were given.

    ``adopted`` took the class of a stored ball, ``rescued`` had abstained; ``smaller`` and
    ``larger`` kept their class, with another radius. Radii are l2, pixels in [0, 1]; wrong answers
    and abstentions count as 0 in the averages.
    """

    images: int
    adopted: int
    rescued: int
    smaller: int
    larger: int
    mean_smaller: float  # by how much, on average over those
    most_smaller: float
    mean_larger: float
    most_larger: float
    right_before: int
    right_after: int
    acr_before: float
    acr_after: float
    acr_is_floor: bool = False
    labelled: bool = True

    @property
    def changed(self) -> int:
        """Answers that are not what the votes alone would have given."""
        return self.adopted + self.rescued + self.smaller + self.larger

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "changed": self.changed}

    def __str__(self) -> str:
        if not self.changed:
            return f"Of {counted(self.images, 'image')} the memory changed no answer."
        parts = []
        if self.adopted:
            parts.append(f"{self.adopted} took the class of a stored ball")
        if self.rescued:
            parts.append(f"{_were(self.rescued, 'abstention')} rescued")
        for count, word, mean, most in (
            (self.smaller, "trimmed", self.mean_smaller, self.most_smaller),
            (self.larger, "enlarged", self.mean_larger, self.most_larger),
        ):
            if count:
                average = f"{mean:.3f} on average, " if count > 1 else ""
                at_most = " at most" if count > 1 else ""
                parts.append(f"{_were(count, 'radius')} {word} by {average}{most:.3f}{at_most}")
        right = f"{self.right_before} to {self.right_after}"
        if self.right_before == self.right_after:
            right = f"{self.right_before} as before"
        said = (
            f"Of {counted(self.images, 'image')} the memory changed "
            f"{counted(self.changed, 'answer')}: {'; '.join(parts)}."
        )
        if not self.labelled:
            return said
        floor = "at least " if self.acr_is_floor else ""
        before, after = average_text(self.acr_before), average_text(self.acr_after)
        return (
            f"{said} Right and certified: {right}; average certified radius: {floor}{before} "
            f"without it, {floor}{after} with it."
        )


def memory_effect(results: ResultSet) -> MemoryEffect | None:
    """What the memory did; None if there was none, or the votes were not recorded."""
    certificates = [row.certificate for row in results.rows if row.certificate is not None]
    if results.method != _MEMORY or not certificates or len(certificates) < len(results.rows):
        return None
    claims = [_claim(c) for c in certificates]
    claimed = np.array([prediction for prediction, _ in claims])
    answered = np.array([c.prediction for c in certificates])
    before = np.array([radius for _, radius in claims])
    after = results.radii
    right = results.labelled & (claimed == results.labels)
    same, rescued = claimed == answered, (claimed == ABSTAIN) & (answered != ABSTAIN)
    losses, gains = (before - after)[same], (after - before)[same]
    rounding = _ROUNDING * (1 + before[same])  # another version of scipy rounds differently
    losses, gains = losses[losses > rounding], gains[gains > rounding]
    return MemoryEffect(
        images=len(certificates),
        adopted=int((~same & ~rescued).sum()),
        rescued=int(rescued.sum()),
        smaller=len(losses),
        larger=len(gains),
        mean_smaller=float(losses.mean()) if len(losses) else 0.0,
        most_smaller=float(losses.max(initial=0.0)),
        mean_larger=float(gains.mean()) if len(gains) else 0.0,
        most_larger=float(gains.max(initial=0.0)),
        right_before=int(right.sum()),
        right_after=int(results.correct.sum()),
        acr_before=float((right * before).mean()),
        acr_after=float((results.correct * after).mean()),
        acr_is_floor=results.acr_is_floor,
        labelled=bool(results.labelled.any()),
    )


def _claim(certificate: Certificate) -> tuple[int, float]:
    """Class and radius that the votes alone prove."""
    radius = certificate.recompute_radius()
    return (certificate.candidate if radius > 0 else ABSTAIN), radius


def _were(count: int, singular: str) -> str:
    return f"{counted(count, singular)} {'was' if count == 1 else 'were'}"
