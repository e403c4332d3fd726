"""The workers of a run on a Ray cluster: hired, given work, replaced when they are lost."""

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
_SIGN_SECONDS = 0.5
_HIRE_SECONDS = 5.0  # between two looks at the machines of the cluster
_PATIENCE_SECONDS = 120.0  # without any machine
_AHEAD = 2  # tasks that a worker has, and calls to it, so that it never waits for us


@dataclass(eq=False)
class Task:
    """Images of one setting that one worker certifies together."""

    setting: int
    places: range  # in the plan
    there: set[int]  # places whose certificates are there
    losses: int = 0  # workers that were lost over it

    def is_new(self, step: RunStep) -> bool:
        """Note a certificate; False if it was there."""
        if step.certificate is None:
            return True
        known = step.place in self.there
        self.there.add(step.place)
        return not known


@dataclass(frozen=True)
class Slot:
    """Room for one worker on a machine of the cluster."""

    node: str  # Ray's name of the machine
    number: int
    cores: int


@dataclass(eq=False)
class _Worker:
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
        kit: what every worker gets.
        pack: adds its images to a task.
    """

    def __init__(self, ray: Any, kit: WorkerSetup, pack: Callable[[Task], Unit]) -> None:
        self._ray, self._kit, self._pack = ray, kit, pack
        self._sent_kit = ray.put(kit)
        self._hands: list[_Worker] = []
        self._traits: Traits | None = None
        self._failed: Counter[Slot] = Counter()  # starts, in each place
        self._reason = ""  # of the last one
        self._looked = self._staffed = float("-inf")

    def __enter__(self) -> Self:
        self._staffed = time.monotonic()
        return self

    def __exit__(self, *exception: object) -> None:
        while self._hands:
            self._dismiss(self._hands[-1])

    def work(self, tasks: deque[Task]) -> Iterator[tuple[int, RunStep]]:
        """Do all tasks, the first ones first, which empties ``tasks``.

        Yields:
            Setting and step, at least about once a second.

        Raises:
            ClusterError: if a task ends worker after worker, or no worker can be had.
            DDRSError: what a worker complains about.
        """
        sign = (tasks[0].setting, RunStep("certify", tasks[0].places.start))
        while tasks or any(hand.tasks for hand in self._hands):
            self._hire(len(tasks))
            self._feed(tasks)
            answers = self._wait()
            if not answers:
                yield sign
            for hand in answers:
                for setting, step in self._take(hand, tasks):
                    sign = (setting, replace(step, certificate=None, votes=0))
                    yield setting, step

    def _hire(self, waiting: int) -> None:
        """Fill the places that the machines of the cluster offer at this time, as far as needed."""
        now = time.monotonic()
        if self._hands:
            self._staffed = now
        if not waiting or now - self._looked < _HIRE_SECONDS:
            return
        self._looked = now
        taken = {hand.slot for hand in self._hands}
        slots = list(slots_of(self._ray.nodes(), self._kit.device))
        free = [s for s in slots if s not in taken and self._failed[s] < MOST_LOSSES]
        spare = sum(not hand.tasks for hand in self._hands)  # not started yet, most of them
        for slot in free[: max(0, waiting - spare)]:
            self._hands.append(self._start(slot))
        if self._hands:
            return
        if slots:
            raise ClusterError(f"No worker can be started on the Ray cluster. {self._reason}")
        if self._traits is None:
            raise ClusterError("No machine of the Ray cluster has a core to offer.")
        if now - self._staffed > _PATIENCE_SECONDS:
            raise ClusterError(f"The Ray cluster has had no machine for {_PATIENCE_SECONDS:g} s.")

    def _start(self, slot: Slot) -> _Worker:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        on_gpu = self._kit.device == "cuda"
        actor = self._ray.remote(Worker).options(
            num_cpus=0 if on_gpu else slot.cores,
            num_gpus=1 if on_gpu else 0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(slot.node, soft=False),
        )
        hired = actor.remote(self._sent_kit, slot.cores)
        return _Worker(hired, slot, hired.open.remote())

    def _feed(self, tasks: deque[Task]) -> None:
        """Keep every worker supplied; ahead of time only while there is enough for all."""
        ready = [hand for hand in self._hands if hand.opening is None]
        for most in range(1, _AHEAD + 1):
            for hand in ready:
                enough = most == 1 or len(tasks) > len(self._hands)
                if tasks and enough and len(hand.tasks) < most:
                    task = tasks.popleft()
                    hand.actor.add.remote(self._pack(task))
                    hand.tasks.append(task)
        for hand in ready:
            while hand.tasks and len(hand.calls) < _AHEAD:
                hand.calls.append(hand.actor.advance.remote())

    def _wait(self) -> list[_Worker]:
        """Workers that have answered, as soon as there is one, after half a second at most."""
        of = {hand.waited_for: hand for hand in self._hands if hand.waited_for is not None}
        if not of:
            time.sleep(_SIGN_SECONDS)
            return []
        answers, _ = self._ray.wait(list(of), num_returns=1, timeout=_SIGN_SECONDS)
        if answers:
            answers, _ = self._ray.wait(list(of), num_returns=len(of), timeout=0)
        return [of[answer] for answer in answers]

    def _take(self, hand: _Worker, tasks: deque[Task]) -> Iterator[tuple[int, RunStep]]:
        """What a worker answers; its tasks go back where it is lost."""
        try:
            answer = self._ray.get(hand.waited_for)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self._ray.exceptions.RayError as error:
            self._lose(hand, tasks, first_line(error))
            return
        if isinstance(answer, Traits):
            self._welcome(hand, answer)
            return
        hand.calls.popleft()
        yield from self._unpack(hand, answer)

    def _unpack(self, hand: _Worker, answer: Advance) -> Iterator[tuple[int, RunStep]]:
        if not hand.tasks:  # a call too many, made before it was known that all was done
            return
        task = hand.tasks[0]
        if answer.finished:
            hand.tasks.popleft()
        for step in answer.steps:
            moved = replace(step, place=task.places.start + step.place)
            if task.is_new(moved):
                yield task.setting, moved

    def _welcome(self, hand: _Worker, traits: Traits) -> None:
        """Make sure that a new worker computes as the others do."""
        hand.opening = None
        self._failed[hand.slot] = 0
        if self._traits is None:
            self._traits = replace(traits, program=ddrs_core.__version__)
        if traits != self._traits:
            raise MismatchError(
                f"Not all machines of the cluster compute alike: one has {traits.to_text()}, "
                f"another {self._traits.to_text()}. Install the same versions everywhere, and "
                "choose the precision fp32 if it is the number format that differs."
            )

    def _lose(self, hand: _Worker, tasks: deque[Task], reason: str) -> None:
        self._dismiss(hand)
        self._looked = float("-inf")  # somebody else is needed now
        if hand.opening is not None:
            self._failed[hand.slot] += 1
            self._reason = reason
        for task in reversed(hand.tasks):
            tasks.appendleft(task)
        if hand.tasks:
            guilty = hand.tasks[0]
            guilty.losses += 1
            if guilty.losses >= MOST_LOSSES:
                raise ClusterError(
                    f"{counted(guilty.losses, 'worker')} in a row got lost over the same "
                    f"{counted(len(guilty.places), 'image')} (from the "
                    f"{guilty.places.start + 1:,}. of the run); often memory is too short"
                    f" for the batches. What came back before is not lost. Ray: {reason}"
                )

    def _dismiss(self, hand: _Worker) -> None:
        self._hands.remove(hand)
        with suppress(Exception):  # it is gone, or Ray is
            self._ray.kill(hand.actor)


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
