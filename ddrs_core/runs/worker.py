"""Certification runs that are kept in the database: made, worked on, paused and resumed.

Each certificate is stored as soon as it is made. Whoever goes on with a run certifies what is
missing, and gets what an undisturbed run would have got.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain

import ddrs_core
from ddrs_core import paths
from ddrs_core.errors import InvalidParameterError, MismatchError
from ddrs_core.models import Journal, batch_size_of, get_card, resolve_device
from ddrs_core.runs.certify.config import (
    CertifyConfig,
    Method,
    as_certified,
    open_plan,
    plan_digest,
    setting_title,
    shared_votes,
)
from ddrs_core.runs.certify.run import RunStep, interleave, open_runs
from ddrs_core.runs.certify.sink import certificate_sink
from ddrs_core.runs.certify.tuning import check_tuning, tune_runs
from ddrs_core.runs.claim import RunClaim
from ddrs_core.runs.cluster.cluster import cluster_steps
from ddrs_core.runs.speeds import RecentRate
from ddrs_core.smoothing import Certificate, Grade
from ddrs_core.smoothing.recompute import recompute
from ddrs_core.store import CERTIFY, RunProgress, RunRecord, Store

SETTING_FIELDS = ("method", "sigma", "strategy", "bank")  # in which a run's settings may differ
_IMAGES = "images"  # in a run's configuration: digest of what its plan means
_KEPT_SECONDS = 30 * 86_400.0  # of answers for a run that stands still


@dataclass(frozen=True)
class RecordedStep:
    """A step of one setting of a run, and how far the whole run is."""

    setting: int
    step: RunStep | None  # None: it waits for its turn, or gives way
    done: int  # certificates stored, of all settings
    total: int
    ahead: int = 0  # runs that come first on this device
    gives_way: bool = False  # to somebody's live computation


def record_run(
    store: Store,
    configs: Sequence[CertifyConfig],
    *,
    title: str = "",
    owner: str = "",
    device: str | None = None,
) -> RunRecord:
    """Keep a run in the database, which then waits for somebody to work on it.

    Args:
        store: the database.
        configs: what to certify; they may differ in method, sigma, strategy and bank only.
        title: what people call it; default: model and methods.
        owner: who may steer it.
        device: where it works, as workers of a cluster will understand it; default: what the
            first configuration's device means on this machine.

    Raises:
        DDRSError: if the settings make no sense, or it cannot be stored.
    """
    dataset, plan = open_plan(configs[0])  # refuses what would fail later
    check_tuning(configs)
    device = str(resolve_device(configs[0].device)) if device is None else device
    plain = [replace(config.check(), device=device).to_dict() for config in configs]
    common, *others = [{k: v for k, v in data.items() if k not in SETTING_FIELDS} for data in plain]
    if any(other != common for other in others):
        raise InvalidParameterError(
            "The settings of one run may differ in method, sigma, strategy and bank only."
        )
    return store.create_run(
        title=title or default_title(configs),
        owner=owner,
        config={**common, _IMAGES: plan_digest(dataset, plan)},
        settings=[{name: data[name] for name in SETTING_FIELDS} for data in plain],
        total=len(plan) * len(configs),
        code_version=ddrs_core.__version__,
        device=device,
    )


def default_title(configs: Sequence[CertifyConfig]) -> str:
    """Such as ``digits-gaussian-0.50: fixed 0.5, ds 0.5``."""
    return f"{configs[0].model}: {', '.join(setting_title(c) for c in configs)}"


def recorded_configs(run: RunRecord) -> list[CertifyConfig]:
    """The settings of a run that is in the database.

    Raises:
        InvalidParameterError: if they cannot be read.
    """
    common = {name: value for name, value in run.config.items() if name != _IMAGES}
    return [CertifyConfig.from_dict({**common, **setting}) for setting in run.settings]


def work_on(store: Store, run_id: str, cluster: str = "") -> Iterator[RecordedStep]:
    """Certify what a run still lacks, and store each certificate as it is made.

    A request to pause or cancel is obeyed within about a second, and ends the generator. A
    generator that is closed, or interrupted, leaves the run paused.

    Args:
        store: the database.
        run_id: which run; this process takes it.
        cluster: address of a Ray cluster whose workers do the work, see
            :func:`~ddrs_core.runs.cluster.cluster.cluster_steps`; default: this process, when it
            is its turn on the device.

    Yields:
        :class:`RecordedStep`, several a second.

    Raises:
        DDRSError: if the run is taken, finished, or fails; the database then says why.
    """
    with RunClaim(store, run_id, CERTIFY, queued=not cluster) as claim:
        record = claim.record
        while claim.waits():
            yield RecordedStep(0, None, record.stored, record.total, claim.ahead)
        if claim.asked is None:
            yield from _work(store, claim, cluster)


def _work(store: Store, claim: RunClaim, cluster: str) -> Iterator[RecordedStep]:
    record = claim.record
    done: list[set[int]] = [set() for _ in record.settings]
    for setting, position in store.stored_keys(record.id):
        done[setting].add(position)
    count = sum(len(positions) for positions in done)
    meter = _Meter(count, record.total)
    configs = [
        as_certified(config, [stored.certificate for stored in store.certificates(record.id, i)])
        for i, config in enumerate(recorded_configs(record))
    ]
    _check_images(record, configs[0])
    _check_stored(store, record)
    newest = store.certificates(record.id, after=count - 1)  # serials run from 1 to count
    earlier = newest[0].certificate if newest else None
    if earlier is not None and earlier.model != get_card(configs[0].model).digest:
        raise _changed()
    sources = shared_votes(configs)
    voting = [i for i in range(len(configs)) if i not in sources]
    journals = _journals(record)
    made = _steps(configs, voting, done, cluster, earlier, journals)
    keepers = [
        certificate_sink(store, record, config, setting, _settled(store, record, setting))
        for setting, config in enumerate(configs)
    ]
    first = _left_over(store, record, sources, done)
    try:
        for setting, step in chain(first, _shared(made, sources, done)):
            if step.certificate is not None:
                if earlier is not None and step.certificate.precision != earlier.precision:
                    raise _changed()
                earlier = step.certificate
                keepers[setting](setting, step.position, step.certificate)
                count += 1
            if claim.is_due:
                claim.beat(meter.progress(step.note or step.stage, count))
            yield RecordedStep(setting, step, count, record.total)
            while claim.gives_way(count):
                yield RecordedStep(setting, None, count, record.total, gives_way=True)
            if claim.asked is not None:
                return
    finally:
        for journal in journals:
            journal.write()
    for journal in journals:
        journal.end()


def _journals(record: RunRecord) -> list[Journal]:
    """Files of this machine for what the network answers, one a setting; those of runs that
    nobody went on with are removed."""
    folder = paths.home() / "unfinished"
    oldest = time.time() - _KEPT_SECONDS
    for path in folder.glob("*") if folder.is_dir() else ():
        with suppress(OSError):  # another process removes it
            if path.stat().st_mtime < oldest:
                path.unlink()
    return [Journal(folder / f"{record.id}-{i}") for i in range(len(record.settings))]


def _settled(store: Store, record: RunRecord, setting: int) -> int:
    """Certificates of a setting that were there before; images that cannot be read have none."""
    there = store.certificates(record.id, setting)
    return sum(not stored.certificate.failure for stored in there)


def _left_over(
    store: Store, record: RunRecord, sources: dict[int, int], done: Sequence[Set[int]]
) -> Iterator[tuple[int, RunStep]]:
    """What was certified but not yet settled against a memory when the run was stopped."""
    for setting, source in sources.items():
        if done[source] <= done[setting]:
            continue
        for stored in store.certificates(record.id, source):
            if stored.position not in done[setting]:
                yield setting, RunStep("certify", stored.position, stored.certificate)


def _shared(
    steps: Iterator[tuple[int, RunStep]], sources: dict[int, int], done: Sequence[Set[int]]
) -> Iterator[tuple[int, RunStep]]:
    """The steps, and each certificate once more for the settings that only settle it."""
    for setting, step in steps:
        yield setting, step
        if step.certificate is not None:
            for taker, source in sources.items():
                if source == setting and step.position not in done[taker]:
                    yield taker, replace(step, votes=0)


def _steps(
    configs: list[CertifyConfig],
    voting: list[int],
    done: list[set[int]],
    cluster: str,
    earlier: Certificate | None,
    journals: list[Journal],
) -> Iterator[tuple[int, RunStep]]:
    """The work of the settings that vote."""
    if earlier is not None:  # in other batches a network rounds differently
        size = batch_size_of(earlier.execution)
        configs = [replace(config, batch_size=config.batch_size or size) for config in configs]
    if cluster:
        if any(config.bank for config in configs):
            raise InvalidParameterError(
                "Certificates are settled against a memory bank in the order of the images, which "
                "a cluster does not keep. Leave the cluster or the method ds-memory out."
            )
        if any(config.method is Method.TUNED and config.tuned is None for config in configs):
            raise InvalidParameterError(
                "A cluster does not tune sigma. Leave the cluster or the method tuned out."
            )
        return cluster_steps(configs, done, cluster)
    runs = open_runs([configs[i] for i in voting])
    if earlier is not None and earlier.precision != runs[0].smoothed.forward.precision:
        raise _changed()
    work = interleave(runs, [done[i] for i in voting], [journals[i] for i in voting])
    steps = chain(tune_runs(runs), work)  # which begins when all levels are chosen
    return ((voting[number], step) for number, step in steps)


def _check_stored(store: Store, record: RunRecord) -> None:
    """A run does not go on beside certificates that their own votes do not prove."""
    memory = Grade.FOR_QUERIES_AFTER  # which may have enlarged a radius
    stored = [s for s in store.certificates(record.id) if s.certificate.grade is not memory]
    for kept, found in zip(stored, recompute([s.certificate for s in stored]), strict=True):
        if found.problem:
            raise MismatchError(
                f"The certificate of image {kept.certificate.index} in this run was changed after "
                f"it was stored: {found.problem}. Start a new run; this one is left as it is."
            )


def _check_images(record: RunRecord, config: CertifyConfig) -> None:
    """Files of the same name may hold other images by now; runs of earlier versions cannot tell."""
    dataset, plan = open_plan(config)
    known = record.config.get(_IMAGES)
    same = known is None or known == plan_digest(dataset, plan)
    if not same or len(plan) * len(record.settings) != record.total:
        raise MismatchError(
            f"The images of {config.dataset} have changed since this run began, so it cannot go on "
            "with them. Start a new one."
        )


def _changed() -> MismatchError:
    return MismatchError(
        "The model has changed since this run began (its weights or its number format), so the "
        "run cannot go on with it. Start a new one."
    )


class _Meter:
    """Speed and time left, from what was done lately in this session."""

    def __init__(self, done: int, total: int) -> None:
        self._total, self._recent = total, RecentRate(done)

    def progress(self, stage: str, done: int) -> RunProgress:
        rate = self._recent.after(done)
        left = (self._total - done) / rate if rate > 0 else None
        return RunProgress(stage, done, rate, left)
