"""The data set and the model of an imported log, where the log does not record them and its owner
told them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import NamedTuple

from ddrs_core.data import load_dataset
from ddrs_core.errors import MismatchError
from ddrs_core.quantities import counted
from ddrs_core.runs.results.results import ResultSet, trained_how
from ddrs_core.store import AnnotationKind, LogRecord, open_store

_SPLIT = "test"


class LogSource(NamedTuple):
    """Names; empty where nobody told."""

    dataset: str = ""
    model: str = ""


def source_of(log: LogRecord) -> LogSource:
    """What the log's owner told."""
    told = open_store().annotations(log.owner, AnnotationKind.LOG_SOURCE).get(log.id)
    return LogSource(*json.loads(told)) if told else LogSource()


def tell_source(log_id: str, owner: str, source: LogSource, results: ResultSet) -> None:
    """Keep what an owner tells of a log with these results; an empty source removes it.

    Raises:
        MismatchError: if the data set has other images or labels than the log.
    """
    if source.dataset and results.dataset is None:
        _check_labels(results, source.dataset)
    text = json.dumps(source) if any(source) else ""
    open_store().annotate(owner, AnnotationKind.LOG_SOURCE, log_id, text)


def with_source(results: ResultSet, source: LogSource) -> ResultSet:
    """The results with what was told, as far as the log does not record it."""
    if source.dataset and results.dataset is None:
        split = results.split or _SPLIT
        results = replace(results, dataset=source.dataset, split=split)
    if source.model and results.model is None:
        model, training, data_dependent = trained_how(source.model)
        results = replace(
            results, model=model, training=training, data_dependent_training=data_dependent
        )
    return results


def _check_labels(results: ResultSet, name: str) -> None:
    dataset = load_dataset(name, results.split or _SPLIT)
    pairs = [
        (r.index, r.label) for r in results.rows if r.index is not None and r.label is not None
    ]
    wrong = sum(not 0 <= i < len(dataset) or dataset.label(i) != label for i, label in pairs)
    if wrong:
        raise MismatchError(
            f"{results.title} does not come from {dataset.info.title}: {wrong:,} of its "
            f"{counted(len(results.rows), 'image')} have another label there, or are not there."
        )
