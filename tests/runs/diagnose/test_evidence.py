"""What the model adds to a diagnosis."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ddrs_core.runs.diagnose.evidence import (
    attacked_class,
    contradictions,
    gather_evidence,
)
from ddrs_core.runs.diagnose.images import ImageDiagnosis, diagnose_results, only
from ddrs_core.runs.diagnose.material import Material, with_clean
from ddrs_core.runs.results.references import reference_results
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.smoothing.attack import AttackConfig

RESULTS = Path(__file__).resolve().parents[3] / "assets" / "results"
_RATIOS = r"^\| \S+ \| \d+ \| \d\.\d{3} \| \d\.\d{3} \|$"
QUICK = AttackConfig(steps=6, samples=8, votes=200, radii=8)


@pytest.fixture(scope="module")
def results() -> ResultSet:
    whole = reference_results("reference.study.digits-gaussian-0.50-fixed-0.5")
    return replace(whole, rows=whole.rows[:40])


@pytest.fixture(scope="module")
def material(results: ResultSet) -> Material:
    return Material(results, "cpu")


@pytest.fixture(scope="module")
def complete(results: ResultSet, material: Material) -> list[ImageDiagnosis]:
    failures = only(with_clean(results, 0.5, material), [])[:6]
    found: list[ImageDiagnosis] = []
    for step in gather_evidence(material, failures, attack=QUICK):
        found += step.images
    assert [image.index for image in found] == [image.index for image in failures]
    return found


def test_the_best_level_is_worth_a_real_certificate(
    results: ResultSet, material: Material, complete: list[ImageDiagnosis]
) -> None:
    """At sigma .5 this network loses radius on most images; a certificate at the best level has
    about the radius that was foretold."""
    image = max(complete, key=lambda i: i.regret or 0.0)
    assert image.review is not None
    assert image.sigma_mark == "too large"
    assert image.best_sigma is not None
    x = material.dataset.read([image.index or 0]).images[0]
    found = material.smoothed.certify(x, sigma=image.best_sigma, n=20_000, seed=5)
    assert found.prediction == image.label
    assert found.radius > 1.1 * image.radius
    assert found.radius == pytest.approx(image.review.best_radius, rel=0.15)


def test_attacks_lie_outside_the_certificates(
    results: ResultSet, complete: list[ImageDiagnosis]
) -> None:
    rows = {row.index: row for row in results.rows}
    found = [image for image in complete if image.attack_distance is not None]
    assert len(found) >= 4
    for image in found:
        assert image.attack is not None
        assert image.attack.held == attacked_class(rows[image.index])
        assert image.attack_distance > image.radius
        close = image.attack_distance <= 0.5
        assert ("adversarial image within r" in image.marks) == close
    assert contradictions(results, complete) == []


def test_an_image_of_the_training_split_is_not_its_own_neighbour(results: ResultSet) -> None:
    train = replace(results, split="train")
    images = diagnose_results(train, 0.5)[:5]
    *_, last = gather_evidence(Material(train, "cpu"), images, review=False, neighbours=True)
    for image in last.images:
        assert image.neighbours is not None
        assert image.index not in [near.index for near in image.neighbours.found]
        assert image.neighbours.found[0].distance > 0.1
        assert image.to_dict()["nearest_other_label"] != image.label


def test_a_broken_certificate_is_named(results: ResultSet, complete: list[ImageDiagnosis]) -> None:
    image = next(i for i in complete if i.attack_distance is not None and i.prediction >= 0)
    rows = []
    for row in results.rows:
        if row.index == image.index and row.certificate is not None:
            row = replace(row, certificate=replace(row.certificate, radius=2.0))
        rows.append(row)
    ((named, sentence),) = contradictions(replace(results, rows=tuple(rows)), complete)
    assert named is image
    for part in (f"Image {image.index}:", "within 2.0", repr(image.attack_distance), "seed 0"):
        assert part in sentence


def test_the_published_ratios_are_those_of_the_attacks_and_none_reaches_one() -> None:
    lines = (RESULTS / "README.md").read_text("utf-8").splitlines()
    published = [line.strip("| ").split(" | ") for line in lines if re.match(_RATIOS, line)]
    assert len(published) == len(list((RESULTS / "attack").iterdir()))
    for name, count, middle, largest in published:
        frame = pd.read_csv(RESULTS / "attack" / f"{name}.csv.gz")
        frame = frame[frame["attack_distance"].notna()]
        ratios = frame["radius"] / frame["attack_distance"]
        assert ratios.max() < 1
        found = [len(ratios), round(ratios.median(), 3), round(ratios.max(), 3)]
        assert found == [int(count), float(middle), float(largest)]
