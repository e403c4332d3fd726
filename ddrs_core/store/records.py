"""What the store knows of runs, certificates and logs, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ddrs_core.errors import NamedEnum
from ddrs_core.smoothing import Certificate
from ddrs_core.store.worker_process import WorkerProcess

CERTIFY, TRAIN = "certify", "train"  # kinds of runs, which are also the commands that work on them
GIVING_WAY = "giving way"  # stage of a run while somebody watches a computation on its device


class RunState(NamedEnum, kind="state of a run"):
    """Where a run stands."""

    WAITING = "waiting"  # for a process, or with one for its turn
    RUNNING = "running"
    PAUSED = "paused"  # as somebody asked
    CANCELLED = "cancelled"  # as somebody asked, who does not mean to go on
    INTERRUPTED = "interrupted"  # its process is gone, and nobody asked for that
    FAILED = "failed"
    FINISHED = "finished"

    @property
    def is_moving(self) -> bool:
        """Whether a process works on it, or is about to."""
        return self in (RunState.WAITING, RunState.RUNNING)

    @property
    def can_resume(self) -> bool:
        """Whether it can go on where it was; also a cancelled one, should somebody think better
        of it."""
        return self not in (RunState.WAITING, RunState.RUNNING, RunState.FINISHED)


class Wanted(NamedEnum, kind="request to a run"):
    """What somebody asked a run to do."""

    PAUSE = "pause"
    CANCEL = "cancel"

    @property
    def state(self) -> RunState:
        """Where the run stands once it has done so."""
        return RunState.PAUSED if self is Wanted.PAUSE else RunState.CANCELLED


@dataclass(frozen=True)
class RunProgress:
    """What the process of a run last said of itself."""

    stage: str
    done: float  # certificates or epochs; a fraction counts what is under way
    rate: float  # certificates, or training images, a second
    seconds_left: float | None = None  # None: not known yet


@dataclass(frozen=True)
class RunRecord:
    """A run as it stands at this moment; moments are in seconds since 1970."""

    id: str
    title: str
    owner: str
    kind: str
    created: float
    started: float | None  # when its first process began
    ended: float | None
    config: dict[str, Any]
    settings: tuple[dict[str, Any], ...]  # each certifies the same images
    total: int  # certificates, or epochs, planned
    stored: int  # certificates, or epochs, that are there
    code_version: str
    device: str
    state: RunState
    wanted: Wanted | None
    process: WorkerProcess | None  # that works on it, or did when it was interrupted
    heartbeat: float | None  # its last sign of life
    progress: RunProgress | None  # None: its process has not said anything yet
    error: str  # why it failed

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        done = self.stored if self.progress is None else max(self.stored, self.progress.done)
        return min(1.0, done / max(1, self.total))

    @property
    def gives_way(self) -> bool:
        """Whether it stands still most of the time while somebody watches a computation."""
        stage = None if self.progress is None else self.progress.stage
        return self.state is RunState.RUNNING and stage == GIVING_WAY

    @property
    def standing(self) -> str:
        """Where it stands, in words."""
        return "gives way to somebody's live computation" if self.gives_way else self.state.value

    @property
    def unit(self) -> str:
        """What it counts, in the singular."""
        return "epoch" if self.kind == TRAIN else "certificate"


@dataclass(frozen=True)
class StoredCertificate:
    """A certificate and its place in a run."""

    setting: int  # place in the run's settings
    position: int  # place of the image in the run's plan
    serial: int  # 1, 2, ... in the order in which the run's certificates were stored
    certificate: Certificate


@dataclass(frozen=True)
class LogRecord:
    """A log of another program; its content is asked for apart."""

    id: str  # SHA-256 of the content
    owner: str
    title: str
    created: float  # seconds since 1970
    size: int  # bytes
