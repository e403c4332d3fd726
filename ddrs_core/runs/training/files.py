"""The files of a training run, and its saved state.

In ``DIR``, for a model ``NAME``::

    NAME.safetensors, NAME.json   the model and its card, once the run has ended
    NAME.log.jsonl                the training log: settings, then a line an epoch
    NAME.run/state.pt             all that is needed to go on; gone once the run has ended
    NAME.run/progress.json        how far it is, twice a second
    NAME.run/tensorboard/         the same figures for TensorBoard
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ddrs_core.atomic_write import replacing
from ddrs_core.errors import DDRSError


@dataclass(frozen=True)
class TrainingFiles:
    """Where the files of a run lie."""

    folder: Path
    name: str

    @property
    def model(self) -> Path:
        return self.folder / f"{self.name}.safetensors"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log.jsonl"

    @property
    def run(self) -> Path:
        return self.folder / f"{self.name}.run"

    @property
    def state(self) -> Path:
        return self.run / "state.pt"

    @property
    def progress(self) -> Path:
        return self.run / "progress.json"

    @property
    def tensorboard(self) -> Path:
        return self.run / "tensorboard"

    def remove(self) -> None:
        """Forget an earlier run and its result."""
        shutil.rmtree(self.run, ignore_errors=True)
        for path in (self.model, self.model.with_suffix(".json"), self.log):
            path.unlink(missing_ok=True)


def write_state(state: dict[str, Any], path: Path) -> None:
    """Write a trainer's state so that no reader ever sees half of it."""
    with (
        replacing(path, partial=path.with_suffix(".partial")) as partial,
        partial.open("wb") as file,
    ):
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())


def read_state(path: Path) -> dict[str, Any]:
    """Read what :func:`write_state` wrote.

    Raises:
        DDRSError: if the file is damaged or something else.
    """
    try:
        state = dict(torch.load(path, map_location="cpu", weights_only=True))
        _ = state["config"], state["step"], state["network"], state["momentum"]
        return state
    except Exception as error:
        raise DDRSError(
            f"The saved state {path} cannot be read ({type(error).__name__}). Start the run afresh "
            "with --overwrite."
        ) from None
