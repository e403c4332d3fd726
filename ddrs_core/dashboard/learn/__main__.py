"""Compute again what the lessons show: ``python -m ddrs_core.dashboard.learn``."""

from __future__ import annotations

from ddrs_core.dashboard.learn import course  # noqa: F401, the lessons add what they compute
from ddrs_core.dashboard.learn.precomputed import COMPUTE, FOLDER

if __name__ == "__main__":
    for name, compute in COMPUTE.items():
        (FOLDER / name).write_bytes(compute())
