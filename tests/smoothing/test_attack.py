"""Attacks against smoothed classifiers whose true radius is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import ncx2
from torch import Tensor, nn

from ddrs_core.errors import InvalidParameterError
from ddrs_core.smoothing import CertificationBudget, Grade, SmoothedClassifier
from ddrs_core.smoothing.attack import Attack, AttackConfig
from ddrs_core.smoothing.attack_search import attack_smoothed
from tests.conftest import Line

SMALL = AttackConfig(steps=8, samples=8, votes=200)
SURE = replace(SMALL, n=100_000)


def attack(
    f: nn.Module,
    images: Tensor,
    classes: list[int],
    sigmas: list[float],
    config: AttackConfig = SURE,
) -> list[Attack]:
    g = SmoothedClassifier(f, 2)
    *_, last = attack_smoothed(g, images, classes=classes, sigmas=sigmas, config=config)
    return list(last.attacks)


def test_a_linear_classifier_is_attacked_at_its_margin(
    line: Line, at_margin: Callable[[float], Tensor]
) -> None:
    margins = [0.3, 0.6, 1.0]
    images = torch.stack([at_margin(m) for m in margins])
    sigmas = [0.25, 0.25, 0.5]
    *_, step = SmoothedClassifier(line, 2).certify_batch(
        images, sigmas=sigmas, budget=CertificationBudget(n=10_000), labels=[1] * 3
    )
    for margin, found, c in zip(
        margins, attack(line, images, [1] * 3, sigmas), step.certificates, strict=True
    ):
        assert found.distance is not None
        assert found.adversarial is not None
        assert c.radius <= margin <= found.distance <= 1.05 * margin
        assert found.prediction == 0
        assert not found.contradicts(c)
        moved = (found.adversarial.double() - images[margins.index(margin)].double()).norm()
        assert found.distance == float(moved)
        assert 0 <= float(found.adversarial.min()) <= float(found.adversarial.max()) <= 1
        assert line.margin(found.adversarial) < margin


class Disc(nn.Module):
    """Two pixels; class 0 within 0.3 of their centre."""

    def forward(self, x: Tensor) -> Tensor:
        s = 0.3 - (x.flatten(1) - 0.5).norm(dim=1)
        return 20 * torch.stack([s, -s], dim=1)

    @staticmethod
    def radius(from_centre: float, sigma: float) -> float:
        """The distance to where the smoothed classifier changes, exactly."""

        def lead(d: float) -> float:
            return float(ncx2.cdf((0.3 / sigma) ** 2, 2, (d / sigma) ** 2)) - 0.5

        return brentq(lead, 1e-9, 2.0) - from_centre


def test_a_curved_boundary_is_reached_where_exact_smoothing_has_it() -> None:
    sigma, places = 0.15, [0.0, 0.05, 0.1]
    images = torch.stack([torch.tensor([[[0.5 + d, 0.5]]]) for d in places])
    config = replace(SURE, steps=16, samples=64, votes=1_000)
    attacks = attack(Disc().eval(), images, [0] * 3, [sigma] * 3, config)
    for place, found in zip(places, attacks, strict=True):
        true = Disc.radius(place, sigma)
        assert found.distance is not None
        assert true <= found.distance <= 1.05 * true


def test_nothing_is_found_where_the_boundary_lies_outside_the_pixels() -> None:
    far = Line(torch.ones(48), b=-60.0)  # no image in [0, 1] has class 1
    (found,) = attack(far, torch.full((1, 3, 4, 4), 0.5), [0], [0.25])
    assert (found.distance, found.adversarial, found.tries) == (None, None, 0)
    assert found.reach > 1.0


def test_a_broken_certificate_sets_the_alarm_off(
    line: Line, at_margin: Callable[[float], Tensor]
) -> None:
    image = at_margin(0.4)
    certificate = SmoothedClassifier(line, 2).certify(image, sigma=0.25, n=10_000, label=1)
    (found,) = attack(line, image[None], [1], [0.25])
    broken = replace(certificate, radius=0.6)
    assert found.contradicts(broken)
    assert not found.contradicts(certificate)
    assert found.failure_probability(broken) == pytest.approx(0.001 * (1 + found.tries))
    for other in (
        replace(broken, prediction=0),
        replace(broken, sigma=0.26),
        replace(broken, grade=Grade.FOR_QUERIES_AFTER),
    ):
        assert not found.contradicts(other)


def test_the_same_seed_gives_the_same_attack(
    line: Line, at_margin: Callable[[float], Tensor]
) -> None:
    images = torch.stack([at_margin(0.3), at_margin(0.5)])
    g = SmoothedClassifier(line, 2)

    def distances(seed: int) -> list[float | None]:
        *_, last = attack_smoothed(
            g, images, classes=[1, 1], sigmas=[0.25] * 2, config=SMALL, seed=seed
        )
        return [a.distance for a in last.attacks]

    assert distances(1) == distances(1) != distances(2)


def test_progress_only_grows(line: Line, at_margin: Callable[[float], Tensor]) -> None:
    steps = list(
        attack_smoothed(
            SmoothedClassifier(line, 2),
            at_margin(0.3)[None],
            classes=[1],
            sigmas=[0.25],
            config=SMALL,
        )
    )
    done = [s.done for s in steps]
    assert done == sorted(done)
    assert done[-1] == steps[-1].total
    nearest = np.array([s.nearest[0] for s in steps])
    assert (np.diff(nearest[np.isfinite(nearest)]) <= 0).all()


@pytest.mark.parametrize(
    ("classes", "sigmas", "said"),
    [([2], [0.25], "without a class"), ([-1], [0.25], "without a class"), ([1], [0.0], "sigma")],
)
def test_nonsense_is_refused(
    line: Line,
    at_margin: Callable[[float], Tensor],
    classes: list[int],
    sigmas: list[float],
    said: str,
) -> None:
    with pytest.raises(InvalidParameterError, match=said):
        attack_smoothed(
            SmoothedClassifier(line, 2), at_margin(0.3)[None], classes=classes, sigmas=sigmas
        )
