"""What the network says of images without noise."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ddrs_core.errors import MismatchError
from ddrs_core.runs.diagnose.by_class import failures_by_confidence
from ddrs_core.runs.diagnose.images import count_kinds
from ddrs_core.runs.diagnose.material import Material, with_clean
from ddrs_core.runs.results.references import reference_results
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.smoothing.diagnosis import FailureKind

PUBLISHED = Path(__file__).resolve().parents[3] / "assets" / "results" / "README.md"


@pytest.fixture(scope="module")
def results() -> ResultSet:
    whole = reference_results("reference.study.digits-gaussian-0.50-fixed-0.5")
    return replace(whole, rows=whole.rows[:40])


@pytest.fixture(scope="module")
def material(results: ResultSet) -> Material:
    return Material(results, "cpu")


def test_the_class_without_noise_is_that_of_the_network(
    results: ResultSet, material: Material
) -> None:
    images = with_clean(results, 0.5, material)
    read = material.read(results.rows)
    wanted = material.smoothed.forward.logits(read.images).argmax(1).tolist()
    assert [image.clean for image in images] == wanted
    sure = material.smoothed.forward.logits(read.images).softmax(1).amax(1)
    assert [image.confidence for image in images] == pytest.approx(sure.tolist())
    wrong = [i.index for i in images if i.clean != i.label and i.kind is not FailureKind.CERTIFIED]
    assert [i.index for i in images if i.kind is FailureKind.WRONG_CLEAN] == wrong


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": None}, "does not name its model"),
        ({"dataset": None}, "does not name its data set"),
        ({"model": "0123456789abcdef"}, "is not available here"),
    ],
)
def test_what_is_missing_is_said(results: ResultSet, change: dict[str, None], said: str) -> None:
    with pytest.raises(MismatchError, match=said):
        Material(replace(results, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["digits-gaussian-0.50-fixed-0.5", "digits-gaussian-0.50-ds-0.5"])
def test_the_published_shares_of_kinds_are_those_of_the_logs(name: str) -> None:
    _, _, section = PUBLISHED.read_text("utf-8").partition("### Digits: why images fail")
    line = re.findall(rf"^\| {name} \| (.*) \|$", section, re.MULTILINE)[0]
    whole = reference_results(f"reference.study.{name}")
    images = with_clean(whole, 0.5, Material(whole, "cpu"))
    counts = count_kinds(images)
    kinds = FailureKind
    columns = (
        (kinds.CERTIFIED,),
        (kinds.WRONG_CLEAN,),
        (kinds.WRONG_NOISY,),
        (kinds.UNDECIDED_TWO,),
        (kinds.UNDECIDED_MANY,),
        (kinds.CAPPED, kinds.TOO_FEW_SAMPLES),
        (kinds.TOO_CLOSE,),
    )
    found = [sum(counts.get(kind, 0) for kind in column) for column in columns]
    clean = sum(image.clean != image.label for image in images)
    shares = [float(cell) for cell in line.split(" | ")[1:]]
    assert shares == pytest.approx([count / 500 for count in (*found, clean)])
    if "fixed" in name:  # "all 99 images below .95 fail and none of the 89 above .999"
        rates = failures_by_confidence(images)
        below = [(failed, total) for _, high, failed, total in rates if high <= 0.95]
        above = [(failed, total) for low, _, failed, total in rates if low >= 0.999]
        assert np.sum(below, axis=0).tolist() == [99, 99]
        assert np.sum(above, axis=0).tolist() == [0, 89]
