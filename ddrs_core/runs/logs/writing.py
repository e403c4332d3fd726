"""A certification log that is being written: started, continued where it stopped, never mixed."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from filelock import FileLock, Timeout

from ddrs_core.errors import DDRSError
from ddrs_core.file_access import check_regular, open_regular, writing
from ddrs_core.runs.certify.config import ONE_SIGMA, Method
from ddrs_core.runs.logs.columns import (
    COLUMNS,
    COLUMNS_OF,
    HEADER,
    LogError,
    LogRow,
    line_end,
    read_rows,
    whole_lines,
)
from ddrs_core.smoothing import Grade
from ddrs_core.smoothing.recompute import recompute

_ROUNDING = 1e-9  # of a radius that another version of the same formulas gives


def recorded_cells(path: Path) -> dict[str, str]:
    """The last row of a file by column, which says how it was made; empty where there is none, or
    no such file (opening it for writing reports why)."""
    try:
        with open_regular(path) as file:
            lines = whole_lines(file.read().decode())
    except (OSError, DDRSError, UnicodeDecodeError):
        return {}
    if len(lines) < 2:
        return {}
    columns = COLUMNS_OF.get(lines[0], ())
    return dict(zip(columns, lines[-1].split("\t"), strict=False))


class LogFile:
    """A log that is being written; a context manager that holds the file.

    Args:
        path: the file.
        file: the open file.
        lock: held until the file is closed, so that no other run writes it.
        rows: rows that are in it already.
        columns: of the table; a file of an earlier version keeps its own.
        end: of a line; a file that went through an editor keeps its own.
    """

    def __init__(
        self,
        path: Path,
        file: IO[str],
        lock: FileLock,
        rows: list[LogRow],
        columns: Sequence[str] = COLUMNS,
        end: str = "\n",
    ) -> None:
        self.path = path
        self.rows = rows
        self._columns = columns
        self._end = end
        self._file, self._lock = file, lock

    @classmethod
    def create_all(cls, paths: Sequence[Path]) -> list[LogFile]:
        """Start new files. What was there is lost, but none of it unless all can be written.

        Raises:
            LogError: if one cannot be written or another run writes it.
        """
        opened: list[tuple[IO[str], FileLock]] = []
        new = [path for path in paths if not path.exists()]
        try:
            for path in paths:
                opened.append(_open_locked(path))  # noqa: PERF401 (to close those that are open)
        except LogError:
            for path, (file, lock) in zip(paths, opened, strict=False):
                if path in new:
                    path.unlink()
                file.close()
                _release(lock)
            raise
        logs = [cls(path, *both, []) for path, both in zip(paths, opened, strict=True)]
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
            LogError: if it cannot be written, another run writes it, its rows were made with
                other settings or from other images, or were changed since.
        """
        file, lock = _open_locked(path)
        try:
            text = file.read()
            rows = read_rows(text, str(path))
            _check_same_run(rows, settings, plan, path)
            _check_labels(rows, labels, path)
            _check_unchanged(rows, whole_lines(text), path)
        except (UnicodeDecodeError, LogError) as error:
            file.close()
            _release(lock)
            if isinstance(error, LogError):
                raise
            raise LogError(f"{path} is not a certification log of this program.") from None
        if not rows:
            log = cls(path, file, lock, rows)
            log._cut(0)
            log._write(HEADER)
            return log
        end = line_end(text)
        log = cls(path, file, lock, rows, COLUMNS_OF[whole_lines(text)[0]], end)
        log._cut(len(text[: text.rfind(end[-1]) + 1].encode()))
        return log

    def append(self, row: LogRow) -> None:
        """Write one row; it is on its way to the disk when this returns."""
        self._write(row.to_line(self._columns))
        self.rows.append(row)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *exception: object) -> None:
        try:
            with writing(self.path, LogError):
                self._file.close()
        except LogError:
            if kind is None:  # otherwise there is a first error, which says more
                raise
        finally:
            _release(self._lock)

    def _cut(self, size: int) -> None:
        with writing(self.path, LogError):
            self._file.truncate(size)
            self._file.seek(0, os.SEEK_END)

    def _write(self, line: str) -> None:
        with writing(self.path, LogError):
            self._file.write(line + self._end)
            self._file.flush()


def lock_of(path: Path) -> FileLock:
    """The lock of a log: a hidden file beside it that is there while a run writes the log."""
    return FileLock(path.with_name(f".{path.name}.lock"), timeout=0)


def _open_locked(path: Path) -> tuple[IO[str], FileLock]:
    lock = lock_of(path)
    with writing(path, LogError):
        os.stat(path.parent)  # a lock would make the folder
        if path.exists():
            check_regular(path, LogError)
        # The log first: a lock would create a folder that is missing.
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            lock.acquire()
        except BaseException as error:
            os.close(handle)
            if isinstance(error, Timeout):
                raise LogError(f"{path} is being written by another run.") from None
            raise
    return os.fdopen(handle, "r+", encoding="utf-8", newline=""), lock


def _release(lock: FileLock) -> None:
    with suppress(OSError):  # Windows refuses to remove an open file
        os.unlink(lock.lock_file)
    lock.release()


def _check_same_run(
    rows: list[LogRow], settings: dict[str, str], plan: Sequence[int], path: Path
) -> None:
    compared = {"schedule": "", **settings}
    if compared["schedule"]:
        compared.pop("n", None)  # each image has its own, and the schedule holds the most
    for row in rows:
        for name, value in compared.items():
            if name == "n" and row.certificate.failure:
                continue  # no sample was drawn
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


def _check_unchanged(rows: list[LogRow], lines: list[str], path: Path) -> None:
    """Raises LogError if a row is not what its own votes give, or not as this program writes it."""
    certificates = [row.certificate for row in rows]
    for number, (row, found) in enumerate(zip(rows, recompute(certificates), strict=True), start=2):
        c, method = row.certificate, row.settings["strategy"].split(" ")[0]
        known = row.settings["sigma_0"] if method == Method.FIXED else certificates[0].sigma
        problem = found.problem
        if not math.isclose(c.radius, found.radius, rel_tol=_ROUNDING, abs_tol=_ROUNDING * c.sigma):
            problem = problem or f"its votes prove a radius of {found.radius!r}, not {c.radius!r}"
        elif c.prediction != found.prediction:
            problem = problem or f"its votes prove class {found.prediction}, not {c.prediction}"
        elif method in ONE_SIGMA and c.sigma != float(known):
            problem = problem or f"its sigma is {c.sigma:g} instead of {known}"
        elif (c.grade is Grade.UNCONDITIONAL) != (method in ONE_SIGMA):
            problem = problem or f"its grade cannot be {c.grade.value!r}"
        elif row.to_line(COLUMNS_OF[lines[0]]) != lines[number - 1]:
            problem = problem or "its cells do not go together"
        if problem:
            raise LogError(
                f"Line {number} of {path} (image {c.index}) was changed after it was written: "
                f"{problem}. Put it back as it was, or remove it and all after it, then resume; "
                "the file is as it was."
            )


def _check_labels(rows: list[LogRow], labels: Sequence[int | None] | None, path: Path) -> None:
    for row, label in zip(rows, labels or (), strict=False):
        if row.certificate.label != label:
            raise LogError(
                f"{path} was made of other images: image {row.certificate.index} had the label "
                f"{row.certificate.label} there, and has {label} here. Use another --out."
            )
