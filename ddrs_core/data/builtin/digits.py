"""The handwritten digits that scikit-learn ships: 1,797 real images of 8x8 pixels.

Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository (1998).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ddrs_core.data.dataset import DatasetInfo, Entry

INFO = DatasetInfo(
    name="digits",
    title="Handwritten digits",
    description="1,797 scans of handwritten digits at 8x8 pixels (UCI / scikit-learn), "
    "split 1,297 to 500 into train and test.",
    class_names=tuple(str(d) for d in range(10)),
    shape=(1, 8, 8),
    origin="ships with scikit-learn",
)
_SPLIT_SEED = 20220801
_TEST_SIZE = 500
_LEVELS = 16.0  # pixels are integers from 0 to 16


def find() -> Entry:
    """The digits, which are always there."""
    return Entry(INFO, "1", lambda _, split: load_digits_split(split))


def load_digits_split(split: str) -> tuple[Tensor, NDArray[np.int64]]:
    """Images [M, 1, 8, 8] in [0, 1] and labels [M] of ``"train"`` (1,297) or ``"test"`` (500).

    The split is a fixed seeded permutation, so it is the same on every machine.
    """
    table = _load_table()
    order = np.random.Generator(np.random.PCG64(_SPLIT_SEED)).permutation(len(table))
    chosen = table[order[:_TEST_SIZE] if split == "test" else order[_TEST_SIZE:]]
    images = (chosen[:, :-1].reshape(-1, *INFO.shape) / _LEVELS).astype(np.float32)
    return torch.from_numpy(images), chosen[:, -1].astype(np.int64)


def _load_table() -> NDArray[np.float64]:
    """The 64 pixels and the label of each image, [1797, 65].

    They are read from scikit-learn's file, since importing that library takes nearly a second; it
    is asked for them where the file lies elsewhere.
    """
    spec = importlib.util.find_spec("sklearn")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        return np.loadtxt(path, delimiter=",")
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.column_stack([bunch.data, bunch.target])
