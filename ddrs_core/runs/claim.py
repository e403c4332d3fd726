"""A run of the database that this process works on, from its claim to its release."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Self

from ddrs_core.errors import DDRSError, InvalidParameterError
from ddrs_core.models import resolve_device
from ddrs_core.runs.device_queue import DeviceSlot, queue_folder
from ddrs_core.store import GIVING_WAY, RunProgress, RunRecord, RunState, Store

_BEAT_SECONDS = 1.0
_WAIT_SECONDS = 0.5
_PAUSE_SECONDS = 0.25


class RunClaim:
    """Claims a run for the ``with`` block, and releases it in the state that the block leaves.

    A block that ends by itself has finished the run, or has done what was asked meanwhile. One
    that is closed or interrupted leaves it paused, one that raises leaves it failed, with the
    reason.

    Args:
        store: the database.
        run_id: which run.
        kind: of the run that is expected, ``CERTIFY`` or ``TRAIN``.
        queued: whether the run joins the queue of its device on this machine.

    Attributes:
        record: the run as it was when it was claimed.
        slot: the place in the queue of the device.
        asked: what somebody asked the run to become, ``PAUSED`` or ``CANCELLED``.

    Raises:
        DDRSError: if the run is claimed by another process, has finished, or is of another kind.
    """

    def __init__(self, store: Store, run_id: str, kind: str, *, queued: bool = True) -> None:
        if store.run(run_id).kind != kind:
            raise InvalidParameterError(f"{run_id[:60]} is not a run that `{kind}` works on.")
        self._store, self._queued = store, queued
        self.asked: RunState | None = None
        self.record: RunRecord = store.claim(run_id)
        self.slot: DeviceSlot | None = None
        self._told = -math.inf

    def __enter__(self) -> Self:
        try:
            if self._queued:
                self.slot = DeviceSlot.of_this_process(
                    queue_folder(), str(resolve_device(self.record.device))
                ).__enter__()
        except DDRSError as error:
            self._store.release(self.record.id, RunState.FAILED, str(error))
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> None:
        if self.slot is not None:
            self.slot.__exit__(kind, error, at)
        state, reason = self.asked or RunState.FINISHED, ""
        if isinstance(error, Exception):
            known = isinstance(error, DDRSError)
            state = RunState.FAILED
            reason = str(error) if known else f"{type(error).__name__}: {error}"
        elif error is not None:
            state = self.asked or RunState.PAUSED
        self._store.release(self.record.id, state, reason)

    def waits(self) -> bool:
        """Whether other runs come first on the device; takes half a second then.

        False from when it is this run's turn, or when it was asked to stop.
        """
        if self.slot is None or self.asked is not None or self.slot.take():
            return False
        progress = RunProgress("waiting", self.record.stored, 0.0)
        self.beat(progress, RunState.WAITING, at_once=True)
        if self.asked is None:
            time.sleep(_WAIT_SECONDS)
        return self.asked is None

    def gives_way(self, done: float, stored: int | None = None) -> bool:
        """Whether the run should stand still for a live computation that somebody watches on its
        device; takes a quarter of a second then, see :meth:`DeviceSlot.gives_way`.

        Args:
            done: how far the run is.
            stored: as for :meth:`beat`.
        """
        if self.slot is None or self.asked is not None or not self.slot.gives_way():
            return False
        self.beat(RunProgress(GIVING_WAY, done, 0.0), stored=stored)
        if self.asked is None:
            time.sleep(_PAUSE_SECONDS)
        return self.asked is None

    @property
    def ahead(self) -> int:
        """How many runs come first on the device."""
        return 0 if self.slot is None else self.slot.ahead()

    @property
    def is_due(self) -> bool:
        """Whether :meth:`beat` has something to say again."""
        return time.monotonic() - self._told >= _BEAT_SECONDS

    def beat(
        self,
        progress: RunProgress,
        state: RunState = RunState.RUNNING,
        *,
        stored: int | None = None,
        at_once: bool = False,
    ) -> bool:
        """Say how far the run is, once a second; returns whether it was asked to stop.

        Args:
            progress: how far it is.
            state: ``RUNNING`` or ``WAITING``.
            stored: results that are there, where the store does not count them itself.
            at_once: whatever was said a moment ago.
        """
        if self.slot is not None and self.slot.is_watched and state is RunState.RUNNING:
            progress = replace(progress, stage=GIVING_WAY, seconds_left=None)
        if at_once or self.is_due:
            wanted = self._store.heartbeat(self.record.id, progress, state=state, stored=stored)
            self._told = time.monotonic()
            if wanted is not None:
                self.asked = wanted.state
        return self.asked is not None
