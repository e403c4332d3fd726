"""What tunings of one sigma have measured, as they are kept: in the user's data folder, and for the
digits models with the program."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ddrs_core.atomic_write import write_atomically
from ddrs_core.errors import DDRSError
from ddrs_core.paths import home
from ddrs_core.runs.certify.tuned import LevelScore

SHIPPED = Path(__file__).resolve().parents[3] / "assets" / "results" / "tuned"


@dataclass(frozen=True)
class Tuning:
    """The noise levels that were tried for all images, and what training images certify there.

    Scores with the most votes decide; those with fewer are of a first round over all levels.
    """

    dataset: str
    model: str  # digest of its weights
    sigma_0: float
    images: int  # of the training split
    n0: int
    n: int  # votes of each certificate, at most
    alpha: float
    bound: str
    adaptive: bool  # the radii are lower bounds, to a relative width of 10 %
    precision: str
    device: str  # cpu or cuda
    tuned: float | None = None  # the level that was chosen; None: the tuning was interrupted
    scores: tuple[LevelScore, ...] = ()

    def of_votes(self, n: int) -> list[LevelScore]:
        """The scores with ``n`` votes a certificate, by level."""
        return sorted((s for s in self.scores if s.n == n), key=lambda score: score.sigma)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def tunings_folder() -> Path:
    """Where the tunings of this user are kept."""
    return home() / "tuned"


def find_tuning(model: str, dataset: str, bound: str | None = None) -> Tuning | None:
    """What is known of one sigma for all images: of those with the same bound, else of all, the
    tuning with most votes; the user's own before one that comes with the program.

    Args:
        model: digest of its weights.
        dataset: name.
        bound: of the certificates to compare with.
    """
    files = [path for folder in (tunings_folder(), SHIPPED) for path in folder.glob("*.json")]
    found = [_read(path, path.stat().st_mtime_ns) for path in files]
    fitting = [t for t in found if t and t.scores and (t.model, t.dataset) == (model, dataset)]
    rank = [(t.bound == bound, t.tuned is not None, t.n) for t in fitting]
    return fitting[rank.index(max(rank))] if rank else None


@lru_cache(maxsize=1024)
def _read(path: Path, version: int) -> Tuning | None:
    """The tuning in a file; None of one that is damaged, or does not tell what it is of."""
    scores = read_scores(path)
    try:
        about = json.loads(path.read_text(encoding="utf-8"))["of"]
        return Tuning(**about, scores=tuple(scores))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_scores(path: Path) -> list[LevelScore]:
    """The scores in a file; none of one that is missing or damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["digest"] != _digest(data["scores"]):
            return []
        return [LevelScore.from_dict(score) for score in data["scores"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def write_tuning(path: Path, tuning: Tuning, scores: Sequence[LevelScore]) -> None:
    """Keep scores, and what they are of. A folder that cannot be written to is no error: they are
    measured again next time."""
    about = replace(tuning, scores=()).to_dict()
    del about["scores"]
    listed = [asdict(score) for score in scores]
    data = json.dumps({"of": about, "scores": listed, "digest": _digest(listed)}, indent=1)
    with suppress(DDRSError):
        write_atomically(path, data.encode())


def _digest(scores: object) -> str:
    return hashlib.sha256(json.dumps(scores).encode()).hexdigest()[:16]
