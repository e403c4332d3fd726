"""How many results the comparison shows, and which it opens with."""

from __future__ import annotations

from ddrs_core.dashboard.common.result_sources import REFERENCE, STUDY
from ddrs_core.data import list_datasets
from ddrs_core.runs.results.references import reference_files

MOST_SETS = 10  # that are compared at once
_OPENS_ON = (("cifar10", "cifar10-resnet20-", 0.25), ("digits", "digits-", 0.5))


def default_shown() -> tuple[str, ...]:
    """What the page opens with: for an available data set, the network of Gaussian training with
    data-dependent sigmas, at a tuned one, if there is such a log, and at that of its training."""
    available = {info.name for info in list_datasets()}
    files = reference_files()
    for dataset, models, sigma in _OPENS_ON:
        network = f"{models}gaussian-{sigma:.2f}"
        tuned = [name for name in files if name.startswith(f"{REFERENCE}tuned.{network}-")]
        own, fixed = (f"{STUDY}{network}-{method}-{sigma:g}" for method in ("ds", "fixed"))
        there = tuple(name for name in (own, *tuned, fixed) if name in files)
        if dataset in available and there:
            return there
    return tuple(files)[:2]
