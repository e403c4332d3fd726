"""Summaries against hand-counted cases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ddrs_core.errors import DDRSError
from ddrs_core.runs.results.summary import summarize
from ddrs_core.smoothing import ABSTAIN, Bound, Certificate, Grade


def certificate(label: int, prediction: int, radius: float, counts: tuple[int, ...]) -> Certificate:
    return Certificate(
        "digits",
        0,
        label,
        prediction,
        radius,
        0.5,
        Grade.UNCONDITIONAL,
        counts,
        100,
        10,
        0.001,
        Bound.ONE_SIDED,
        0.5,
        0,
        "fp32",
        "digest",
        1.5,
    )


def test_counts_by_hand():
    summary = summarize(
        [
            certificate(0, 0, 0.5, (10, 0)),  # right
            certificate(1, 0, 0.9, (9, 1)),  # wrong, so its radius counts for nothing
            certificate(0, ABSTAIN, 0.0, (6, 4)),  # the majority is right, but proves nothing
            certificate(1, 1, 0.3, (0, 10)),  # right
        ],
        radii=(0.0, 0.5, 0.51),
    )
    assert summary.certified_accuracy == {0.0: 0.5, 0.5: 0.25, 0.51: 0.0}
    assert summary.average_certified_radius == pytest.approx(0.2)
    assert summary.clean_accuracy == 0.75
    assert summary.abstention_rate == 0.25
    assert summary.seconds == 6.0


def test_clean_accuracy_is_that_of_the_network_where_all_rows_say_it():
    certificates = [
        replace(certificate(0, 0, 0.5, (10, 0)), clean=1),  # noise helps
        replace(certificate(1, 0, 0.9, (9, 1)), clean=0),
        replace(certificate(1, ABSTAIN, 0.0, (6, 4)), clean=0),
        replace(certificate(1, 1, 0.3, (0, 10)), clean=1),
    ]
    assert summarize(certificates).clean_accuracy == 0.25
    certificates[0] = replace(certificates[0], clean=None)
    assert summarize(certificates).clean_accuracy == 0.5  # of the votes, for all of them
    failed = replace(certificate(0, ABSTAIN, 0.0, (0, 0)), n=0, failure="Row 3 holds no picture.")
    assert summarize([*certificates[1:], failed]).clean_accuracy == 0.25


def test_an_image_that_cannot_be_read_counts_but_did_not_abstain():
    failed = replace(certificate(0, ABSTAIN, 0.0, (0, 0)), n=0, failure="Row 3 holds no picture.")
    summary = summarize([certificate(0, 0, 0.5, (10, 0)), failed], radii=(0.0,))
    assert summary.certified_accuracy == {0.0: 0.5}
    assert summary.certified_share == {0.0: 0.5}
    assert (summary.clean_accuracy, summary.abstention_rate) == (0.5, 0.0)
    assert (summary.images, summary.unreadable, summary.n, summary.n_mean) == (2, 1, 10, 10)
    assert "2 images (1 of them not readable)" in str(summary)
    assert summarize([failed]).certified_accuracy[0.0] == 0.0  # and no image at all can be read


def test_the_printed_mean_radius_is_rounded_down():
    assert "0.2999" in str(summarize([certificate(1, 1, 0.299999, (0, 10))]))


def test_nothing_to_summarize():
    with pytest.raises(DDRSError):
        summarize([])
