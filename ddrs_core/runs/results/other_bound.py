"""Results read once more under the other bound, from the votes that their rows hold.

The rows under either bound are claims of their own, each with an alpha of its own at every look:
both hold, but for a probability of two alphas. The better of the two, image by image, is neither.
"""

from __future__ import annotations

from dataclasses import replace

from ddrs_core.errors import MismatchError
from ddrs_core.runs.results.results import ResultSet, row_of
from ddrs_core.smoothing import ABSTAIN, Bound
from ddrs_core.smoothing.recompute import recompute


def under_bound(results: ResultSet, bound: Bound) -> ResultSet:
    """The certificates that the same votes give under a bound, at the same alpha.

    It is exact at a fixed number of votes. Where votes were drawn until radii were settled under
    the other bound, it holds as well, since the looks were scheduled; the radii may be lower than
    those of a run of its own.

    Raises:
        MismatchError: if a row holds no votes, or a memory has settled it.

    >>> from ddrs_core.runs.results.references import reference_results
    >>> from ddrs_core.runs.results.summary import summarize_results
    >>> log = reference_results("reference.first.cifar10-resnet20-gaussian-0.50-fixed-0.5")
    >>> for results in (log, under_bound(log, Bound.TWO_SIDED)):
    ...     print(results.bound, summarize_results(results, (0.25, 0.5)).certified_accuracy)
    one-sided {0.25: 0.61, 0.5: 0.42}
    two-sided {0.25: 0.67, 0.5: 0.48}
    """
    if results.method == "ds-memory":
        raise MismatchError(
            f"{results.title} was settled by a memory: under another bound, other balls would have "
            "been stored. Certify it again."
        )
    certificates = [row.certificate for row in results.rows if row.certificate is not None]
    if len(certificates) < len(results.rows):
        raise MismatchError(
            f"{results.title} does not hold the votes of all classes, without which {bound} bounds "
            "cannot be computed."
        )
    unproved = [replace(c, bound=bound, prediction=ABSTAIN, radius=0.0) for c in certificates]
    found = recompute([replace(c, p_lower=0.0) for c in unproved])
    proved = (
        replace(c, prediction=f.prediction, radius=f.radius, p_lower=f.p_lower)
        for c, f in zip(unproved, found, strict=True)
    )
    return replace(
        results,
        id=f"{results.id}.{bound}",
        title=f"{results.title}, {bound}",
        rows=tuple(row_of(c) for c in proved),
        bound=bound.value,
        notes=(),
    )
