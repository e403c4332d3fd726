"""A run on a Ray cluster: what one process would make, whatever happens to workers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from ddrs_core.data import attach_dataset, remove_dataset
from ddrs_core.errors import DDRSError, DeviceError, InvalidParameterError, UnknownNameError
from ddrs_core.runs.certify.config import CertifyConfig, Method
from ddrs_core.runs.certify.run import BLOCK, CertifyRun, RunStep, interleave, open_runs
from ddrs_core.runs.cluster import connection as cluster_connection
from ddrs_core.runs.cluster import pool as cluster_pool
from ddrs_core.runs.cluster.cluster import cluster_steps
from ddrs_core.runs.cluster.connection import ClusterError, require_ray
from ddrs_core.runs.cluster.pool import slots_of
from ddrs_core.runs.cluster.worker import cores_per_worker
from ddrs_core.smoothing import AscentConfig, Certificate, CertificationBudget, StopAtRadii
from tests.data.layouts import digit_folders

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("one_thread", "own_ray")]

FIXED = CertifyConfig(
    "digits", "digits-gaussian-0.50", Method.FIXED, 0.5, budget=CertificationBudget(n=500), limit=96
)
ADAPTIVE = replace(FIXED, budget=CertificationBudget(n=4000, stop=StopAtRadii((0.0, 0.5))))
ASCENT = replace(
    FIXED,
    method=Method.DS,
    strategy=AscentConfig(steps=3, samples=2),
    budget=CertificationBudget(n=200),
)
CONFIGS = [FIXED, ADAPTIVE, ASCENT]

Found = dict[tuple[int, int], Certificate]


@pytest.fixture(scope="module")
def own_ray() -> Iterator[None]:
    """Whatever Ray writes down or is told on this machine has nothing to do with the tests."""
    with pytest.MonkeyPatch.context() as patch, ray_folder() as folder:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_AUTH_MODE", "disabled")  # with a token it would write to the home folder
        patch.setenv("RAY_worker_niceness", "0")  # else they starve beside the other tests
        patch.delenv("RAY_ADDRESS", raising=False)
        yield


@pytest.fixture(scope="module")
def cluster(own_ray: None) -> Iterator[str]:
    """The address of a cluster that this machine belongs to, with two workers of one core."""
    require_ray()
    from ray.cluster_utils import Cluster

    options = {"num_cpus": 2, "num_gpus": 0, "object_store_memory": 100 << 20}
    machines = Cluster(initialize_head=True, head_node_args=options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster_pool, "cores_per_worker", lambda cores: 1)
        yield machines.address
    machines.shutdown()


@contextmanager
def ray_folder() -> Iterator[str]:
    """A folder of its own, with a name that is short enough for Ray's sockets."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def alone() -> Found:
    """What one process makes."""
    runs: list[CertifyRun] = []
    for config in CONFIGS:
        runs.append(CertifyRun(config, like=runs[0] if runs else None))
    return collect(interleave(runs, [()] * len(runs)))


def collect(steps: Iterator[tuple[int, RunStep]]) -> Found:
    """Certificates by setting and position, without the time they took; none comes twice."""
    found: Found = {}
    for setting, step in steps:
        if step.certificate is not None:
            assert (setting, step.position) not in found
            found[setting, step.position] = replace(step.certificate, seconds=0.0)
    return found


def workers() -> list[psutil.Process]:
    """Processes of the workers, all of which descend from this one."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::Worker"):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether something comes true in so many seconds."""
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.1)
    return holds()


@pytest.mark.slow
def test_workers_make_what_one_process_makes(cluster: str, alone: Found) -> None:
    steps = list(cluster_steps(CONFIGS, [()] * len(CONFIGS), cluster))
    assert collect(iter(steps)) == alone
    votes = [sum(step.votes for number, step in steps if number == s) for s in range(3)]
    assert votes[0] == 96 * (FIXED.budget.n0 + FIXED.budget.n)
    assert votes[2] == 96 * (ASCENT.budget.n0 + ASCENT.budget.n)


def test_an_image_that_cannot_be_read_is_a_result_there_too(cluster: str, tmp_path: Path) -> None:
    root = digit_folders(tmp_path / "damaged", damaged=("2/1.png",))
    name = attach_dataset(root).name
    configs = [replace(config, dataset=name, limit=12) for config in (FIXED, ASCENT)]
    found = collect(cluster_steps(configs, [(), ()], cluster))
    assert found == collect(interleave(open_runs(configs), [(), ()]))
    assert {key for key, c in found.items() if c.failure} == {(0, 9), (1, 9)}
    remove_dataset(name)


def test_a_run_survives_a_killed_worker_and_a_pause(
    cluster: str, alone: Found, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is closed half way, which frees the workers, and goes on with what was missing.

    Nothing of it is printed, since a table or JSON may go to the standard output.
    """
    steps = cluster_steps(CONFIGS, [()] * len(CONFIGS), cluster)
    assert isinstance(steps, Generator)
    found: Found = {}
    victim = 0
    with closing(steps):
        while len(found) < 150:
            setting, step = next(steps)
            if step.certificate is not None:
                assert (setting, step.position) not in found
                found[setting, step.position] = replace(step.certificate, seconds=0.0)
                if not victim and len(found) >= 5:
                    victim = workers()[0].pid
                    os.kill(victim, signal.SIGKILL)
    assert victim
    assert within(20, lambda: not workers())
    done = [{position for s, position in found if s == setting} for setting in range(len(CONFIGS))]
    rest = collect(cluster_steps(CONFIGS, done, "auto"))  # this machine belongs to the cluster
    assert not rest.keys() & found.keys()
    assert {**found, **rest} == alone
    assert list(cluster_steps(CONFIGS, [range(96)] * 3, cluster)) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.cluster
def test_signs_of_life_from_this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """While workers start, and while one takes long over a step; then everything is closed."""
    import ray

    handler = signal.getsignal(signal.SIGTERM)
    before = len(psutil.Process().children(recursive=True))
    slow = replace(ASCENT, strategy=AscentConfig(steps=2, samples=10_000), limit=BLOCK)
    with ray_folder() as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        steps = cluster_steps([slow], [()], "auto")
        assert isinstance(steps, Generator)
        with closing(steps):
            next(steps)  # starts Ray
            waits, since = [], time.monotonic()
            while len(waits) < 8 or not workers():
                _, step = next(steps)
                assert step.certificate is None
                waits.append(time.monotonic() - since)
                since = time.monotonic()
        assert max(waits) < 2.5
        assert sum(waits) > 1
        assert not ray.is_initialized()
        assert within(20, lambda: len(psutil.Process().children(recursive=True)) <= before)
    assert signal.getsignal(signal.SIGTERM) is handler


def test_complaints_of_workers_arrive_as_they_are(cluster: str) -> None:
    """Weights that are not those of the card are noticed on the other side."""
    import ray

    from ddrs_core.models import load_model
    from ddrs_core.runs.cluster import cluster as module

    with pytest.MonkeyPatch.context() as patch:
        model = load_model("digits-gaussian-0.50", "cpu")
        lie = replace(model.card, digest="0" * 16)
        patch.setattr(module, "load_model", lambda *_: _Dressed(model, lie))
        with pytest.raises(DDRSError, match="have the digest") as caught:
            collect(cluster_steps([replace(FIXED, limit=1)], [()], cluster))
    assert type(caught.value).__name__ == "CheckpointError"
    assert "Traceback" not in str(caught.value)
    assert not ray.is_initialized()


class _Dressed:
    """A model behind another card."""

    def __init__(self, model: Any, card: Any) -> None:
        self.network, self.card = model.network, card


def test_images_that_end_every_worker_end_the_run(
    cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_pool, "MOST_LOSSES", 2)  # to be done sooner
    seen: set[int] = set()

    def deadly() -> Iterator[tuple[int, RunStep]]:
        for step in cluster_steps(
            [replace(ASCENT, limit=BLOCK, budget=CertificationBudget(n=10**6))], [()], cluster
        ):
            for process in workers() if step[1].votes else []:  # one is at work
                if process.pid not in seen:
                    seen.add(process.pid)
                    process.send_signal(signal.SIGKILL)
            yield step

    with pytest.raises(ClusterError, match="2 workers in a row got lost over the same 32 images"):
        collect(deadly())
    assert len(seen) == 2


def test_a_place_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_connection, "ANSWER_SECONDS", 2.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        with pytest.raises(ClusterError, match="No Ray cluster answers at 127"):
            next(cluster_steps([FIXED], [()], f"127.0.0.1:{silent.getsockname()[1]}"))
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("address", ["", "10.0.0.1", "http://here:80/", "ray://", "a b:1", "auto "])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(InvalidParameterError, match="HOST:PORT"):
        cluster_steps([FIXED], [()], address)


def test_without_ray_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InvalidParameterError, match="pip install -r requirements-cluster"):
        cluster_steps([FIXED], [()], "auto")


def test_what_does_not_fit_is_refused_before_any_cluster_is_asked(cluster: str) -> None:
    with pytest.raises(UnknownNameError):
        cluster_steps([replace(FIXED, model="digits-gaussian-0.51")], [()], "10.0.0.1:1")
    with pytest.raises(DeviceError):
        cluster_steps([replace(FIXED, device="tpu")], [()], "10.0.0.1:1")
    with pytest.raises(InvalidParameterError, match="the same"):
        cluster_steps([FIXED, replace(FIXED, precision="bf16")], [(), ()], "10.0.0.1:1")
    with pytest.raises(DeviceError, match="has a GPU"):
        next(cluster_steps([replace(FIXED, device="cuda:0")], [()], cluster))


def test_cores_are_shared_out_equally(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_pool, "cores_per_worker", cores_per_worker)
    for cores in range(1, 257):
        each = cores_per_worker(cores)
        assert 1 <= each <= 4
        assert cores - each * (cores // each) < cores // each  # fewer idle cores than workers
    nodes: list[dict[str, Any]] = [
        {"NodeID": "a", "Alive": True, "Resources": {"CPU": 16.0, "GPU": 2.0}},
        {"NodeID": "b", "Alive": True, "Resources": {"CPU": 6.0}},
        {"NodeID": "c", "Alive": False, "Resources": {"CPU": 6.0, "GPU": 1.0}},
        {"NodeID": "d", "Alive": True, "Resources": {}},
    ]
    assert [(slot.node, slot.cores) for slot in slots_of(nodes, "cuda")] == [("a", 8)] * 2
    on_cores = [(slot.node, slot.cores) for slot in slots_of(nodes, "cpu")]
    assert on_cores == [("a", 4)] * 4 + [("b", 3)] * 2
