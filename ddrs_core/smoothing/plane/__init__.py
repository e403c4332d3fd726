"""Randomized smoothing of classifiers of the plane, where everything can be computed exactly.

A point of the window [0, 1] x [0, 1] is an image of two pixels, [1, 1, 2], so what is written for
images takes points as well. What needs votes in many dimensions is a convolution here.
"""

from ddrs_core.smoothing.plane.cells import CellClassifier
from ddrs_core.smoothing.plane.comparison import (
    ASCENT,
    BOUNDS,
    BUDGET,
    LEVELS,
    SURFACE,
    SigmaRow,
    compare_strategies,
    provable_probit,
    radius_table,
)
from ddrs_core.smoothing.plane.halfspace import (
    least_mass_in_cells,
    worst_case_mass,
)
from ddrs_core.smoothing.plane.network import PlaneConfig, class_cells, train_network
from ddrs_core.smoothing.plane.points import DATASETS, PlanePoints, sample_points
from ddrs_core.smoothing.plane.world import (
    CELLS,
    GRID,
    LARGEST_Z,
    SIGMAS,
    PlaneProblem,
    PlaneWorld,
    as_images,
    build_world,
)
