"""A classification problem of the plane, its network, and all that noise makes of it.

Everything that a picture of it needs is computed here, once; see :class:`PlaneWorld`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor, nn

from ddrs_core.smoothing.confidence import Floats
from ddrs_core.smoothing.plane.cells import CellClassifier
from ddrs_core.smoothing.plane.network import PlaneConfig, class_cells, train_network
from ddrs_core.smoothing.plane.points import PlanePoints, sample_points

SIGMAS: Floats = np.geomspace(0.015, 0.5, 24)
GRID = 96  # points a side at which the smoothed classifier is known, in the middle of squares
CELLS = 2 * GRID  # of the network, along the window
LARGEST_Z = 8.0
_TRAINING, _FRESH = 160, 200  # points


@dataclass(frozen=True)
class PlaneProblem:
    """Which points, and which network; ``own`` points (x, y, class) replace the named ones."""

    points: str = "moons"
    seed: int = 1
    own: tuple[tuple[float, float, int], ...] = ()
    network: PlaneConfig = field(default_factory=PlaneConfig)


@dataclass(frozen=True, eq=False)
class PlaneWorld:
    """A problem that has been worked out.

    Args:
        points: those that the network was trained on.
        fresh: others of the same kind; the same ones where somebody drew them.
        network: [B, 1, 1, 2] -> logits [B, K].
        cells: its classes.
        z: [K, S, GRID, GRID], the probit Phi^-1(p) of each class at each of :data:`SIGMAS`, row by
            row along y.
        fresh_z: [P, S], that of the right class at the fresh points.
    """

    points: PlanePoints
    fresh: PlanePoints
    network: nn.Sequential
    cells: CellClassifier
    z: Floats
    fresh_z: Floats

    @property
    def window(self) -> NDArray[np.uint8]:
        """The network's classes within the window, [CELLS, CELLS]."""
        margin = (len(self.cells.classes) - CELLS) // 2
        return self.cells.classes[margin : margin + CELLS, margin : margin + CELLS]

    def weights(self) -> list[tuple[Tensor, Tensor]]:
        """Weight [rows, columns] and bias of each layer; a tanh stands between them."""
        return [(part.weight, part.bias) for part in self.network if isinstance(part, nn.Linear)]


def as_images(points: Floats) -> Tensor:
    """Points [P, 2] as images of two pixels, [P, 1, 1, 2]."""
    return torch.from_numpy(points).float().view(-1, 1, 1, 2)


def build_world(problem: PlaneProblem) -> PlaneWorld:
    """Train the network and smooth it at every noise level; about a second.

    Raises:
        InvalidParameterError: for points or a configuration that make no sense.
    """
    if problem.own:
        points = fresh = PlanePoints.of(problem.own)
    else:
        points = sample_points(problem.points, _TRAINING, problem.seed)
        fresh = sample_points(problem.points, _FRESH, problem.seed + 10_000)
    network = train_network(points, problem.network)
    cells = class_cells(network, points.num_classes, float(SIGMAS[-1]), CELLS)
    middle = (np.arange(GRID) + 0.5) / GRID
    p = np.stack([cells.on_grid(middle, middle, float(s)) for s in SIGMAS], axis=1)
    p_fresh = cells.at_points(fresh.x, SIGMAS)[np.arange(len(fresh.x)), :, fresh.labels]
    return PlaneWorld(points, fresh, network, cells, probit(p), probit(p_fresh))


def probit(p: Floats) -> Floats:
    """Phi^-1(p), at most :data:`LARGEST_Z` in size, which p near 1 does not distinguish anyway."""
    return ndtri(p.clip(0.0, 1.0)).clip(-LARGEST_Z, LARGEST_Z)
