"""How pytest-xdist spreads the tests over its worker processes.

The tests of a file share fixtures and run on one worker. Browser tests share one server per worker
and mostly wait, so each of them is placed by itself, on workers that run beside one per core;
``xdist_group`` keeps those together that share a server of their own.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

try:
    from xdist.scheduler import LoadGroupScheduling
except ImportError:  # the tests also run without it, in one process
    LoadGroupScheduling = object

_MOST_CORES = 4  # a worker needs about a gigabyte
_BROWSER_WORKERS = 2
_BROWSER_FOLDER = "tests/browser/"
_ON_SERVER = (_BROWSER_FOLDER, "tests/server/")  # one dashboard per worker serves them


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker per core, and those of the browser tests."""
    cores = min(len(os.sched_getaffinity(0)), _MOST_CORES)
    return cores if "not browser" in config.option.markexpr else cores + _BROWSER_WORKERS


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return Scheduler(config, log) if config.option.dist == "loadgroup" else None


class Scheduler(LoadGroupScheduling):
    """Places files as a whole, and browser tests one by one; these, and all others that need a
    running dashboard, first of all on the first workers."""

    def _split_scope(self, nodeid: str) -> str:
        group: str = super()._split_scope(nodeid)  # the test itself if it belongs to no group
        is_alone = group != nodeid or nodeid.startswith(_BROWSER_FOLDER)
        return group if is_alone else nodeid.split("::", 1)[0]

    def _assign_work_unit(self, node: Any) -> None:
        browser = int(node.gateway.id.removeprefix("gw")) < _BROWSER_WORKERS
        for scope, tests in self.workqueue.items():
            if next(iter(tests)).startswith(_ON_SERVER) == browser:
                self.workqueue.move_to_end(scope, last=False)
                break
        super()._assign_work_unit(node)
