"""Whose images are corrupted: by names as people give them, and by labels that repeat."""

from __future__ import annotations

import numpy as np
import pytest

from ddrs_core.errors import MismatchError
from ddrs_core.runs.logs.reading import parse_log
from ddrs_core.runs.results.comparison import mismatches
from ddrs_core.runs.results.corruption import corruption_in_name
from ddrs_core.runs.results.paired import compare, pair
from ddrs_core.runs.results.results import ResultSet

COHEN = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"


def log(name: str, indices=range(0, 400, 20), labels=None) -> ResultSet:
    """A log of Cohen et al.'s columns; by default of the labels that a set of that name has."""
    labels = np.random.default_rng(0).integers(0, 10, 10_000) if labels is None else labels
    rows = "".join(
        f"{i}\t{labels[i % len(labels)]}\t{labels[i % len(labels)]}\t.3\t1\t1\n" for i in indices
    )
    return parse_log((COHEN + rows).encode(), name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fog.tsv", "fog"),
        ("cifar10-c/fog/3.tsv", "fog, severity 3"),
        ("sigma_0.25/glass_blur_5.tsv", "glass blur, severity 5"),
        ("jpeg-compression_severity2_sigma_0.25", "jpeg compression, severity 2"),
        ("elastic_transform_0.25.tsv", "elastic transform"),
        ("CIFAR-10-C/gaussian_noise.tsv", "gaussian noise"),
        ("gaussian_noise_severity_1.tsv", "gaussian noise, severity 1"),
        ("cifar10c/sigma_0.25", "corrupted images"),
        ("imagenet-c_resnet50.tsv", "corrupted images"),
        ("resnet_corrupted.tsv", "corrupted images"),
        ("gaussian_noise_0.25.tsv", ""),
        ("gaussian_noise_1.00.tsv", ""),
        ("cifar10_cohen_resnet20_noise_0.50.tsv", ""),
        ("contrastive/snowflake/log.tsv", ""),
        ("cifar10/resnet110/noise_0.25/test/sigma_0.25", ""),
    ],
)
def test_names_that_say_a_corruption(name: str, said: str) -> None:
    assert corruption_in_name(name) == said
    assert log(name).corruption == said


def test_corrupted_images_are_not_paired_with_clean_ones() -> None:
    clean, fog = log("sigma_0.25"), log("cifar10-c/fog_3.tsv")
    for a, b in ((clean, fog), (fog, clean), (fog, log("fog_4.tsv")), (fog, log("cifar10c"))):
        with pytest.raises(MismatchError, match="of different images"):
            pair(a, b)
    assert "none is known, fog, severity 3" in " ".join(mismatches((clean, fog)))
    assert compare(fog, log("other/fog-3.tsv")).shared == 20


def test_labels_that_repeat_every_10000_images_are_those_of_cifar10_c() -> None:
    every = log("a.tsv", range(0, 50_000, 400))
    assert "repeat every 10,000" in every.corruption
    with pytest.raises(MismatchError, match="repeat every 10,000"):
        pair(every, log("b.tsv", range(0, 10_000, 400)))


@pytest.mark.parametrize(
    "labels",
    [np.random.default_rng(1).integers(0, 10, 50_000), np.zeros(50_000, int)],
    ids=["training images", "one class"],
)
def test_other_long_sets_are_not_taken_for_corrupted_ones(labels) -> None:
    assert log("a.tsv", range(0, 50_000, 400), labels).corruption == ""


def test_a_comparison_says_where_the_images_cannot_be_told() -> None:
    warnings = compare(log("a.tsv"), log("b.tsv")).warnings
    assert "CIFAR-10-C has the numbers and labels of CIFAR-10" in " ".join(warnings)
