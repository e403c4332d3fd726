"""Tables by class against a count by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ddrs_core.runs.diagnose.by_class import (
    classes_to_show,
    confusion,
    failures_by_class,
    failures_by_confidence,
    failures_by_sigma,
)
from ddrs_core.runs.diagnose.images import diagnose_results
from ddrs_core.runs.results.references import reference_results
from ddrs_core.smoothing import ABSTAIN
from tests.runs.diagnose.study import images, results


def test_every_image_has_one_cell_and_failures_are_what_is_not_certified() -> None:
    found = confusion(images())
    answers = np.array([row.prediction for row in results().rows])
    assert sum(found.values()) == len(images())
    for (label, answer), count in found.items():
        assert count == ((results().labels == label) & (answers == answer)).sum()
    certified = results().correct & (results().radii >= 0.5)
    for label, (failed, total) in failures_by_class(images()).items():
        assert total == (results().labels == label).sum()
        assert failed == ((results().labels == label) & ~certified).sum()


def test_groups_by_noise_level_hold_every_image_once_in_order() -> None:
    own = reference_results("reference.study.digits-gaussian-0.50-ds-0.5")
    groups = failures_by_sigma(diagnose_results(own, 0.5), 8)
    assert failures_by_sigma(images(), 8) == []  # one level for all
    assert sum(total for *_, total in groups) == len(own.rows)
    certified = own.correct & (own.radii >= 0.5)
    assert sum(failed for _, _, failed, _ in groups) == (~certified).sum()
    edges = [level for low, high, _, _ in groups for level in (low, high)]
    assert edges == sorted(edges)
    assert max(total for *_, total in groups) - min(total for *_, total in groups) <= 1


def test_each_image_is_in_the_bin_of_its_confidence() -> None:
    bins = failures_by_confidence(
        [replace(i, confidence=0.99 if i.index == 0 else k / 500) for k, i in enumerate(images())]
    )
    assert failures_by_confidence(images()) == []  # not known
    assert sum(total for *_, total in bins) == 500
    assert sum(failed for *_, failed, _ in bins) == sum(
        r.kind.value != "certified" for r in images()
    )
    assert [total for low, high, _, total in bins if high <= 0.9] == [249, 150, 50]
    assert (0.99, 0.999) in [bin_[:2] for bin_ in bins]


def test_of_many_classes_those_that_fail_most_are_shown() -> None:
    labels, answers = classes_to_show(images(), 3)
    rates = failures_by_class(images())
    assert len(labels) == 3
    left = max(failed for label, (failed, _) in rates.items() if label not in labels)
    assert min(rates[label][0] for label in labels) >= left
    assert answers[-1] == ABSTAIN
    assert classes_to_show(images(), 20) == (list(range(10)), [*range(10), ABSTAIN])
