"""The points of the plane, and the network that is trained on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddrs_core.errors import InvalidParameterError, UnknownNameError
from ddrs_core.smoothing.plane import (
    CELLS,
    DATASETS,
    PlaneConfig,
    PlanePoints,
    PlaneProblem,
    as_images,
    build_world,
    sample_points,
    train_network,
)


def classes_of(network: torch.nn.Module, points: PlanePoints) -> np.ndarray:
    return network(as_images(points.x)).argmax(dim=1).numpy()


@pytest.mark.parametrize("name", DATASETS)
def test_the_network_learns_every_set_and_answers_fresh_points(name: str) -> None:
    points = sample_points(name, 160, 1)
    network = train_network(points, PlaneConfig(noise=0.02))
    assert (classes_of(network, points) == points.labels).mean() > 0.93
    fresh = sample_points(name, 400, 2)
    assert (classes_of(network, fresh) == fresh.labels).mean() > 0.88


def test_points_by_hand_give_the_same_world_again() -> None:
    own = ((0.2, 0.2, 0), (0.8, 0.2, 1), (0.5, 0.8, 2))
    problem = PlaneProblem(own=own, network=PlaneConfig(width=8, steps=100))
    world, again = build_world(problem), build_world(problem)
    np.testing.assert_array_equal(world.z, again.z)
    assert (classes_of(world.network, world.points) == [0, 1, 2]).all()
    for x, y, label in own:
        assert world.window[int(y * CELLS), int(x * CELLS)] == label


@pytest.mark.parametrize(
    "rows",
    [[], [(0.1, 0.1, 0), (0.2, 0.2, 0)], [(0.1, 0.1, 0), (1.2, 0.2, 1)], [(0, 0, 0), (0, 1, 3)]],
)
def test_points_that_make_no_problem_are_refused(rows: list[tuple[float, float, int]]) -> None:
    with pytest.raises(InvalidParameterError):
        PlanePoints.of(rows)


def test_unknown_sets_and_networks_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="moons"):
        sample_points("moon", 10)
    with pytest.raises(InvalidParameterError):
        train_network(sample_points("moons", 10), PlaneConfig(width=0))
