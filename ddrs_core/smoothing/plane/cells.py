"""A classifier of the plane that is constant on square cells, smoothed exactly.

The share of Gaussian noise that falls into a cell is a product of two differences of the normal
cdf, so smoothing is two matrix products for any noise level. The cells at the border extend to
infinity. For a classifier that is not made of cells the result converges with the cells' size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ddrs_core.smoothing.confidence import Floats

_REACH = 9.0  # sigmas: 1e-19 of the noise goes further


@dataclass(frozen=True, eq=False)
class CellClassifier:
    """Classes of square cells.

    Args:
        classes: [n, n]; row i is the i-th cell along y, column j the j-th along x.
        low: where the first cell begins, in x and in y.
        high: where the last one ends.
        num_classes: K.
    """

    classes: NDArray[np.uint8]
    low: float
    high: float
    num_classes: int

    def on_grid(self, xs: Floats, ys: Floats, sigma: float) -> Floats:
        """The exact class probabilities under noise, [K, len(ys), len(xs)]."""
        near = self._near(np.concatenate([xs, ys]), sigma)
        across, along = near._weights(xs, sigma), near._weights(ys, sigma)
        return self._with_the_last([along @ part @ across.T for part in near._indicators])

    def at_points(self, points: Floats, sigmas: Floats) -> Floats:
        """The exact class probabilities at points [P, 2], each under every sigma [S]: [P, S, K]."""
        found = [self.at_pairs(points, np.full(len(points), sigma)) for sigma in sigmas]
        return np.stack(found, axis=1)

    def at_pairs(self, points: Floats, sigmas: Floats) -> Floats:
        """The exact class probabilities at points [P, 2], each under its own sigma [P]: [P, K]."""
        near = self._near(points, float(sigmas.max()))
        across = near._weights(points[:, 0], sigmas[:, None])
        along = near._weights(points[:, 1], sigmas[:, None])
        shares = [((along @ part) * across).sum(axis=1) for part in near._indicators]
        return self._with_the_last(shares).T

    def _near(self, places: Floats, sigma: float) -> CellClassifier:
        """The cells that noise around the places reaches at all."""
        n, reach = len(self.classes), _REACH * sigma
        size = (self.high - self.low) / n
        first = max(0, int((places.min() - reach - self.low) / size))
        last = min(n, int((places.max() + reach - self.low) / size) + 1)
        kept = self.classes[first:last, first:last]
        return CellClassifier(
            kept, self.low + first * size, self.low + last * size, self.num_classes
        )

    @property
    def _indicators(self) -> list[Floats]:
        """Of all classes but the last, which gets the rest."""
        return [(self.classes == k).astype(np.float64) for k in range(self.num_classes - 1)]

    @staticmethod
    def _with_the_last(found: list[Floats]) -> Floats:
        return np.stack([*found, 1 - sum(found)]).clip(0.0, 1.0)

    def _weights(self, centres: Floats, sigma: float | Floats) -> Floats:
        """The share of one-dimensional noise around each centre that falls into each cell."""
        inner = np.linspace(self.low, self.high, len(self.classes) + 1)[1:-1]
        below = ndtr((inner - centres[:, None]) / sigma)  # [C, n - 1]
        return np.diff(below, axis=1, prepend=0.0, append=1.0)
