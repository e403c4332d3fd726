"""The progress bar: on stderr, and only in a terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

    from ddrs_core.download import DownloadProgress


def show_download(options: argparse.Namespace, steps: Iterable[DownloadProgress]) -> None:
    """Carry a download out under a bar of bytes."""
    with progress_bar(options, total=0, unit="B") as bar:
        bar.unit_scale = True
        for step in steps:
            bar.set_description(step.stage, refresh=False)
            bar.total = step.total
            bar.n = step.done
            bar.refresh()


def progress_bar(options: argparse.Namespace, *, total: int, unit: str, done: int = 0) -> tqdm[Any]:
    """A bar for ``total`` units, silent with ``--json``, ``--quiet`` or without a terminal."""
    from tqdm import tqdm

    hidden = options.json or options.quiet or not sys.stderr.isatty()
    return tqdm(
        total=total, initial=done, unit=unit, disable=hidden, file=sys.stderr, dynamic_ncols=True
    )
