"""The numbers of the lesson on attacks, from the network itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ddrs_core.dashboard.learn.lessons import fragile
from ddrs_core.data import load_dataset
from ddrs_core.models import get_card, load_model


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    found: dict[str, Any] = fragile.facts()
    return found


def test_the_attacks_flip_the_answer_where_the_lesson_says(facts: dict[str, Any]) -> None:
    network, data = load_model(fragile.MODEL, "cpu"), load_dataset("digits", "test")
    for index, image in zip(fragile.SHOWN, facts["images"], strict=True):
        x, label = data[index]
        for kind, change in image["changes"].items():
            direction = torch.tensor(change).reshape(x.shape)
            assert float(direction.norm()) == pytest.approx(1, abs=1e-3)
            for place in (0, 23, 50, 100):
                with torch.no_grad():
                    said = network((x + facts["sizes"][place] * direction)[None]).softmax(1)[0]
                shown = np.array(image["said"][kind][place]) / 1000
                assert np.abs(shown - said.numpy()).max() < 0.01  # directions have four digits
        path = np.array(image["said"]["attack"])[:, :].argmax(axis=1)
        sizes = np.array(facts["sizes"])
        before = path[sizes < image["distance"] - 0.002]
        assert (before == label).all()
        assert path[sizes > image["distance"] + 0.002][0] == image["answer"] != label
        assert image["flips"][0] == 0


def test_random_changes_flip_as_often_as_fresh_ones_do(facts: dict[str, Any]) -> None:
    network, data = load_model(fragile.MODEL, "cpu"), load_dataset("digits", "test")
    x, label = data[fragile.SHOWN[0]]
    fresh = torch.randn(4_000, *x.shape, generator=torch.Generator().manual_seed(99))
    fresh /= fresh.flatten(1).norm(dim=1)[:, None, None, None]
    with torch.no_grad():
        share = float((network(x + fresh).argmax(1) != label).double().mean())
    image = facts["images"][0]
    shown = image["flips"][-1] / image["directions"]
    assert abs(share - shown) < 4 * np.sqrt(share * (1 - share) / image["directions"])


def test_what_the_texts_say_holds(facts: dict[str, Any]) -> None:
    assert get_card(fragile.MODEL).accuracy["clean"] == 0.996
    distances = np.array(facts["distances"])
    assert len(distances) == fragile.ATTACKED
    typical = facts["images"][-1]["distance"]
    assert 0.4 < (distances < typical).mean() < 0.6  # half of the images resist longer
    assert (distances > 1).mean() < 0.35  # chosen
    assert facts["random"][-1] > 0.98  # drawn
