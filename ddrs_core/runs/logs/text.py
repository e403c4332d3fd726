"""The text of certification logs: bytes to lines, within bounds of time and memory, and cells."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ddrs_core.quantities import counted
from ddrs_core.runs.logs.columns import LogError, line_end

MOST_BYTES = 64 * 2**20
MOST_ROWS = 200_000
_LONGEST_LINE = 200_000  # characters; votes of very many classes
_BOM = "\ufeff"
_WHOLE = re.compile(r"[+-]?[0-9]{1,10}(\.0*)?")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(nan|inf(inity)?)", re.I)
_TIME = re.compile(r"(?:([0-9]{1,6}) days?, )?([0-9]{1,6}):([0-9]{2}):([0-9]{2}(?:\.[0-9]+)?)")
_LONGEST = 40  # characters of a number
_LARGEST = 1e6  # of a radius, a noise level
_LONGEST_TIME = 1e9  # seconds
_SUFFIXES = re.compile(r"(\.(tsv|txt|csv|log|tab|dat))+$", re.I)


class Findings:
    """What was found while reading, how often, and where first."""

    def __init__(self) -> None:
        self._found: dict[str, list[int]] = {}

    def add(self, what: str, line: int | None = None) -> None:
        """Note ``what``, which may hold ``{rows}``: a description of the lines."""
        self._found.setdefault(what, []).append(line or 0)

    def sentences(self) -> Iterator[str]:
        for what, lines in self._found.items():
            where = f"line {lines[0]}"
            if len(lines) > 1:
                where = f"{counted(len(lines), 'line')} (the first is {where})"
            yield what.format(rows=where)


def decode_log(data: bytes, name: str, findings: Findings) -> str:
    if not data:
        raise LogError(f"{name} is empty.")
    if len(data) > MOST_BYTES:
        raise LogError(
            f"{name} is larger than {MOST_BYTES >> 20} MB; a log of 10,000 images has 1 to 10 MB."
        )
    if b"\0" in data:
        raise LogError(f"{name} is not a certification log: it is not text (UTF-8).")
    if max(data.count(b"\n"), data.count(b"\r")) > MOST_ROWS + 1:
        raise LogError(f"{name} has more than {MOST_ROWS:,} lines, too many for a log.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.end >= len(data) > 3 and error.reason == "unexpected end of data":
            text = data[: error.start].decode("utf-8")  # cut within a character
        else:
            raise LogError(f"{name} is not a certification log: it is not text (UTF-8).") from None
    if text.startswith(_BOM):
        findings.add("The file starts with a byte order mark, which was skipped.")
        text = text.removeprefix(_BOM)
    if not text:
        raise LogError(f"{name} is empty.")
    return text


def log_title(name: str) -> str:
    """What a log is called: its file name without the suffixes of tables. Other dots stay: Cohen
    et al. call their logs ``sigma_0.25``."""
    base = Path(name).name
    return _SUFFIXES.sub("", base) or base or name


def distinct_titles(paths: Sequence[Path]) -> list[str]:
    """A title for each log, with as many parent folders as distinguish it from the other logs:
    Cohen et al. call every log of a noise level ``sigma_0.25``."""
    titles = []
    for path in paths:
        parts, others = path.absolute().parts, {p.absolute().parts for p in paths}
        size = 1
        while size < len(parts) and any(
            other != parts and _tail(other, size) == _tail(parts, size) for other in others
        ):
            size += 1
        titles.append("/".join(_tail(parts, size)))
    return titles


def _tail(parts: Sequence[str], size: int) -> list[str]:
    return [*parts[:-1][len(parts) - size :], log_title(parts[-1])]


def split_lines(text: str, name: str, findings: Findings) -> tuple[list[str], bool]:
    """The lines, and whether the last one lacks its end."""
    end = line_end(text)
    if end == "\r":
        findings.add("The lines end in CR alone.")
    lines = text.split("\r" if end == "\r" else "\n")
    cut = lines[-1] != ""
    if not cut:
        lines.pop()
    if any(line.endswith("\r") for line in lines):
        findings.add("The lines end as on Windows (CR LF).")
        lines = [line.removesuffix("\r") for line in lines]
    for number, line in enumerate(lines, start=1):
        if len(line) > _LONGEST_LINE:
            raise LogError(f"Line {number} of {name} is too long for a certification log.")
    return lines, cut


def read_whole(text: str, name: str, *, least: int) -> int:
    """A whole number of at least ``least``, also as ``3.0``.

    Raises:
        ValueError: if it is something else.
    """
    cell = text.strip()
    if not _WHOLE.fullmatch(cell):
        raise ValueError(f"{name} is {text[:_LONGEST]!r}, not a whole number")
    number = int(float(cell))
    if number < least:
        raise ValueError(f"{name} is {number}, below {least}")
    return number


def read_number(text: str, name: str) -> float:
    """A number, possibly NaN, such as ``0.635`` or ``7.11e-05``.

    Raises:
        ValueError: if it is something else, infinite, or beyond all reason.
    """
    cell = text.strip()
    if len(cell) > _LONGEST or not _NUMBER.fullmatch(cell):
        raise ValueError(f"{name} is {text[:_LONGEST]!r}, not a number")
    number = float(cell)
    if abs(number) > _LARGEST:
        raise ValueError(f"{name} is {number:g}, which cannot be")
    return number


def read_seconds(text: str) -> float:
    """A time such as ``0:00:14.2``, ``1 day, 0:00:15`` or ``15.4``, in seconds.

    Raises:
        ValueError: if it is something else or negative.
    """
    cell = text.strip()
    found = _TIME.fullmatch(cell)
    if found:
        days, hours, minutes, seconds = found.groups()
        total = 86400.0 * int(days or 0) + 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    elif len(cell) <= _LONGEST and _NUMBER.fullmatch(cell):
        total = float(cell)
    else:
        raise ValueError(f"time is {text[:_LONGEST]!r}, neither seconds nor h:mm:ss")
    if not (math.isfinite(total) and 0 <= total <= _LONGEST_TIME):
        raise ValueError(f"time is {text[:_LONGEST]!r}, which cannot be")
    return total


def read_flag(text: str) -> bool:
    """``0``/``1`` or ``False``/``True``.

    Raises:
        ValueError: if it is something else.
    """
    cell = text.strip().lower()
    if cell not in ("0", "1", "0.0", "1.0", "true", "false"):
        raise ValueError(f"correct is {text[:_LONGEST]!r}, neither 0 nor 1")
    return cell in ("1", "1.0", "true")
