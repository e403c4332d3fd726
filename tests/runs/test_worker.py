"""Runs in the database: killed at any moment they lose, double and change nothing."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Container, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import text

from ddrs_core.data import add_dataset, get_dataset_info, remove_dataset
from ddrs_core.errors import DDRSError, InvalidParameterError, MismatchError
from ddrs_core.models import resolve_device
from ddrs_core.models.inference import forward
from ddrs_core.runs import claim
from ddrs_core.runs.certify.config import CertifyConfig, Method, open_plan, shared_votes
from ddrs_core.runs.certify.run import CertifyRun, RunStep
from ddrs_core.runs.from_database import recorded_log, setting_results
from ddrs_core.runs.worker import record_run, recorded_configs, work_on
from ddrs_core.smoothing import Certificate, CertificationBudget, Grade, SearchConfig, StopAtRadii
from ddrs_core.store import MemoryBank, RunState, Store, Wanted, open_store
from ddrs_core.store.errors import RunClaimedError
from ddrs_core.store.run_banks import RunBank
from ddrs_core.store.schema import certificates
from tests.data.layouts import digit_folders
from tests.processes import start_command

FIXED = CertifyConfig(
    "digits",
    "digits-gaussian-0.50",
    Method.FIXED,
    0.5,
    budget=CertificationBudget(n=500),
    limit=45,
    device="cpu",
)
DS = replace(FIXED, method=Method.DS, strategy=SearchConfig(steps=2, samples=30, guard=30))
FEW = replace(DS, limit=12)
_KILLS = 4


@pytest.fixture
def store(url: str) -> Store:
    return open_store(url)


def results(store: Store, run_id: str) -> dict[tuple[int, int], Certificate]:
    """By setting and place, without the time it took; each place once."""
    stored = store.certificates(run_id)
    found = {(s.setting, s.position): replace(s.certificate, seconds=0.0) for s in stored}
    assert len(found) == len(stored) == store.count(run_id)
    return found


def finish(store: Store, configs: list[CertifyConfig]) -> str:
    run = record_run(store, configs)
    for _ in work_on(store, run.id):
        pass
    return run.id


@pytest.mark.slow
def test_a_run_is_kept_whole(store: Store) -> None:
    run = record_run(store, [FIXED, DS], title="Both", owner="me")
    assert recorded_configs(run) == [FIXED, DS]
    assert (run.total, run.state, run.title, run.owner) == (90, RunState.WAITING, "Both", "me")
    steps = list(work_on(store, run.id))
    run = store.run(run.id)
    assert run.state is RunState.FINISHED
    assert run.stored == steps[-1].done == steps[-1].total == 90
    found = results(store, run.id)
    assert set(found) == {(s, p) for s in (0, 1) for p in range(45)}
    assert all(c.recompute_radius() == c.radius for c in found.values())
    with pytest.raises(DDRSError, match="finished"):
        next(work_on(store, run.id))


def test_the_batch_size_of_a_run_does_not_follow_the_free_memory(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chosen when it starts, in all its certificates, and kept when it goes on."""
    run = record_run(store, [FIXED])
    with monkeypatch.context() as patch:
        patch.setitem(forward._BATCH_VALUES, "cpu", 64 * 64)  # as where memory is short
        with closing(work_on(store, run.id)) as steps:
            next(step for step in steps if step.done == 3)
            patch.setitem(forward._BATCH_VALUES, "cpu", 16 * 64)
            next(step for step in steps if step.done == 40)
    for _ in work_on(store, run.id):
        pass
    executions = {c.execution for c in results(store, run.id).values()}
    assert len(executions) == 1
    assert executions.pop().startswith("batch=64 ")


def test_a_run_does_not_go_on_beside_a_certificate_that_was_edited(store: Store) -> None:
    run = record_run(store, [replace(FIXED, limit=6)])
    with closing(work_on(store, run.id)) as steps:
        next(step for step in steps if step.done == 3)
    before = results(store, run.id)
    with store._writing() as connection:
        connection.execute(certificates.update().where(certificates.c.position == 1), {"radius": 9})
    with pytest.raises(MismatchError, match="image 1 in this run was changed after it was stored"):
        next(iter(work_on(store, run.id)))
    assert results(store, run.id).keys() == before.keys()


@pytest.mark.slow
def test_a_request_to_pause_is_obeyed_and_the_rest_is_made_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddrs_core.runs.claim._BEAT_SECONDS", 0.0)
    whole = results(store, finish(store, [FIXED, DS]))
    run = record_run(store, [FIXED, DS])
    for step in work_on(store, run.id):
        if step.done == 7:
            store.request(run.id, Wanted.PAUSE)
    assert store.run(run.id).state is RunState.PAUSED
    assert 7 <= store.count(run.id) < 90
    for step in work_on(store, run.id):
        if step.done == 60:
            store.request(run.id, Wanted.CANCEL)
    assert store.run(run.id).state is RunState.CANCELLED
    for _ in work_on(store, run.id):  # somebody has thought better of it
        pass
    assert store.run(run.id).state is RunState.FINISHED
    assert results(store, run.id) == whole


def test_the_images_must_still_be_the_same(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "home"))
    paths = [tmp_path / name / "mine" for name in ("one", "two")]
    for shade, path in enumerate(paths, start=1):
        for number, label in enumerate(get_dataset_info("digits").class_names):
            (path / label).mkdir(parents=True)
            Image.new("L", (8, 8), 40 * shade + number).save(path / label / "0.png")
    config = replace(
        FIXED, dataset=add_dataset(paths[0]).name, limit=None, budget=CertificationBudget(n=100)
    )
    run = record_run(store, [config])
    steps = work_on(store, run.id)
    while next(steps).done < 1:
        pass
    steps.close()
    remove_dataset(config.dataset)
    assert add_dataset(paths[1]).name == config.dataset  # other pictures, same name and classes
    with pytest.raises(MismatchError, match="images of mine have changed"):
        list(work_on(store, run.id))
    assert store.count(run.id) == 1
    remove_dataset(config.dataset)
    add_dataset(paths[0])
    list(work_on(store, run.id))
    assert store.count(run.id) == 10


def test_an_image_that_cannot_be_read_neither_ends_a_run_nor_reaches_its_memory(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "home"))
    # Number 0 is among those whose pixels tell whether the images are still the same.
    root = digit_folders(tmp_path / "mine", 2, damaged=("0/0.png", "4/1.png"))
    data = {"dataset": add_dataset(root).name, "limit": None, "budget": CertificationBudget(n=300)}
    configs = [
        replace(FIXED, **data),
        replace(DS, **data),
        replace(DS, **data, method=Method.DS_MEMORY, bank="mine"),
    ]
    run = record_run(store, configs)
    with closing(work_on(store, run.id)) as steps:
        while next(steps).done < 5:
            pass
    for _ in work_on(store, run.id):
        pass
    assert store.run(run.id).state is RunState.FINISHED
    found = results(store, run.id)
    assert {key for key, c in found.items() if c.failure} == {
        (s, place) for s in range(3) for place in (0, 9)
    }
    assert MemoryBank.find(store.url, "mine").record().settled == 18
    log = recorded_log(store, store.run(run.id), 2)
    assert "unreadable: The picture '4/1.png'" in log
    fixed = [c.certificate for c in store.certificates(run.id) if c.setting == 0]
    assert len(setting_results(store.run(run.id), 0, fixed).failed) == 2


def test_a_run_keeps_its_number_format_on_any_cluster(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that take another format on themselves are noticed at their first certificate."""
    made = [
        (0, RunStep("certify", stored.position, stored.certificate))
        for stored in store.certificates(finish(store, [FIXED]))
    ]
    other = [
        (setting, replace(step, certificate=replace(step.certificate, precision="other")))
        for setting, step in made
        if step.certificate is not None
    ]
    run = record_run(store, [FIXED], device="auto")
    work = "ddrs_core.runs.worker.cluster_steps"
    monkeypatch.setattr(work, lambda *_: iter(made[:10]))
    with closing(work_on(store, run.id, "auto")) as steps:
        assert [step.done for step in islice(steps, 10)] == list(range(1, 11))
    monkeypatch.setattr(work, lambda *_: iter(other[10:]))
    with pytest.raises(MismatchError, match="number format"):
        list(work_on(store, run.id, "auto"))
    assert store.count(run.id) == 10


def test_what_a_cluster_began_waits_its_turn_on_this_machine(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues = []

    class Watched(claim.DeviceSlot):
        def __init__(self, folder: Path, device: str, since: float | None = None) -> None:
            queues.append(device)
            super().__init__(folder, device, since)

    monkeypatch.setattr(claim, "DeviceSlot", Watched)
    run = record_run(store, [replace(FIXED, limit=1)], device="auto")
    list(work_on(store, run.id))
    assert queues == [str(resolve_device("auto"))]


def test_a_run_gives_way_between_batches_says_so_and_certifies_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(claim, "_BEAT_SECONDS", 0.0)
    whole = results(store, finish(store, [FIXED]))
    asked = iter([True, True, False] * 1000)
    monkeypatch.setattr(claim.DeviceSlot, "gives_way", lambda slot: next(asked))
    run = record_run(store, [FIXED])
    seen = set()
    for step in work_on(store, run.id):
        if step.gives_way:
            seen.add(store.run(run.id).standing)
    assert seen == {"gives way to somebody's live computation"}
    assert store.run(run.id).state is RunState.FINISHED
    assert results(store, run.id) == whole


def test_whoever_stops_listening_leaves_the_run_paused(store: Store) -> None:
    run = record_run(store, [FIXED])
    steps = work_on(store, run.id)
    next(steps)
    steps.close()
    assert store.run(run.id).state is RunState.PAUSED


def test_a_failure_is_kept_in_words(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = record_run(store, [FIXED])

    def fail(*_: object, **__: object) -> None:
        raise InvalidParameterError("The sky has fallen.")

    with monkeypatch.context() as patch:
        patch.setattr("ddrs_core.smoothing.SmoothedClassifier.certify_batch", fail)
        with pytest.raises(InvalidParameterError):
            list(work_on(store, run.id))
    assert store.run(run.id).error == "The sky has fallen."
    assert store.run(run.id).state is RunState.FAILED
    assert len(list(work_on(store, run.id))) > 45


def test_a_run_does_not_go_on_with_another_classifier(store: Store) -> None:
    run = record_run(store, [FIXED])
    steps = work_on(store, run.id)
    while next(steps).done < 3:
        pass
    steps.close()
    (first, *_) = store.certificates(run.id)
    other = record_run(store, [replace(FIXED, model="digits-gaussian-0.25")])
    store.add_certificates(other.id, [(0, 0, first.certificate)])
    with pytest.raises(MismatchError, match="model has changed"):
        list(work_on(store, other.id))


def test_settings_of_one_run_share_images_and_budget(store: Store) -> None:
    with pytest.raises(InvalidParameterError, match="differ in method"):
        record_run(store, [FIXED, replace(DS, limit=3)])
    with pytest.raises(DDRSError):
        record_run(store, [replace(FIXED, model="nothing")])
    assert store.runs() == []


@pytest.mark.slow
def test_with_a_memory_certificates_are_settled_in_the_order_of_the_plan(store: Store) -> None:
    memory = replace(DS, method=Method.DS_MEMORY, bank="mine")
    run = record_run(store, [DS, memory], owner="me")
    steps = work_on(store, run.id)
    while next(steps).done < 60:
        pass
    steps.close()
    for _ in work_on(store, run.id):
        pass
    found = results(store, run.id)
    bank = MemoryBank.find(store.url, "mine", owner="me")
    dataset, plan = open_plan(DS)
    again = MemoryBank.open(
        store.url, "again", model=found[0, 0].model, num_classes=10, shape=(1, 8, 8)
    )
    for place in range(45):
        own, settled = found[0, place], found[1, place]
        settlement = again.settle(dataset[plan[place]][0], own)
        assert settled.grade is Grade.FOR_QUERIES_AFTER
        assert (settled.prediction, settled.radius) == (settlement.prediction, settlement.radius)
        assert (own.sigma, own.counts) == (settled.sigma, settled.counts)
    assert [ball.radius for ball in bank.balls()] == [ball.radius for ball in again.balls()]
    assert bank.check().holds
    with pytest.raises(InvalidParameterError, match="memory bank"):
        replace(memory, bank="").check()
    with pytest.raises(InvalidParameterError, match="cluster"):
        list(work_on(store, record_run(store, [memory]).id, "auto"))


@pytest.mark.slow
def test_a_memory_beside_own_sigmas_takes_their_certificates_and_loses_none(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = replace(DS, method=Method.DS_MEMORY, bank="whole")
    whole = results(store, finish(store, [memory]))  # on its own
    alone = finish(store, [DS])
    voting: set[Method] = set()
    certify = CertifyRun.block

    def block(
        run: CertifyRun, first: int, done: Container[int] = (), journal: Any = None
    ) -> Iterator[RunStep]:
        voting.add(run.config.method)
        return certify(run, first, done, journal)

    monkeypatch.setattr(CertifyRun, "block", block)
    run = record_run(store, [DS, FIXED, replace(memory, bank="shared")])
    assert shared_votes(recorded_configs(run)) == {2: 0}
    add, deaths = Store.add_certificates, [5, 20, 40]

    def die(self: Store, run_id: str, batch: list[tuple[int, int, Certificate]]) -> None:
        add(self, run_id, batch)
        if batch[0][:2] == (0, deaths[0]):  # certified and stored, not yet settled
            deaths[0] = -1
            raise KeyboardInterrupt

    monkeypatch.setattr(Store, "add_certificates", die)
    while deaths:
        with pytest.raises(KeyboardInterrupt):
            list(work_on(store, run.id))
        found = results(store, run.id)
        assert len([place for place in found if place[0] == 2]) < len(
            [place for place in found if place[0] == 0]
        )
        deaths.pop(0)
    monkeypatch.setattr(Store, "add_certificates", add)
    for _ in work_on(store, run.id):
        pass
    found = results(store, run.id)
    assert {place: c for (setting, place), c in found.items() if setting == 2} == {
        place: c for (_, place), c in whole.items()
    }
    assert {place: c for (setting, place), c in found.items() if setting == 0} == {
        place: c for (_, place), c in results(store, alone).items()
    }
    assert voting == {Method.DS, Method.FIXED}


def begun(store: Store, name: str, done: int = 6) -> tuple[str, MemoryBank]:
    """A run that was stopped after some settlements, and its bank."""
    memory = replace(FEW, method=Method.DS_MEMORY, bank=name)
    run = record_run(store, [FEW, memory])
    steps = work_on(store, run.id)
    while next(steps).done < done:
        pass
    steps.close()
    return run.id, MemoryBank.find(store.url, name, owner="")


def test_a_run_does_not_go_on_with_another_bank_of_the_same_name(store: Store) -> None:
    run_id, bank = begun(store, "gone")
    kind = bank.kind
    first = [(ball, bank.image(ball.serial)) for ball in bank.balls()]
    assert len(first) == 3
    bank.delete()
    with pytest.raises(MismatchError, match="no longer exists"):
        list(work_on(store, run_id))
    assert store.run(run_id).state is RunState.FAILED
    with pytest.raises(DDRSError):
        MemoryBank.find(store.url, "gone")
    other = MemoryBank.open(
        store.url, "gone", model=kind.model, num_classes=kind.num_classes, shape=kind.shape
    )
    with pytest.raises(MismatchError, match="no longer exists"):
        list(work_on(store, run_id))
    for ball, image in reversed(first):  # as many balls, in another order
        other.settle(image, ball.certificate)
    assert other.record().settled == other.record().stored == 3
    with pytest.raises(MismatchError, match=f"id {bank.id}.*id {other.id}"):
        list(work_on(store, run_id))
    assert other.record().settled == 3
    assert len(store.certificates(run_id, 1)) == 3


def test_a_run_does_not_go_on_with_an_older_copy_of_its_bank(store: Store) -> None:
    """It has the same id, and lacks what was settled since; or holds something else in its place.
    What others have added is no obstacle."""
    run_id, bank = begun(store, "old")
    wrong = {
        "UPDATE banks SET settled = settled - 1": "UPDATE banks SET settled = settled + 1",
        "UPDATE balls SET fingerprint = 'x' || fingerprint WHERE serial = 3": (
            "UPDATE balls SET fingerprint = substr(fingerprint, 2) WHERE serial = 3"
        ),
    }
    for change, back in wrong.items():
        with store._engine.begin() as connection:
            connection.execute(text(change))
        with pytest.raises(MismatchError, match="no longer holds its 3 balls"):
            list(work_on(store, run_id))
        with store._engine.begin() as connection:
            connection.execute(text(back))
    last = bank.balls()[-1]
    bank.settle(bank.image(last.serial), last.certificate)
    for _ in work_on(store, run_id):
        pass
    assert store.run(run_id).state is RunState.FINISHED
    assert bank.record().settled == 13


def test_a_run_of_before_goes_on_with_the_bank_of_that_name(store: Store) -> None:
    """Earlier versions kept no more than the name."""
    run_id, bank = begun(store, "before")
    with store._engine.begin() as connection:
        connection.execute(text("DELETE FROM run_banks"))
    assert store.run_bank(run_id, 1) is None
    for _ in work_on(store, run_id):
        pass
    assert store.run(run_id).state is RunState.FINISHED
    known, record = store.run_bank(run_id, 1), bank.record()
    assert known == RunBank(bank.id, record.settled, record.stored, record.fingerprint)
    assert store.run_bank(run_id, 0) is None
    store.delete_run(run_id)
    assert store.run_bank(run_id, 1) is None


def test_a_memory_that_is_ahead_of_its_certificates_gets_the_rest(store: Store) -> None:
    """As earlier versions left it, which worked on the settings one after the other."""
    whole = results(store, finish(store, [replace(FEW, method=Method.DS_MEMORY, bank="whole")]))
    memory = replace(FEW, method=Method.DS_MEMORY, bank="ahead")
    alone = record_run(store, [memory])
    for _ in work_on(store, alone.id):
        pass
    run = record_run(store, [memory, FEW])
    ahead = [(0, place, c) for (_, place), c in results(store, alone.id).items() if place < 5]
    store.add_certificates(run.id, ahead)
    MemoryBank.find(store.url, "ahead", owner="").delete()
    bank = MemoryBank.open(
        store.url, "ahead", model=ahead[0][2].model, num_classes=10, shape=(1, 8, 8)
    )
    dataset, plan = open_plan(FEW)
    for (_, place), c in sorted(results(store, finish(store, [FEW])).items()):
        if place < 5:
            bank.settle(dataset[plan[place]][0], c)
    for _ in work_on(store, run.id):
        pass
    found = results(store, run.id)
    assert {p: c for (s, p), c in found.items() if s == 0} == {p: c for (_, p), c in whole.items()}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_random_moments_nothing_is_lost_doubled_or_changed(url: str) -> None:
    store = open_store(url)
    adaptive = replace(FIXED, budget=CertificationBudget(n=4000, stop=StopAtRadii()))
    configs = [adaptive, replace(adaptive, method=Method.DS, strategy=DS.strategy)]
    whole = results(store, finish(store, configs))
    run = record_run(store, configs)
    moments = random.Random(5)
    seen: dict[tuple[int, int], Certificate] = {}
    for _ in range(_KILLS):
        process = start_command(["certify", "--run", run.id, "--quiet"], DDRS_DATABASE_URL=url)
        goal = len(seen) + moments.randint(0, 15)
        deadline = time.monotonic() + 120
        while store.count(run.id) <= goal and process.is_alive():
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(moments.random() * 0.05)
        process.kill()
        process.join()
        now = results(store, run.id)
        assert seen.items() <= now.items()  # what was there has stayed as it was
        assert now.items() <= whole.items()
        seen = now
        if store.run(run.id).state is RunState.FINISHED:
            break
        assert store.run(run.id).state is RunState.INTERRUPTED
    assert len(seen) > 0
    for _ in work_on(store, run.id):
        pass
    assert results(store, run.id) == whole


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_two_processes_do_not_share_a_run(url: str) -> None:
    store = open_store(url)
    run = record_run(store, [FIXED])
    steps = work_on(store, run.id)
    next(steps)
    other = subprocess.run(
        [sys.executable, "-m", "ddrs_core", "certify", "--run", run.id, "--quiet"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "DDRS_DATABASE_URL": url},
        stderr=subprocess.PIPE,
        check=False,
    )
    assert other.returncode == 2
    assert b"works on this run" in other.stderr
    with pytest.raises(RunClaimedError):
        store.claim(run.id, replace(store.run(run.id).process, pid=1))  # type: ignore[type-var]
    steps.close()
