"""The images that results speak of, and the way to each in the explorer."""

from __future__ import annotations

from ddrs_core.data import Dataset, list_datasets, list_downloads, load_dataset
from ddrs_core.errors import DDRSError
from ddrs_core.models import get_card
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.smoothing import Bound

_EXPLORED_SPLIT = "test"


def dataset_of(*sets: ResultSet) -> Dataset | None:
    """The images of results, where one of them names them and they are available."""
    named = next((s for s in sets if s.dataset is not None), None)
    if named is None or named.dataset is None:
        return None
    try:
        return load_dataset(named.dataset, named.split or _EXPLORED_SPLIT)
    except DDRSError:
        return None


def class_names_of(results: ResultSet) -> tuple[str, ...]:
    """The names of the classes, also of a data set that is not on this machine; empty: unknown."""
    known = {info.name: info.class_names for info in [*list_downloads(), *list_datasets()]}
    return known.get(results.dataset or "", ())


def explorer_query(
    results: ResultSet, image: int, dataset: Dataset | None = None
) -> dict[str, str] | None:
    """The explorer's parameters for an image of a set; None where it cannot be opened there."""
    name = results.dataset or (dataset.info.name if dataset is not None else None)
    if name is None or results.model is None or (results.split or "test") != _EXPLORED_SPLIT:
        return None
    try:
        card = get_card(results.model)
        load_dataset(name).check_index(image)
    except DDRSError:
        return None
    query = {"dataset": name, "model": card.name, "image": str(image)}
    query["bound"] = results.bound or Bound.ONE_SIDED  # of the logs of others
    return query if results.sigma is None else query | {"sigma0": repr(results.sigma)}
