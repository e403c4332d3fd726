"""The progress bar: on stderr, and only where somebody is watching."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm


def progress_bar(options: argparse.Namespace, *, total: int, unit: str, done: int = 0) -> tqdm[Any]:
    """A bar for ``total`` units, silent with ``--json``, ``--quiet`` or without a terminal."""
    from tqdm import tqdm

    hidden = options.json or options.quiet or not sys.stderr.isatty()
    return tqdm(
        total=total, initial=done, unit=unit, disable=hidden, file=sys.stderr, dynamic_ncols=True
    )
