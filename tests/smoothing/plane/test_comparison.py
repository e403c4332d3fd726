"""What sigmas are worth in the plane: against certificates, and one strategy against another."""

from __future__ import annotations

import numpy as np
import pytest

from ddrs_core.smoothing import SmoothedClassifier
from ddrs_core.smoothing.plane import (
    BUDGET,
    PlaneConfig,
    PlaneProblem,
    as_images,
    build_world,
    compare_strategies,
    provable_probit,
)
from ddrs_core.smoothing.plane.comparison import expected_radii


@pytest.mark.slow
def test_own_sigmas_beat_the_best_single_one_and_radii_are_those_of_certificates() -> None:
    world = build_world(PlaneProblem("bands", network=PlaneConfig(noise=0.02)))
    rows = {row.name: row for row in compare_strategies(world)}
    mean = {name: row.radii.mean() for name, row in rows.items()}
    right = {name: (row.radii > 0).mean() for name, row in rows.items()}
    assert mean["largest"] > mean["careful"]  # on other points than those it was chosen on
    assert right["largest"] < right["careful"] - 0.1  # what a mean radius alone hides
    assert min(mean["surface"], mean["ascent"]) > 1.2 * mean["largest"]
    assert right["surface"] > right["careful"] - 0.03
    assert rows["surface"].passes < rows["ascent"].passes / 4
    g = SmoothedClassifier(world.network, num_classes=2)
    surface = rows["surface"]
    for i in np.flatnonzero(surface.radii > surface.sigmas)[:8].tolist():
        sigma, rule = float(surface.sigmas[i]), {"alpha": BUDGET.alpha, "bound": "one-sided"}
        x = as_images(world.fresh.x)[i]
        made = g.certify(x, sigma=sigma, n=BUDGET.n, seed=1, index=i, **rule)
        assert made.prediction == world.fresh.labels[i]
        assert abs(made.radius - surface.radii[i]) < 0.2 * sigma  # the noise of N votes


def test_the_expected_radius_is_below_the_exact_one_and_below_the_cap() -> None:
    z = np.linspace(-2, 8, 200)
    proved = provable_probit(z)
    assert (proved <= np.maximum(z, 0) + 1e-12).all()
    assert proved.max() == pytest.approx(3.199, abs=1e-3)
    assert (np.diff(proved) >= 0).all()


def test_a_radius_of_another_class_counts_nothing() -> None:
    world = build_world(PlaneProblem("rings", network=PlaneConfig(noise=0.02)))
    wide = expected_radii(world, world.fresh, np.full(200, 0.45))
    assert (wide[world.fresh.labels == 0] == 0).all()  # the disc is lost in the noise
    assert (wide[world.fresh.labels == 1] > 0).all()
