"""Certificates of unknown origin: their radii are recomputed from their own votes.

A file may claim any radius. Its vote counts, alpha, bound and sigma determine what is proved; a
larger claim is rejected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ddrs_core.errors import DDRSError
from ddrs_core.quantities import counted
from ddrs_core.smoothing.certificate import ABSTAIN, Bound, Certificate, prove_radii, round_down
from ddrs_core.smoothing.confidence import check_alpha, check_sigma

MOST_VOTES = 10**9  # samples of a certificate, as in confidence.check_budget
_RELATIVE = 1e-9  # of a radius or probability that another version of the same formulas gives
_ABSOLUTE = 1e-12  # of a radius, in sigmas: close to p = 1/2 a rounding error is all there is


@dataclass(frozen=True)
class Recomputed:
    """Class and radius that the votes of one certificate prove, whatever the certificate claims.

    ``problem`` says in words why the certificate is not to be believed; it is empty if the
    certificate claims no more than its votes prove. Where the numbers contradict each other
    nothing is proved: class ``ABSTAIN``, radius and bound 0.
    """

    prediction: int
    radius: float
    p_lower: float
    problem: str


def recompute(certificates: Sequence[Certificate]) -> list[Recomputed]:
    """Recompute many certificates from counts, n, alpha, bound, schedule and sigma.

    The grade is not looked at: of a certificate that a memory has settled, class and radius are
    the memory's, and the votes need not prove them.
    """
    problems, spent = _contradictions(certificates)
    found = [Recomputed(ABSTAIN, 0.0, 0.0, problem) for problem in problems]
    for bound in Bound:
        rows = [
            row
            for row, c in enumerate(certificates)
            if not problems[row] and not c.failure and c.bound is bound
        ]
        if not rows:
            continue
        votes = np.array([_votes(certificates[row]) for row in rows], dtype=np.float64)
        sigmas = np.array([certificates[row].sigma for row in rows], dtype=np.float64)
        alphas = np.array([spent[row] for row in rows])
        held, other, n = votes.T
        p_lower, radii = prove_radii(held, other, n, sigmas, alphas, bound)
        for row, p, radius in zip(rows, p_lower.tolist(), radii.tolist(), strict=True):
            found[row] = _judge(certificates[row], p, radius)
    return found


def _contradictions(certificates: Sequence[Certificate]) -> tuple[list[str], list[float]]:
    """For each certificate what is impossible about it, and the alpha that its bounds spent."""
    problems, spent = [], []
    for c in certificates:
        alpha, problem = 0.0, _impossible_votes(c) or _impossible_claim(c)
        if not problem:
            try:
                check_sigma(c.sigma)
                check_alpha(c.alpha)
                alpha = c.spent
            except DDRSError as error:
                problem = str(error).rstrip(".")
        problems.append(problem)
        spent.append(alpha)
    return problems, spent


def _impossible_votes(c: Certificate) -> str:
    if c.failure:  # no vote was drawn
        is_empty = (c.n, c.prediction, c.radius) == (0, ABSTAIN, 0.0)
        return "" if is_empty else "its image cannot be read, but it has a class, a radius or votes"
    if not 1 <= c.n0 <= MOST_VOTES or not 1 <= c.n <= MOST_VOTES:
        return f"its N0 and N are not whole numbers from 1 to {MOST_VOTES:,}"
    if not c.counts or min(c.counts) < 0:
        return "its votes are missing or negative"
    if sum(c.counts) != c.n:
        return f"its votes do not add up to N = {c.n:,}"
    if not ABSTAIN <= c.candidate < len(c.counts):
        return f"its candidate is none of the {counted(len(c.counts), 'class')} of its votes"
    return ""


def _impossible_claim(c: Certificate) -> str:
    if not math.isfinite(c.radius) or c.radius < 0:
        return f"its radius is {c.radius}"
    if not 0 <= c.p_lower <= 1:
        return f"its lower bound on a probability is {c.p_lower}"
    if not ABSTAIN <= c.prediction < len(c.counts):
        return f"its answer is none of the {counted(len(c.counts), 'class')} of its votes"
    if c.prediction == ABSTAIN and c.radius > 0:
        return f"it abstains with a radius of {c.radius:g}"
    if c.prediction not in (ABSTAIN, _candidate(c)):
        return f"it answers class {c.prediction}, but its votes were counted for {c.candidate}"
    return ""


def _candidate(c: Certificate) -> int:
    """The class that was counted; a certificate that does not say so names it as its answer."""
    return c.prediction if c.candidate == ABSTAIN else c.candidate


def _votes(c: Certificate) -> tuple[int, int, int]:
    """Votes of the candidate, of the next class, and of all."""
    candidate = _candidate(c)
    if candidate == ABSTAIN:
        return 0, max(c.counts), c.n
    others = (*c.counts[:candidate], *c.counts[candidate + 1 :])
    return c.counts[candidate], max(others, default=0), c.n


def _judge(c: Certificate, p_lower: float, radius: float) -> Recomputed:
    candidate = _candidate(c)
    problem = ""
    if c.prediction != ABSTAIN and radius <= 0:
        problem = f"{_share(c)} prove no class, but it answers class {c.prediction}"
    elif c.radius > radius * (1 + _RELATIVE) + _ABSOLUTE * c.sigma:
        problem = (
            f"{_share(c)} prove a radius of {round_down(radius)} at sigma {c.sigma:g}, but it "
            f"claims {c.radius:.4g}"
        )
    elif c.p_lower > p_lower + _RELATIVE:
        problem = f"{_share(c)} prove a probability of {p_lower:.6f}, but it claims {c.p_lower:.6f}"
    return Recomputed(candidate if radius > 0 else ABSTAIN, radius, p_lower, problem)


def _share(c: Certificate) -> str:
    return f"{_votes(c)[0]:,} of {counted(c.n, 'vote')} at alpha {c.alpha:g}"
