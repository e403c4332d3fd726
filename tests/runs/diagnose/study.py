"""A run of the shipped study, diagnosed at r = 0.5; made by the first test that needs it."""

from __future__ import annotations

from functools import cache

from ddrs_core.runs.diagnose.images import ImageDiagnosis, diagnose_results
from ddrs_core.runs.results.references import reference_results
from ddrs_core.runs.results.results import ResultSet


@cache
def results() -> ResultSet:
    return reference_results("reference.study.digits-gaussian-0.50-fixed-0.5")


@cache
def images() -> list[ImageDiagnosis]:
    return diagnose_results(results(), 0.5)
