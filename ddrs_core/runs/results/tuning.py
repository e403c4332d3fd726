"""The tuning of one sigma that goes with results of the same network and data set."""

from __future__ import annotations

from ddrs_core.models import list_models
from ddrs_core.runs.certify.tuning_files import Tuning, find_tuning
from ddrs_core.runs.results.results import ResultSet


def tuning_of(results: ResultSet) -> Tuning | None:
    """What is known of one sigma for all images, with the bound of the results if there is such a
    tuning; None where none is known."""
    if results.model is None or results.dataset is None:
        return None
    digests = (card.digest for card in list_models() if card.name == results.model)
    return find_tuning(next(digests, results.model), results.dataset, results.bound)
