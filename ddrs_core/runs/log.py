"""Certification logs: one tab-separated row a certificate, written as soon as it is there.

The first six columns are those of Cohen et al.'s ``certify.py``. The others hold all that is
needed to recompute the radius and to tell whether a run can be continued.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

from ddrs_core.errors import DDRSError, InvalidParameterError
from ddrs_core.runs.certify import CertifyRun
from ddrs_core.runs.certify_config import CertifyConfig
from ddrs_core.smoothing import Certificate

COLUMNS = (
    "idx", "label", "predict", "radius", "correct", "time",
    "sigma", "count", "n", "p_lower", "grade",
    "n0", "alpha", "bound", "seed", "precision", "model", "candidate", "counts",
    "dataset", "split", "sigma_0", "strategy", "device", "schedule",
)  # fmt: skip
OLDER_COLUMNS = COLUMNS[:-1]  # before samples could be drawn adaptively
SETTINGS = (
    "dataset", "split", "model", "sigma_0", "strategy", "n0", "n", "alpha", "bound", "seed",
    "precision", "device", "schedule",
)  # fmt: skip
_LOOKS = ("looks", "n_max", "first", "growth", "last")  # words of a schedule, see Looks
_MANY_CLASSES = 100
_MOST_CLASSES = 100_000
_MOST_SAMPLES = 10**12
HEADER = "\t".join(COLUMNS)
_COLUMNS_OF = {HEADER: COLUMNS, "\t".join(OLDER_COLUMNS): OLDER_COLUMNS}


class LogError(DDRSError):
    """A certification log cannot be written, read or continued."""


@dataclass(frozen=True)
class LogRow:
    """One row: a certificate, and the settings of the run that it came from, as text.

    Where samples were drawn adaptively, the column ``n`` holds how many this image got; the
    schedule, with the rule that stops, says how many there could have been.
    """

    certificate: Certificate
    settings: dict[str, str]  # a value for each name in SETTINGS

    def to_line(self, columns: Sequence[str] = COLUMNS) -> str:
        """The row as text, radius and other numbers at full precision; no line end."""
        c = self.certificate
        cells = {
            **self.settings,
            "idx": _text(c.index),
            "label": _text(c.label),
            "predict": str(c.prediction),
            "radius": repr(c.radius),
            "correct": str(int(bool(c.correct))),
            "time": f"{c.seconds:.4f}",
            "sigma": repr(c.sigma),
            "count": str(c.counts[c.candidate]),
            "n": str(c.n),
            "p_lower": repr(c.p_lower),
            "grade": c.grade.value,
            "candidate": str(c.candidate),
            "counts": _counts_text(c.counts),
            "schedule": self.settings.get("schedule") or c.schedule,
        }
        return "\t".join(cells[name] for name in columns)

    @classmethod
    def from_line(cls, line: str, columns: Sequence[str] = COLUMNS) -> LogRow:
        """Read a row of our own.

        Raises:
            ValueError: if it is damaged.
        """
        cells = {"schedule": "", **dict(zip(columns, line.split("\t"), strict=True))}
        counts = read_counts(cells["counts"])
        candidate, n = int(cells["candidate"]), int(cells["n"])
        if not -1 <= candidate < len(counts):
            raise ValueError(f"there is no class {candidate}")
        if not 1 <= n <= _MOST_SAMPLES or n != sum(counts) or min(counts) < 0:
            raise ValueError(f"{n} samples do not go with these votes")
        if not 0 < float(cells["alpha"]) < 1:
            raise ValueError(f"alpha cannot be {cells['alpha']}")
        certificate = Certificate.from_dict(
            {
                "dataset": cells["dataset"],
                "index": int(cells["idx"]) if cells["idx"] else None,
                "label": int(cells["label"]) if cells["label"] else None,
                "prediction": int(cells["predict"]),
                "radius": float(cells["radius"]),
                "sigma": float(cells["sigma"]),
                "grade": cells["grade"],
                "counts": counts,
                "n0": int(cells["n0"]),
                "n": n,
                "alpha": float(cells["alpha"]),
                "bound": cells["bound"],
                "p_lower": float(cells["p_lower"]),
                "seed": int(cells["seed"]),
                "precision": cells["precision"],
                "model": cells["model"],
                "seconds": float(cells["time"]),
                "candidate": candidate,
                "schedule": looks_text(cells["schedule"]),
            }
        )
        _check_look(certificate)
        return cls(certificate, {name: cells[name] for name in SETTINGS})


def _counts_text(counts: Sequence[int]) -> str:
    """Votes as ``5,0,95``; of many classes only those with votes, as ``1000 classes,7:5,9:95``."""
    if len(counts) <= _MANY_CLASSES:
        return ",".join(str(v) for v in counts)
    return ",".join([f"{len(counts)} classes", *(f"{c}:{v}" for c, v in enumerate(counts) if v)])


def read_counts(text: str) -> list[int]:
    """Votes of all classes from the text of a cell.

    Raises:
        ValueError: if it is something else.
    """
    first, *others = text.split(",")
    if not first.endswith(" classes"):
        return [int(v) for v in text.split(",")]
    size = int(first.removesuffix(" classes"))
    if not 2 <= size <= _MOST_CLASSES:
        raise ValueError(f"{size} classes cannot be")
    counts = [0] * size
    for pair in others:
        number, _, votes = pair.partition(":")
        if not 0 <= int(number) < size:
            raise ValueError(f"there is no class {number}")
        counts[int(number)] = int(votes)
    return counts


def looks_text(schedule: str) -> str:
    """The part of a schedule that a certificate keeps: the looks, without the rule that stops."""
    looks = [cell for cell in schedule.split(" ") if cell.partition("=")[0] in _LOOKS]
    return " ".join(looks)


def _check_look(certificate: Certificate) -> None:
    """Raises ValueError if no look stands at the number of samples."""
    try:
        certificate.spent  # noqa: B018 (asked for its complaint)
    except InvalidParameterError as error:
        raise ValueError(str(error)) from None


def run_settings(run: CertifyRun) -> dict[str, str]:
    """What rows of one file must have in common, as the text that stands in the file."""
    forward = run.smoothed.forward
    return settings_text(run.config, forward.digest, forward.precision, forward.device.type)


def settings_text(
    config: CertifyConfig, model: str, precision: str, device_type: str
) -> dict[str, str]:
    """The same, of a run whose model is known by its digest."""
    return {
        "dataset": config.dataset,
        "split": config.split,
        "model": model,
        "sigma_0": repr(float(config.sigma)),
        "strategy": _strategy_text(config),
        "n0": str(config.n0),
        "n": str(config.n),
        "alpha": repr(float(config.alpha)),
        "bound": config.bound.value,
        "seed": str(config.seed),
        "precision": precision,
        "device": device_type,  # its noise differs from that of other kinds of device
        "schedule": "" if config.until is None else config.samples.to_text(),
    }


def _strategy_text(config: CertifyConfig) -> str:
    """Such as ``fixed`` or ``ds ascent lr=0.05 steps=60 ...``."""
    if config.strategy is None:
        return config.method.value
    kind = type(config.strategy).__name__.removesuffix("Config").lower()
    cells = [f"{name}={_plain(value)}" for name, value in asdict(config.strategy).items()]
    return " ".join([config.method.value, kind, *cells])


def read_rows(text: str, name: str) -> list[LogRow]:
    """The rows of one of our logs; a last line without its end counts as cut off.

    Raises:
        LogError: if it is not one of our logs, or a row inside it is damaged.
    """
    lines = text[: text.rfind("\n") + 1].splitlines()
    if lines[0] not in _COLUMNS_OF if lines else not HEADER.startswith(text):
        raise LogError(f"{name} is not a certification log of this program.")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            rows.append(LogRow.from_line(line, _COLUMNS_OF[lines[0]]))
        except (ValueError, KeyError):
            raise LogError(
                f"Line {number} of {name} is damaged. Remove it and all after it, then resume."
            ) from None
    return rows


class LogFile:
    """A log that is being written; a context manager that holds the file.

    Args:
        path: the file.
        rows: rows that are in it already.
        columns: of the table; a file of an earlier version keeps its own.
    """

    def __init__(
        self, path: Path, file: IO[str], rows: list[LogRow], columns: Sequence[str] = COLUMNS
    ) -> None:
        self.path = path
        self.rows = rows
        self._columns = columns
        self._file = file

    @classmethod
    def create_all(cls, paths: Sequence[Path]) -> list[LogFile]:
        """Start new files. What was there is lost, but none of it unless all can be written.

        Raises:
            LogError: if one cannot be written or another run writes it.
        """
        files: list[IO[str]] = []
        new = [path for path in paths if not path.exists()]
        try:
            for path in paths:
                files.append(_open_locked(path))  # noqa: PERF401 (to close those that are open)
        except LogError:
            for path, file in zip(paths, files, strict=False):
                if path in new:
                    path.unlink()
                file.close()
            raise
        logs = [cls(path, file, []) for path, file in zip(paths, files, strict=True)]
        for log in logs:
            log._cut(0)
            log._write(HEADER)
        return logs

    @classmethod
    def resume(
        cls,
        path: Path,
        settings: dict[str, str],
        plan: Sequence[int],
        labels: Sequence[int | None] | None = None,
    ) -> LogFile:
        """Open a file to continue it, repairing a last line that was cut off; or start it.

        Args:
            path: the file.
            settings: of the run.
            plan: numbers of its images.
            labels: of those images, which tell other images of the same name and numbers.

        Raises:
            LogError: if it cannot be written, another run writes it, or its rows were made with
                other settings or from other images.
        """
        file = _open_locked(path)
        try:
            text = file.read()
            rows = read_rows(text, str(path))
            _check_same_run(rows, settings, plan, path)
            _check_labels(rows, labels, path)
        except UnicodeDecodeError:
            file.close()
            raise LogError(f"{path} is not a certification log of this program.") from None
        except LogError:
            file.close()
            raise
        if not rows:
            log = cls(path, file, rows)
            log._cut(0)
            log._write(HEADER)
            return log
        log = cls(path, file, rows, _COLUMNS_OF[text[: text.index("\n")]])
        log._cut(len(text[: text.rfind("\n") + 1].encode()))
        return log

    def append(self, row: LogRow) -> None:
        """Write one row; it is on its way to the disk when this returns."""
        self._write(row.to_line(self._columns))
        self.rows.append(row)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def _cut(self, size: int) -> None:
        self._file.truncate(size)
        self._file.seek(0, os.SEEK_END)

    def _write(self, line: str) -> None:
        self._file.write(line + "\n")
        self._file.flush()


def _open_locked(path: Path) -> IO[str]:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise LogError(f"{path} cannot be written: {error.strerror}.") from None
    file = os.fdopen(handle, "r+", encoding="utf-8", newline="")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise LogError(f"{path} is being written by another run.") from None
    return file


def _check_same_run(
    rows: list[LogRow], settings: dict[str, str], plan: Sequence[int], path: Path
) -> None:
    compared = {"schedule": "", **settings}
    if compared["schedule"]:
        compared.pop("n", None)  # each image has its own, and the schedule holds the most
    for row in rows:
        for name, value in compared.items():
            if row.settings[name] != value:
                raise LogError(
                    f"{path} was made with other settings: its {name} is "
                    f"{row.settings[name]!r}, not {value!r}; use the same or another --out."
                )
    if [row.certificate.index for row in rows] != list(plan[: len(rows)]):
        raise LogError(
            f"{path} holds other images than those asked for; repeat the selection of the first "
            "run or use another --out."
        )


def _check_labels(rows: list[LogRow], labels: Sequence[int | None] | None, path: Path) -> None:
    for row, label in zip(rows, labels or (), strict=False):
        if row.certificate.label != label:
            raise LogError(
                f"{path} was made of other images: image {row.certificate.index} had the label "
                f"{row.certificate.label} there, and has {label} here. Use another --out."
            )


def _text(value: int | None) -> str:
    return "" if value is None else str(value)


def _plain(value: object) -> str:
    return ":".join(repr(v) for v in value) if isinstance(value, tuple) else repr(value)
