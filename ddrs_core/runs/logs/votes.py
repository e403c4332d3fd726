"""What the rows of a log claim against what they can prove: votes are recounted, caps are named.

A row with votes is never believed beyond them: its radius, class and lower bound are recomputed
with its own alpha, bound, schedule and sigma, and lowered where it claims more. A row without
votes is left unchanged; where its radius is above what any votes could prove at its sigma, that
is said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np

from ddrs_core.quantities import counted
from ddrs_core.runs.logs.columns import LogRow, looks_text, read_counts
from ddrs_core.runs.logs.text import read_number, read_whole
from ddrs_core.runs.results.results import ResultRow
from ddrs_core.smoothing import ABSTAIN, Bound, Certificate, Grade, round_down
from ddrs_core.smoothing.confidence import radius_cap
from ddrs_core.smoothing.recompute import recompute

USUAL_N, USUAL_ALPHA = 100_000, 0.001  # of the literature
_ROUNDING = 1e-9  # of a radius that another version of the same formulas gives
_DIGITS = 3  # significant, that Cohen et al. print, rounded to the nearest
_IN_NAME = tuple(
    re.compile(rf"(?<![a-z]){word}[ _=-]?([0-9]*\.?[0-9]+)", re.I) for word in ("sigma", "noise")
)
_WITHOUT_SIGMA = 1.0  # a class is proved, or not, whatever sigma is


@dataclass(frozen=True)
class Claim:
    """A row as written in line ``line``; ``certificate`` holds its votes, if it has any."""

    line: int
    row: ResultRow
    certificate: Certificate | None = None
    sigma: float | None = None
    n: int | None = None
    alpha: float | None = None


def read_claim(
    cells: Mapping[str, str], row: ResultRow, line: int, own: LogRow | None, sigma: float | None
) -> Claim:
    """What one row claims.

    Args:
        cells: of the row, by the names of the columns.
        row: what was read from it.
        line: where it stands.
        own: the row of a log of this program.
        sigma: of the name of the file, for a row that does not say its own.

    Raises:
        ValueError: if votes, N or alpha cannot be read.
    """
    if own is not None:
        c = own.certificate
        if (c.prediction, c.radius) != (row.prediction, row.radius):  # of an abstention, say
            c = replace(c, prediction=row.prediction, radius=row.radius)
        return Claim(line, replace(row, certificate=c), c)
    if failure := _cell(cells, "failure"):  # an exported row of an image that cannot be read
        failed = replace(row, prediction=ABSTAIN, radius=0.0)
        c = _certificate(failed, row.sigma, (0, 0), failure=failure)
        return Claim(line, replace(row, certificate=c), c)
    known = row.sigma if row.sigma is not None else sigma
    n_text, alpha_text = _cell(cells, "n"), _cell(cells, "alpha")
    n = read_whole(n_text, "n", least=1) if n_text else None
    alpha = read_number(alpha_text, "alpha") if alpha_text else None
    if alpha is not None and not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha:g}, not between 0 and 1")
    counts, candidate, prediction = _votes(cells, n, row.prediction)
    if not counts:
        return Claim(line, row, None, known, n, alpha)
    by_memory = _cell(cells, "grade") == Grade.FOR_QUERIES_AFTER
    certificate = _certificate(
        replace(row, prediction=prediction, radius=row.radius if known else 0.0),
        known,
        counts,
        grade=Grade.FOR_QUERIES_AFTER if by_memory else Grade.CONDITIONAL,
        alpha=USUAL_ALPHA if alpha is None else alpha,
        bound=Bound.TWO_SIDED if _cell(cells, "bound") == Bound.TWO_SIDED else Bound.ONE_SIDED,
        candidate=candidate,
        schedule=looks_text(_cell(cells, "schedule")),
    )
    return Claim(line, row, certificate, known, certificate.n, alpha)


def lower_claims(claims: Sequence[Claim]) -> tuple[list[ResultRow], list[str]]:
    """The rows, lowered to what their votes prove, and sentences that say what was lowered."""
    rows = [claim.row for claim in claims]
    at = [i for i, claim in enumerate(claims) if claim.certificate is not None]
    votes = [c for i in at if (c := claims[i].certificate) is not None]
    lowered: list[str] = []
    by_memory: list[int] = []
    found = recompute([_of_votes(c) for c in votes])
    for i, c, proved in zip(at, votes, found, strict=True):
        row, line = claims[i].row, claims[i].line
        if c.grade is Grade.FOR_QUERIES_AFTER:
            proves = c.prediction in (ABSTAIN, proved.prediction) and not _exceeds(c, proved.radius)
            by_memory += [] if proves else [line]
            kept = replace(c, p_lower=min(c.p_lower, proved.p_lower))
        elif proved.problem:
            said = proved.problem.replace(f"class {c.prediction}", f"class {row.prediction}")
            lowered.append(f"line {line}: {said}")
            radius = min(c.radius, proved.radius)
            abstains = proved.prediction == ABSTAIN or c.prediction == ABSTAIN
            kept = replace(
                c,
                prediction=ABSTAIN if abstains else c.prediction,
                radius=radius,
                p_lower=min(c.p_lower, proved.p_lower),
            )
        else:
            continue
        rows[i] = _lowered(row, kept)
    return rows, [*_about_lowered(lowered, len(claims)), *_about_memory(by_memory)]


def cap_sentences(claims: Sequence[Claim], from_name: bool) -> list[str]:
    """A sentence on radii without votes that are above the cap of their bound.

    Args:
        claims: the rows.
        from_name: whether sigma is known from the name of the file only.
    """
    bare = [c for c in claims if c.certificate is None and c.sigma and c.row.radius > 0]
    if not bare:
        return []
    n = np.array([c.n or USUAL_N for c in bare], dtype=np.float64)
    alpha = np.array([c.alpha or USUAL_ALPHA for c in bare])
    sigma = np.array([c.sigma for c in bare], dtype=np.float64)
    radii = np.array([c.row.radius for c in bare])
    rounding = 0.5 * 10.0 ** (np.floor(np.log10(radii)) + 1 - _DIGITS)
    above = np.flatnonzero(radii > radius_cap(sigma, n, alpha) + rounding * (1 + _ROUNDING))
    if not len(above):
        return []
    worst = int(above[(radii[above] / sigma[above]).argmax()])
    claim, cap = bare[worst], float(radius_cap(sigma[worst], n[worst], alpha[worst]))
    where = " (from the name of the file)" if from_name else ""
    return [
        f"{_radii(len(above))} above the most that can be proved: line {claim.line} claims "
        f"{claim.row.radius:g} at sigma {claim.sigma:g}{where}, but N = {int(n[worst]):,}"
        f"{'' if claim.n else ' (as is usual)'} unanimous votes prove {round_down(cap)} at alpha "
        f"{alpha[worst]:g}{'' if claim.alpha else ' (as is usual)'}, and that radius would take "
        f"{_needed(claim.row.radius / sigma[worst], float(alpha[worst]))}. Nothing was changed."
    ]


def sigma_in_name(name: str) -> float | None:
    """The noise level that the name of a file says, or else the folders that it lies in: such as
    ``noise_0.50/test/sigma_0.25``."""
    for part in reversed(PurePath(name).parts[-4:]):
        for pattern in _IN_NAME:
            found = pattern.search(part)
            if found and 0 < float(found[1]) < 100:
                return float(found[1])
    return None


def _certificate(
    row: ResultRow, sigma: float | None, counts: tuple[int, ...], **known: Any
) -> Certificate:
    """The certificate of a foreign row; unrecorded fields do not matter to its proof."""
    return Certificate(
        **{
            "dataset": None,
            "grade": Grade.CONDITIONAL,
            "n0": 1,
            "alpha": USUAL_ALPHA,
            "bound": Bound.ONE_SIDED,
            "p_lower": 0.0,
            "seed": 0,
            "precision": "",
            "model": "",
            **known,
        },
        index=row.index,
        label=row.label,
        prediction=row.prediction,
        radius=row.radius,
        sigma=sigma or _WITHOUT_SIGMA,
        counts=counts,
        n=sum(counts),
        seconds=0.0,
    )


def _cell(cells: Mapping[str, str], name: str) -> str:
    return cells.get(name, "").strip()


def _votes(
    cells: Mapping[str, str], n: int | None, prediction: int
) -> tuple[tuple[int, ...], int, int]:
    """Votes, the class that was counted, and the answer; where the votes of all others are known
    as a sum only, the counted class is number 0 of two."""
    if text := _cell(cells, "counts"):
        candidate = _cell(cells, "candidate")
        counted = read_whole(candidate, "candidate", least=ABSTAIN) if candidate else prediction
        return tuple(read_counts(text)), counted, prediction
    count = _cell(cells, "count")
    if n is None or not count:
        return (), ABSTAIN, ABSTAIN
    held = read_whole(count, "count", least=0)
    if held > n:
        raise ValueError(f"count is {held}, more than n = {n}")
    return (held, n - held), 0, min(prediction, 0)


def _of_votes(c: Certificate) -> Certificate:
    """The certificate as its votes would give it, where a memory has settled it since."""
    if c.grade is not Grade.FOR_QUERIES_AFTER:
        return c
    return replace(c, prediction=ABSTAIN, radius=0.0, p_lower=0.0)


def _exceeds(c: Certificate, radius: float) -> bool:
    return c.radius > radius * (1 + _ROUNDING)


def _lowered(row: ResultRow, kept: Certificate) -> ResultRow:
    prediction = ABSTAIN if kept.prediction == ABSTAIN else row.prediction
    correct = row.correct if prediction == row.prediction else None
    if correct is None and row.correct is not None:
        correct = False
    radius = 0.0 if prediction == ABSTAIN else min(row.radius, kept.radius)
    return replace(
        row,
        prediction=prediction,
        radius=radius,
        correct=correct,
        certificate=None if row.certificate is None else kept,
    )


def _about_lowered(lowered: Sequence[str], rows: int) -> list[str]:
    if not lowered:
        return []
    one = len(lowered) == 1
    return [
        f"{len(lowered):,} of {counted(rows, 'row')} claim{'s' if one else ''} "
        f"more than {'its' if one else 'their'} own votes prove and {'was' if one else 'were'} "
        f"lowered to that{': ' if one else ', such as '}{lowered[0]}."
    ]


def _about_memory(lines: Sequence[int]) -> list[str]:
    if not lines:
        return []
    rows = f"line {lines[0]}"
    if len(lines) > 1:
        rows = f"{counted(len(lines), 'row')} (the first is {rows})"
    return [
        f"The votes of the row alone do not prove the answer of a memory in {rows}: it rests on "
        "stored balls that are not in this file."
    ]


def _radii(count: int) -> str:
    return f"{counted(count, 'radius')} {'is' if count == 1 else 'are'}"


def _needed(z: float, alpha: float) -> str:
    """How many unanimous votes would prove a radius of z sigma."""
    tail = 0.5 * math.erfc(z / math.sqrt(2))
    votes = math.log(alpha) / math.log1p(-tail) if tail > 0 else math.inf
    return counted(round(votes), "vote") if votes < 1e12 else "more than 10^12 votes"
