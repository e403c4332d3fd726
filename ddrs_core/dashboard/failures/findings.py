"""What is known of the images of a set of results, for one script run of the page."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from ddrs_core.cache import LRU
from ddrs_core.dashboard.common.banks import bank_of_model
from ddrs_core.dashboard.common.result_images import class_names_of, dataset_of
from ddrs_core.dashboard.common.result_sources import RUN, find_set, find_setting
from ddrs_core.dashboard.failures.jobs import clean_job, known_evidence
from ddrs_core.dashboard.failures.view import NONE, FailuresView
from ddrs_core.data import Dataset
from ddrs_core.errors import DDRSError, MismatchError
from ddrs_core.jobs import Job
from ddrs_core.runs.diagnose.images import (
    CleanAnswer,
    ImageDiagnosis,
    diagnose_results,
    mark_against,
)
from ddrs_core.runs.diagnose.material import Material
from ddrs_core.runs.results.results import ResultRow, ResultSet
from ddrs_core.smoothing.diagnosis import class_name
from ddrs_core.store import MemoryBank

_DIAGNOSED: LRU[list[ImageDiagnosis]] = LRU(200_000, len)  # images, for all visitors
_MATERIALS: LRU[Material] = LRU(8)


@dataclass(frozen=True)
class Findings:
    """The images of a set, diagnosed at one radius."""

    results: ResultSet
    against: ResultSet | None
    images: list[ImageDiagnosis]  # all, in the order of the rows
    others: list[ImageDiagnosis]  # those of the other set
    rows: Mapping[int | None, ResultRow]  # by image number
    names: tuple[str, ...]  # of the classes
    dataset: Dataset | None
    material: Material | None
    missing: str  # why nothing can be asked of the model; empty: it can
    bank: MemoryBank | None  # of the network
    asking: tuple[Job, ...]  # for the classes without noise, while they are not known

    def image(self, index: int) -> ImageDiagnosis | None:
        """The image of a number; None where the set does not have it."""
        return next((image for image in self.images if image.index == index), None)

    def class_name(self, number: int) -> str:
        """A class as people call it; ``abstained`` for -1."""
        return "abstained" if number < 0 else class_name(number, self.names)


def find_findings(view: FailuresView) -> Findings:
    """Diagnose what the view names.

    Raises:
        DDRSError: if the results do not exist, have no certificate yet, or cannot be read.
    """
    results = _open(view.results)
    against = _open(view.against) if view.against not in (NONE, view.results) else None
    if against is not None and against.dataset and results.dataset not in (None, against.dataset):
        raise MismatchError(
            f"{against.title} is about images of {against.dataset}, not of {results.dataset}: "
            "choose other results to set these against."
        )
    dataset = dataset_of(results, *([] if against is None else [against]))
    names = dataset.info.class_names if dataset is not None else class_names_of(results)
    material, missing = None, ""
    try:
        material = _material(results)
    except DDRSError as error:
        missing = str(error)
    asking: list[Job] = []
    images = mark_against(_diagnosed(results, view.radius, _clean(results, asking), names), against)
    evidence = known_evidence(results)
    images = [image.with_evidence(evidence.get(image.index)) for image in images]
    others = []
    if against is not None:
        others = _diagnosed(against, view.radius, _clean(against, asking), names)
    return Findings(
        results,
        against,
        images,
        others,
        {row.index: row for row in results.rows},
        names,
        dataset,
        material,
        missing,
        None if material is None else _bank(view.results, material),
        tuple(asking),
    )


def refreshed(findings: Findings, image: ImageDiagnosis) -> ImageDiagnosis:
    """The image with what jobs have found by now."""
    return image.with_evidence(known_evidence(findings.results).get(image.index))


def _bank(name: str, material: Material) -> MemoryBank | None:
    """The bank that a run settled its certificates against; of other results, one of the model."""
    if name.startswith(RUN):
        run, setting = find_setting(name)
        with suppress(DDRSError):  # of no bank, or it was deleted
            return MemoryBank.find(None, run.settings[setting].get("bank", ""), owner=run.owner)
    return bank_of_model(material.card)


def _open(name: str) -> ResultSet:
    results = find_set(name)
    if results is None:
        raise MismatchError("This run has no certificate yet.")
    return results


def _clean(results: ResultSet, asking: list[Job]) -> dict[int, CleanAnswer]:
    """What the network says of the images without noise, by their number, as far as it is known;
    while it is asked, the job is added to ``asking``."""
    try:
        material = _material(results)
        job = clean_job(material, results)
    except DDRSError:
        return {}
    if job is not None and job.state.is_moving:
        asking.append(job)
    known = material.known_answers()
    return {i: known[i] for row in results.rows if (i := row.index) is not None and i in known}


def _diagnosed(
    results: ResultSet, radius: float, clean: dict[int, CleanAnswer], names: tuple[str, ...]
) -> list[ImageDiagnosis]:
    key = (results.id, len(results.rows), radius, tuple(sorted(clean.items())), names)
    return _DIAGNOSED.get(key, lambda: diagnose_results(results, radius, clean, names))


def _material(results: ResultSet) -> Material:
    return _MATERIALS.get((results.id, len(results.rows)), lambda: Material(results))
