"""The results that pages show, by the names that stand in links: settings of runs, imported logs,
the references that come with the program, and single certificates of the explorer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from ddrs_core.dashboard.common.live_results import run_set
from ddrs_core.dashboard.common.log_sources import source_of, with_source
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.dashboard.shell.widget_state import numbered
from ddrs_core.errors import DDRSError, InvalidParameterError, unknown_name
from ddrs_core.jobs import get_manager
from ddrs_core.runs.certify.config import setting_title
from ddrs_core.runs.from_database import result_id
from ddrs_core.runs.logs.reading import parse_log
from ddrs_core.runs.results.references import reference_files, reference_results
from ddrs_core.runs.results.results import ResultSet, from_certificates, titled
from ddrs_core.runs.worker import recorded_configs
from ddrs_core.smoothing import Certificate
from ddrs_core.store import CERTIFY, LogRecord, RunRecord, open_store

RUN, LOG, REFERENCE = "run.", "log.", "reference."
CERTIFICATE = "certificate."  # + id of the job that made it
_MOST_RUNS = 60  # that are offered
STUDY = REFERENCE + "study."


def offered_sets() -> dict[str, str]:
    """What a visitor can choose from, as titles by name: own runs and logs, and references."""
    store, me = open_store(), visitor()
    titles: dict[str, str] = {}
    for run in store.runs(me, kind=CERTIFY)[:_MOST_RUNS]:
        titles |= run_titles(run)
    titles |= {LOG + log.id: log_title(log) for log in store.logs(me)}
    return titles | {name: _reference_title(name) for name in reference_files()}


def title_of_set(name: str) -> str:
    """The title under which a picker shows results, also of other visitors.

    Raises:
        DDRSError: if they do not exist.
    """
    if name.startswith(LOG):
        return log_title(open_store().log(name.removeprefix(LOG)))
    if name.startswith(RUN):
        run, _ = find_setting(name)
        return run_titles(run)[name]
    if name.startswith(CERTIFICATE):
        return _certificate_set(name).title
    if name not in reference_files():
        raise unknown_name("set of results", name, reference_files())
    return _reference_title(name)


def run_titles(run: RunRecord) -> dict[str, str]:
    """The settings of a run for a picker."""
    return {
        result_id(run.id, i): f"{run_title(run)}, {setting_title(config)}"
        for i, config in enumerate(recorded_configs(run))
    }


def run_title(run: RunRecord) -> str:
    """A run, told from others of the same model by when it was started."""
    started = time.strftime("%d %b %H:%M:%S", time.localtime(run.created))
    return f"Run {started}: {run.title}"


def log_title(log: LogRecord) -> str:
    """An imported log for a picker."""
    return f"Log: {log.title}"


def find_setting(name: str) -> tuple[RunRecord, int]:
    """The run and the number of the setting that ``run.<id>.<number>`` names.

    Raises:
        DDRSError: if it does not exist.
    """
    run_id, _, number = name.removeprefix(RUN).rpartition(".")
    run = open_store().run(run_id)
    if not number.isascii() or not number.isdigit() or int(number) >= len(run.settings):
        raise unknown_name("setting of that run", number, map(str, range(len(run.settings))))
    return run, int(number)


def find_set(name: str) -> ResultSet | None:
    """The results of that name as they stand now; None of a run that has none yet.

    Raises:
        DDRSError: if they do not exist or cannot be read.
    """
    if name.startswith(RUN):
        return run_set(*find_setting(name))
    if name.startswith(LOG):
        log = open_store().log(name.removeprefix(LOG))
        return with_source(log_results(log), source_of(log))
    if name.startswith(CERTIFICATE):
        return _certificate_set(name)
    if name not in reference_files():
        raise unknown_name("set of results", name, reference_files())
    return reference_results(name)


def find_sets(names: Sequence[str]) -> tuple[list[ResultSet], list[str]]:
    """All results that are there, under titles that differ; and a sentence for each other."""
    found, sentences = [], []
    for name in names:
        try:
            results = find_set(name)
            if results is None:
                sentences.append(f"{title_of_set(name)} has no certificate yet.")
            else:
                found.append(results)
        except DDRSError as error:
            sentences.append(str(error))
    titles = numbered([results.title for results in found])
    return [replace(r, title=t) for r, t in zip(found, titles, strict=True)], sentences


def _certificate_set(name: str) -> ResultSet:
    """One image that the explorer has certified, as long as the server remembers it."""
    job = get_manager().get(name.removeprefix(CERTIFICATE))
    made = getattr(job.latest, "certificate", None) if job is not None else None
    if not isinstance(made, Certificate):
        raise InvalidParameterError(
            "The server no longer has this certificate: certify the image in the explorer again."
        )
    title = f"Image {made.index} of {made.dataset} at σ = {made.sigma:.4g}"
    return from_certificates([made], id=name, title=title)


def log_results(log: LogRecord) -> ResultSet:
    """What an imported log itself says."""
    return _log_set(log.id, log.title)


@lru_cache(maxsize=12)
def _log_set(log_id: str, title: str) -> ResultSet:
    results = parse_log(open_store().log_content(log_id), title)
    return replace(titled(results, title), id=LOG + log_id)


def _reference_title(name: str) -> str:
    path = reference_files()[name]
    return f"{path.parent.name.capitalize()}: {path.stem}"
