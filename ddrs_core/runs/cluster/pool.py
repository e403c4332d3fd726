"""The workers of a run on a Ray cluster: started, given tasks, replaced when they are lost.

Ray's own ``ActorPool`` and retried tasks would not be shorter here: a certificate has to come back
as soon as it is made, not with its task; a lost worker is replaced on any node that has room, also
one that joins later; and a task that ends worker after worker is given up.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Self

import ddrs_core
from ddrs_core.errors import MismatchError
from ddrs_core.quantities import counted
from ddrs_core.runs.certify.run import RunStep
from ddrs_core.runs.cluster.connection import ClusterError, first_line
from ddrs_core.runs.cluster.worker import (
    Advance,
    Traits,
    Unit,
    Worker,
    WorkerSetup,
    cores_per_worker,
)

MOST_LOSSES = 3  # workers that one task may end, or that may fail to start in one place
_STEP_SECONDS = 0.5
_NODES_SECONDS = 5.0  # between two looks at the machines of the cluster
_PATIENCE_SECONDS = 120.0  # without any machine
_AHEAD = 2  # tasks that a worker has, and calls to it, so that it never waits for us


@dataclass(eq=False)
class Task:
    """Images of one setting that one worker certifies together."""

    setting: int
    positions: range  # in the plan
    there: set[int]  # positions whose certificates are there
    losses: int = 0  # workers that were lost over it

    def is_new(self, step: RunStep) -> bool:
        """Note a certificate; False if it was there."""
        if step.certificate is None:
            return True
        known = step.position in self.there
        self.there.add(step.position)
        return not known


@dataclass(frozen=True)
class Slot:
    """Room for one worker on a machine of the cluster."""

    node: str  # Ray's name of the machine
    number: int
    cores: int


@dataclass(eq=False)
class _RemoteWorker:
    """A worker as it is seen from here."""

    actor: Any
    slot: Slot
    opening: Any | None  # what will be its traits, until it is ready
    tasks: deque[Task] = field(default_factory=deque)
    calls: deque[Any] = field(default_factory=deque)  # under way, the oldest first

    @property
    def waited_for(self) -> Any | None:
        """The next thing that it will answer."""
        return self.opening or (self.calls[0] if self.calls else None)


class WorkerPool:
    """Workers that share the tasks of a run; a context in which they live.

    Args:
        ray: the module, connected.
        setup: what every worker gets once.
        pack: adds its images to a task.
    """

    def __init__(self, ray: Any, setup: WorkerSetup, pack: Callable[[Task], Unit]) -> None:
        self._ray, self._setup, self._pack = ray, setup, pack
        self._sent_setup = ray.put(setup)
        self._workers: list[_RemoteWorker] = []
        self._traits: Traits | None = None
        self._failed: Counter[Slot] = Counter()  # starts, in each place
        self._reason = ""  # of the last one
        self._looked = self._had_workers = float("-inf")

    def __enter__(self) -> Self:
        self._had_workers = time.monotonic()
        return self

    def __exit__(self, *exception: object) -> None:
        while self._workers:
            self._end(self._workers[-1])

    def work(self, tasks: deque[Task]) -> Iterator[tuple[int, RunStep]]:
        """Do all tasks, the first ones first, which empties ``tasks``.

        Yields:
            Setting and step, at least about once a second.

        Raises:
            ClusterError: if a task ends worker after worker, or no worker can be started.
            DDRSError: what a worker raises.
        """
        latest = (tasks[0].setting, RunStep("certify", tasks[0].positions.start))
        while tasks or any(worker.tasks for worker in self._workers):
            self._fill_slots(len(tasks))
            self._dispatch(tasks)
            answers = self._wait()
            if not answers:
                yield latest
            for worker in answers:
                for setting, step in self._receive(worker, tasks):
                    latest = (setting, replace(step, certificate=None, votes=0))
                    yield setting, step

    def _fill_slots(self, waiting: int) -> None:
        """Start workers in the free slots of the cluster, as far as there are tasks."""
        now = time.monotonic()
        if self._workers:
            self._had_workers = now
        if not waiting or now - self._looked < _NODES_SECONDS:
            return
        self._looked = now
        taken = {worker.slot for worker in self._workers}
        slots = list(slots_of(self._ray.nodes(), self._setup.device))
        free = [s for s in slots if s not in taken and self._failed[s] < MOST_LOSSES]
        spare = sum(not worker.tasks for worker in self._workers)  # not started yet, most of them
        for slot in free[: max(0, waiting - spare)]:
            self._workers.append(self._start(slot))
        if self._workers:
            return
        if slots:
            raise ClusterError(f"No worker can be started on the Ray cluster. {self._reason}")
        if self._traits is None:
            raise ClusterError("No machine of the Ray cluster has a core to offer.")
        if now - self._had_workers > _PATIENCE_SECONDS:
            raise ClusterError(f"The Ray cluster has had no machine for {_PATIENCE_SECONDS:g} s.")

    def _start(self, slot: Slot) -> _RemoteWorker:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        on_gpu = self._setup.device == "cuda"
        actor = self._ray.remote(Worker).options(
            num_cpus=0 if on_gpu else slot.cores,
            num_gpus=1 if on_gpu else 0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(slot.node, soft=False),
        )
        started = actor.remote(self._sent_setup, slot.cores)
        return _RemoteWorker(started, slot, started.open.remote())

    def _dispatch(self, tasks: deque[Task]) -> None:
        """Give tasks to the workers; ahead of time only while there is enough for all."""
        ready = [worker for worker in self._workers if worker.opening is None]
        for most in range(1, _AHEAD + 1):
            for worker in ready:
                enough = most == 1 or len(tasks) > len(self._workers)
                if tasks and enough and len(worker.tasks) < most:
                    task = tasks.popleft()
                    worker.actor.add.remote(self._pack(task))
                    worker.tasks.append(task)
        for worker in ready:
            while worker.tasks and len(worker.calls) < _AHEAD:
                worker.calls.append(worker.actor.advance.remote())

    def _wait(self) -> list[_RemoteWorker]:
        """Workers that have answered, as soon as there is one, after half a second at most."""
        of = {
            worker.waited_for: worker for worker in self._workers if worker.waited_for is not None
        }
        if not of:
            time.sleep(_STEP_SECONDS)
            return []
        answers, _ = self._ray.wait(list(of), num_returns=1, timeout=_STEP_SECONDS)
        if answers:
            answers, _ = self._ray.wait(list(of), num_returns=len(of), timeout=0)
        return [of[answer] for answer in answers]

    def _receive(self, worker: _RemoteWorker, tasks: deque[Task]) -> Iterator[tuple[int, RunStep]]:
        """What a worker answers; its tasks go back where it is lost."""
        try:
            answer = self._ray.get(worker.waited_for)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self._ray.exceptions.RayError as error:
            self._lose(worker, tasks, first_line(error))
            return
        if isinstance(answer, Traits):
            self._check_traits(worker, answer)
            return
        worker.calls.popleft()
        yield from self._unpack(worker, answer)

    def _unpack(self, worker: _RemoteWorker, answer: Advance) -> Iterator[tuple[int, RunStep]]:
        if not worker.tasks:  # a call too many, made before it was known that all was done
            return
        task = worker.tasks[0]
        if answer.finished:
            worker.tasks.popleft()
        for step in answer.steps:
            moved = replace(step, position=task.positions.start + step.position)
            if task.is_new(moved):
                yield task.setting, moved

    def _check_traits(self, worker: _RemoteWorker, traits: Traits) -> None:
        """Make sure that a new worker computes as the others do."""
        worker.opening = None
        self._failed[worker.slot] = 0
        if self._traits is None:
            self._traits = replace(traits, program=ddrs_core.__version__)
        if traits != self._traits:
            raise MismatchError(
                f"Not all machines of the cluster compute alike: one has {traits.to_text()}, "
                f"another {self._traits.to_text()}. Install the same versions everywhere, and "
                "choose the precision fp32 if it is the number format that differs."
            )

    def _lose(self, worker: _RemoteWorker, tasks: deque[Task], reason: str) -> None:
        self._end(worker)
        self._looked = float("-inf")  # somebody else is needed now
        if worker.opening is not None:
            self._failed[worker.slot] += 1
            self._reason = reason
        for task in reversed(worker.tasks):
            tasks.appendleft(task)
        if worker.tasks:
            suspect = worker.tasks[0]
            suspect.losses += 1
            if suspect.losses >= MOST_LOSSES:
                raise ClusterError(
                    f"{counted(suspect.losses, 'worker')} in a row got lost over the same "
                    f"{counted(len(suspect.positions), 'image')} (from the "
                    f"{suspect.positions.start + 1:,}. of the run); often memory is too short"
                    f" for the batches. What came back before is not lost. Ray: {reason}"
                )

    def _end(self, worker: _RemoteWorker) -> None:
        self._workers.remove(worker)
        with suppress(Exception):  # it is gone, or Ray is
            self._ray.kill(worker.actor)


def slots_of(nodes: Iterable[dict[str, Any]], device: str) -> Iterator[Slot]:
    """Room for workers on the machines that Ray lists: one for each GPU, or few cores."""
    for node in nodes:
        if not node["Alive"]:
            continue
        cores = int(node["Resources"].get("CPU", 0))
        if device == "cuda":
            slots = int(node["Resources"].get("GPU", 0))
            each = max(1, cores // max(1, slots))
        else:
            each = cores_per_worker(cores) if cores else 0
            slots = cores // each if each else 0
        for number in range(slots):
            yield Slot(node["NodeID"], number, each)
