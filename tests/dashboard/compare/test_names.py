"""Short names tell every set of a page from every other."""

from __future__ import annotations

from dataclasses import replace

from ddrs_core.dashboard.compare.names import short_names
from ddrs_core.runs.results.references import reference_files, reference_results
from ddrs_core.runs.results.results import ResultSet, Source


def a_set(**facts: object) -> ResultSet:
    known = {"model": "digits-gaussian-0.25", "training": "gaussian", "method": "fixed"}
    known |= {"id": "id", "title": "title", "rows": (), "sigma": 0.25, "source": Source.RUN}
    return ResultSet(**{**known, **facts})  # type: ignore[arg-type]


def test_a_name_has_training_level_and_method() -> None:
    sets = [
        a_set(),
        a_set(sigma=0.5),
        a_set(method="tuned", sigma=0.3),
        a_set(method="ds", data_dependent_training=True),
        a_set(method="ds-memory", training="smoothadv"),
        a_set(source=Source.LOG),
        a_set(source=Source.LOG),
    ]
    assert short_names(sets) == [
        "Gaussian .25 · fixed",
        "Gaussian .25 · fixed .5",
        "Gaussian .25 · tuned .3",
        "Gaussian-DS2 .25 · data-dependent",
        "SmoothAdv .25 · with memory",
        "title",
        "title (2)",
    ]


def test_the_shipped_results_differ_and_say_no_more_than_they_need() -> None:
    sets = [reference_results(name) for name in reference_files()]
    assert len(set(short_names(sets))) == len(sets)
    ds = a_set(method="ds")
    assert short_names([ds, replace(ds, n=10_000), replace(ds, n=100, dataset="mnist")]) == [
        "Gaussian .25 · data-dependent",
        "Gaussian .25 · data-dependent, N 10,000",
        "Gaussian .25 · data-dependent, mnist",
    ]


def test_long_titles_are_cut() -> None:
    (name,) = short_names([a_set(source=Source.LOG, title="x" * 300)])
    assert len(name) <= 32
