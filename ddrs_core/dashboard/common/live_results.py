"""Runs that pages look at while they go on: every certificate is read once for all visitors."""

from __future__ import annotations

import threading

from ddrs_core.cache import LRU
from ddrs_core.runs.from_database import setting_results
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.smoothing import Certificate
from ddrs_core.store import RunRecord, open_store

_MOST_RUNS = 16  # kept in memory


class _Followed:
    """What has been read of a run."""

    def __init__(self, settings: int) -> None:
        self.lock = threading.Lock()
        self._serial = 0  # of the last certificate that was read
        self._found: list[dict[int, Certificate]] = [{} for _ in range(settings)]  # by position
        self._made: dict[int, tuple[int, ResultSet]] = {}  # setting -> certificates, results

    def results(self, run: RunRecord, setting: int) -> ResultSet | None:
        """The results of a setting by now."""
        for stored in open_store().certificates(run.id, after=self._serial):
            self._found[stored.setting][stored.position] = stored.certificate
            self._serial = max(self._serial, stored.serial)
        found = self._found[setting]
        if not found:
            return None
        made = self._made.get(setting)
        if made is None or made[0] != len(found):
            in_order = [found[position] for position in sorted(found)]
            made = self._made[setting] = (len(found), setting_results(run, setting, in_order))
        return made[1]


_RUNS: LRU[_Followed] = LRU(_MOST_RUNS)


def run_set(run: RunRecord, setting: int) -> ResultSet | None:
    """The results of one setting of a run as they stand now; None while there are none.

    Raises:
        DDRSError: if the run is gone, or its settings cannot be read.
    """
    followed = _RUNS.get(run.id, lambda: _Followed(len(run.settings)))
    with followed.lock:
        return followed.results(run, setting)
