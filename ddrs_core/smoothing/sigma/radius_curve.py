"""The radius as a function of sigma, estimated on a grid and refined round by round."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ddrs_core.errors import InvalidParameterError, require_count
from ddrs_core.models import NoisyForward, noise_generator
from ddrs_core.models.inference.cost import affordable
from ddrs_core.smoothing.certificate import Bound, possible_radii, prove_radii
from ddrs_core.smoothing.classifier import as_batch, as_forward
from ddrs_core.smoothing.confidence import (
    Floats,
    check_budget,
    check_sigma,
    radius_cap,
    radius_one_sided,
    radius_two_sided,
)
from ddrs_core.smoothing.sigma.steps import Ints

_POINTS, _POINTS_MIN = 33, 13
_SAMPLES, _SAMPLES_MIN, _SAMPLES_FEWEST = 2_000, 200, 40
_CURVE_SECONDS = 20.0  # shared with the strategy, which is what people wait for
BAND_ALPHA = 0.05  # the band holds R at each sigma with 95 % confidence, pointwise


@dataclass(frozen=True)
class RadiusCurve:
    """R(sigma) for the leading class at each sigma, after n votes or more; arrays are [S].

    ``low`` and ``high`` are a pointwise 95 % confidence band, for looking and not for
    certifying; ``cap`` is the largest radius that the planned certification could prove.
    """

    sigmas: Floats
    radius: Floats
    low: Floats
    high: Floats
    cap: Floats
    prediction: Ints
    counts: Ints  # [S, K]
    n: int  # votes at the sigma that has fewest
    target: int  # votes at each sigma when done


@dataclass(frozen=True)
class CurveComparison:
    """A noise level beside the highest point of a radius curve for the same class; estimates."""

    radius: float  # at the level
    best_sigma: float
    best_radius: float
    apart: bool  # the bands of the two do not overlap

    @property
    def regret(self) -> float:
        """The share of the highest radius that is lost at the level."""
        return max(0.0, 1 - self.radius / self.best_radius)


def compare_with_curve(curve: RadiusCurve, sigma: float) -> CurveComparison | None:
    """How the curve's radius at ``sigma`` compares with its highest one for the same class.

    The curve is cut at its cap, since no certificate can show more. Between the levels of the grid
    it is interpolated, on the logarithmic scale that it is drawn on. None where ``sigma`` lies
    outside the grid, or where no class has a majority.
    """
    if not curve.sigmas[0] <= sigma <= curve.sigmas[-1]:
        return None
    at, grid = np.log(sigma), np.log(curve.sigmas)
    radius, low, high = np.minimum([curve.radius, curve.low, curve.high], curve.cap)
    same = curve.prediction == curve.prediction[np.abs(grid - at).argmin()]
    here, highest_here = (float(np.interp(at, grid, values)) for values in (radius, high))
    best = int(np.where(same, radius, -1.0).argmax())
    if radius[best] <= 0:
        return None
    return CurveComparison(
        radius=here,
        best_sigma=float(curve.sigmas[best]),
        best_radius=float(radius[best]),
        apart=bool(low[best] > highest_here),
    )


def sigma_grid(low: float, high: float, points: int = 33) -> Floats:
    """``points`` noise levels from ``low`` to ``high``, evenly spaced on a logarithmic scale."""
    return np.geomspace(check_sigma(low), check_sigma(high), points)


def curve_budget(forward: NoisyForward, shape: Sequence[int]) -> tuple[int, int]:
    """How fine a radius curve to draw of images [C, H, W]: (points of the grid, samples at each).

    (33, 2000) where the network affords it; first the samples become fewer, then the points. By
    an assumed speed, so that every run on a machine draws the same curve.
    """
    votes = affordable(forward, shape, _POINTS * _SAMPLES, _CURVE_SECONDS, 1)
    if votes >= _POINTS * _SAMPLES_MIN:
        return _POINTS, votes // _POINTS
    samples = max(_SAMPLES_FEWEST, min(_SAMPLES_MIN, votes // _POINTS_MIN))
    return max(_POINTS_MIN, min(_POINTS, votes // samples)), samples


def radius_curve(
    f: nn.Module | NoisyForward | Callable[[Tensor], Tensor],
    x: Tensor,
    sigmas: Sequence[float] | Floats,
    *,
    samples: int = 2_000,
    n: int = 10_000,
    alpha: float = 0.001,
    bound: Bound = Bound.TWO_SIDED,
    seed: int = 0,
    index: int = 0,
) -> Iterator[RadiusCurve]:
    """Estimate R(sigma) over a grid, coarse first: sigma/2 * (Phi^-1(p_A) - Phi^-1(p_B)), or for
    one-sided bounds sigma * Phi^-1(p_A), of the leading class at each level.

    All sigmas see the same noise vectors, so the curve is smooth. Its noise is its own: nothing
    that is learned here enters a certificate.

    Args:
        x: image [C, H, W].
        sigmas: the grid [S].
        samples: votes at each sigma in the end; rounds of 25, 50, 100, ... lead there.
        n, alpha: the certification whose cap is shown.
        bound: of that certification.

    Yields:
        The curve so far, several times a second.

    Raises:
        InvalidParameterError, MismatchError: for arguments that make no sense.
    """
    grid = np.array([check_sigma(float(s)) for s in sigmas])
    if not len(grid):
        raise InvalidParameterError("The grid of noise levels is empty.")
    require_count("samples", samples)
    check_budget(1, n, alpha, parts=bound.parts)
    forward = as_forward(f)
    image = as_batch(x)
    forward.check_images(image)

    def curves() -> Iterator[RadiusCurve]:
        repeated = image.expand(len(grid), *image.shape[1:])
        counts = np.zeros((len(grid), forward.num_classes(image.shape[1:])), dtype=np.int64)
        cap = radius_cap(grid, n, alpha / bound.parts)
        for number, size in enumerate(_rounds(samples)):
            stage = f"curve {number}"
            generators = [noise_generator(seed, index, stage, forward.device) for _ in grid]
            before = counts
            for votes in forward.vote_steps(repeated, torch.from_numpy(grid), size, generators):
                counts = before + votes.counts
                if counts.sum(axis=1).min() > 0:
                    yield read_curve(grid, counts, cap, samples, bound)

    return curves()


def read_curve(
    grid: Floats, counts: Ints, cap: Floats, target: int, bound: Bound = Bound.TWO_SIDED
) -> RadiusCurve:
    """The curve and its band from the votes [S, K] at each sigma."""
    done, ordered = counts.sum(axis=1), np.sort(counts, axis=1)
    radius, low, high = estimated_radii(grid, ordered[:, -1], ordered[:, -2], done, bound)
    return RadiusCurve(
        sigmas=grid,
        radius=radius,
        low=low,
        high=high,
        cap=cap,
        prediction=counts.argmax(axis=1),
        counts=counts,
        n=int(done.min()),
        target=target,
    )


def estimated_radii(
    sigmas: Floats, held: Ints, other: Ints, n: Ints, bound: Bound
) -> tuple[Floats, Floats, Floats]:
    """R at each sigma where ``held`` of ``n`` votes are for the class and ``other`` for the next,
    and its 95 % interval."""
    share = np.minimum(held, n - 0.5) / n  # unanimity alone would put the estimate at infinity
    if bound is Bound.ONE_SIDED:
        radius = radius_one_sided(sigmas, share)
    else:
        radius = radius_two_sided(sigmas, share, np.maximum(other, 0.5) / n)
    _, low = prove_radii(held, other, n, sigmas, BAND_ALPHA / 2, bound)
    high = possible_radii(held, other, n, sigmas, BAND_ALPHA / 2, bound)
    return radius, low, np.minimum(high, radius_one_sided(sigmas, 1 - 1e-9))


def _rounds(samples: int) -> list[int]:
    """Round sizes 25, 25, 50, 100, ... that add up to ``samples``."""
    sizes, left, size = [], samples, 25
    while left > 0:
        sizes.append(min(size, left))
        left -= sizes[-1]
        size = sum(sizes)
    return sizes
