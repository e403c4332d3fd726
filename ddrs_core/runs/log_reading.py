"""Reading certification logs: our own, Cohen et al.'s, and every known relative of theirs.

Nothing is repaired silently: what was left out or read in another way than it stands becomes a
sentence in the notes of the results, what cannot be read is an error that names the line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np

from ddrs_core.runs.log import LogError, LogRow
from ddrs_core.runs.log_cells import read_flag, read_number, read_seconds, read_whole
from ddrs_core.runs.log_dialect import Dialect, Header, read_header
from ddrs_core.runs.log_text import MOST_BYTES, Findings, decode_log, split_lines
from ddrs_core.runs.results import (
    UNKNOWN,
    ResultRow,
    ResultSet,
    Source,
    from_certificates,
)
from ddrs_core.smoothing import ABSTAIN, Bound, Certificate, Grade

_NORMAL = NormalDist()
_ROUNDING = 1e-9  # of a radius that another version of the same formulas gives
_MOST_VOTES = 50_000_000  # numbers in the vote counts of all rows together


def read_log(path: Path) -> ResultSet:
    """Read a log of any known dialect; a header without rows gives a set without rows.

    Raises:
        LogError: in words, if the file cannot be read, is too large or is something else.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise LogError(f"{path} cannot be read: {error.strerror}.") from None
    return parse_log(data, str(path))


def parse_log(data: bytes, name: str) -> ResultSet:
    """As :func:`read_log`, from the bytes of a file.

    Args:
        data: what stands in the file.
        name: of the file, for messages and the title.
    """
    findings = Findings()
    text = decode_log(data, name, findings)
    lines, cut = split_lines(text, name, findings)
    header = read_header(lines[0], name, findings)
    rows, settings = _read_rows(lines, header, cut, name, findings)
    notes = (*header.notes, *findings.sentences(), *_about(rows))
    title, key = Path(name).stem, f"log-{hashlib.sha256(data).hexdigest()[:16]}"
    if header.dialect is Dialect.OURS:
        made = from_certificates(
            [row.certificate for row in rows if row.certificate is not None],
            id=key, title=title, settings=settings, source=Source.LOG, notes=notes,
        )  # fmt: skip
        return replace(made, rows=tuple(rows), dialect=header.dialect)
    sigma, method = _sigma_and_method(rows)
    return ResultSet(
        id=key,
        title=title,
        rows=tuple(rows),
        source=Source.LOG,
        dialect=header.dialect,
        method=method,
        sigma=sigma,
        notes=notes,
    )


def _read_rows(
    lines: Sequence[str], header: Header, cut: bool, name: str, findings: Findings
) -> tuple[list[ResultRow], dict[str, str]]:
    """All rows, and the settings that our own logs hold."""
    rows: list[ResultRow] = []
    seen: dict[int, ResultRow] = {}
    settings: dict[str, str] = {}
    votes = 0
    for number, line in enumerate(lines[1:], start=2):
        last = cut and number == len(lines)
        if last and _is_cut_off(line, header):
            findings.add("The last line ({rows}) is cut off and was left out.", number)
            continue
        if not line.strip():
            findings.add("Empty lines were skipped: {rows}.", number)
            continue
        if line == lines[0]:
            findings.add("The header stands again, and was skipped, in {rows}.", number)
            continue
        try:
            row, own = _read_row(line, header, number, findings)
        except (ValueError, KeyError) as error:
            raise LogError(f"Line {number} of {name} cannot be read: {str(error)[:200]}.") from None
        if last:
            findings.add("The last line ({rows}) has no end; its last cell may be cut.", number)
        if own is not None:
            settings = settings or own.settings
            if any(own.settings[key] != settings[key] for key in ("split", "sigma_0", "strategy")):
                findings.add("The settings differ from those of the first row in {rows}.", number)
            votes += len(own.certificate.counts)
        if votes > _MOST_VOTES:
            raise LogError(f"{name} holds too many vote counts: {_MOST_VOTES:,} are the most.")
        before = None if row.index is None else seen.get(row.index)
        if before is not None:
            _check_repeated(row, before, number, name)
            findings.add("Images that stand twice were left out in {rows}.", number)
            continue
        if row.index is not None:
            seen[row.index] = row
        rows.append(row)
    return rows, settings


def _is_cut_off(line: str, header: Header) -> bool:
    """Whether a line without its end is unfinished. Ours always end, so there it is; files that
    went through an editor may lack the last end only."""
    if header.dialect is Dialect.OURS:
        return True
    try:
        _read_row(line, header, 0, Findings())
    except (ValueError, KeyError):
        return True
    return False


def _check_repeated(row: ResultRow, before: ResultRow, number: int, name: str) -> None:
    same = (row.label, row.prediction, row.radius) == (
        before.label, before.prediction, before.radius,
    )  # fmt: skip
    if not same:
        raise LogError(
            f"Line {number} of {name} gives another answer for image {row.index} than a line "
            "before: there are two runs in one file."
        )


def _read_row(
    line: str, header: Header, number: int, findings: Findings
) -> tuple[ResultRow, LogRow | None]:
    """One row; of our own logs also with all that it holds.

    Raises:
        ValueError: in words, if it cannot be read.
    """
    parts = line.split("\t")
    if len(parts) != len(header.names):
        raise ValueError(f"it has {len(parts)} cells where the header has {len(header.names)}")
    cells = dict(zip(header.names, parts, strict=True))
    text = cells[header.index].strip()
    index = read_whole(text, header.index, least=0) if text or not _ours(header) else None
    said = read_whole(cells["predict"], "predict", least=ABSTAIN)
    prediction, radius = _read_radius(cells, said, number, findings)
    label, correct = _read_label(cells, said, prediction, number, findings)
    time, sigma = cells.get("time", "").strip(), None
    if header.sigma is not None:
        sigma = read_number(cells[header.sigma], header.sigma)
        if not sigma > 0:
            raise ValueError(f"{header.sigma} is {sigma:g}, not above 0")
    row = ResultRow(
        index, label, prediction, radius, correct, read_seconds(time) if time else None, sigma
    )
    if not _ours(header):
        return row, None
    own = LogRow.from_line(line, header.names)
    certificate = replace(own.certificate, prediction=prediction, radius=radius)
    proved = _proved_radius(certificate)
    if proved < radius:
        findings.add(
            "Radii above what the votes in their own rows prove were lowered to that: {rows}.",
            number,
        )
        prediction = prediction if proved > 0 else ABSTAIN
        certificate = replace(certificate, prediction=prediction, radius=proved)
        row = replace(row, prediction=prediction, radius=proved, correct=certificate.correct)
    return replace(row, certificate=certificate), LogRow(certificate, own.settings)


def _proved_radius(certificate: Certificate) -> float:
    """The radius, or what the votes prove where that is less; a memory may have enlarged it."""
    c = certificate
    if c.radius == 0 or c.grade is Grade.FOR_QUERIES_AFTER:
        return c.radius
    if c.bound is Bound.ONE_SIDED and c.p_lower * c.n <= c.counts[c.candidate]:  # quick, nearly all
        plain = 0.0 < c.p_lower < 1.0 and c.sigma * _NORMAL.inv_cdf(c.p_lower)
        if c.radius <= plain * (1 + _ROUNDING):
            return c.radius
    proved = c.recompute_radius()
    return proved if c.radius > proved * (1 + _ROUNDING) else c.radius


def _ours(header: Header) -> bool:
    return header.dialect is Dialect.OURS


def _read_radius(
    cells: dict[str, str], prediction: int, number: int, findings: Findings
) -> tuple[int, float]:
    """Prediction and radius, which contradict each other in some logs."""
    if "radius" not in cells:
        return prediction, 0.0
    radius = read_number(cells["radius"], "radius")
    if radius != radius:
        if prediction != ABSTAIN:
            raise ValueError(f"radius is not a number (NaN) for class {prediction}")
        findings.add("Radii of abstentions that are no number were read as 0: {rows}.", number)
    elif radius < 0:
        findings.add("Negative radii were read as abstentions with radius 0: {rows}.", number)
    elif radius > 0 and prediction == ABSTAIN:
        findings.add("Abstentions with a radius above 0 were read with radius 0: {rows}.", number)
    elif prediction != ABSTAIN:
        return prediction, radius
    return ABSTAIN, 0.0


def _read_label(
    cells: dict[str, str], said: int, prediction: int, number: int, findings: Findings
) -> tuple[int | None, bool | None]:
    """Label, and whether ``prediction`` is right; the label is believed more than ``correct``."""
    flag, text = cells.get("correct", "").strip(), cells.get("label", "").strip()
    if not text:
        if "label" in cells or not flag:
            return None, None
        return None, read_flag(flag) and prediction != ABSTAIN
    label = read_whole(text, "label", least=0)
    if flag and read_flag(flag) != (said == label):
        findings.add(
            "The column correct contradicts label and predict, which were believed, in {rows}.",
            number,
        )
    return label, prediction == label


def _about(rows: Sequence[ResultRow]) -> list[str]:
    if not rows:
        return ["There is a header but no row yet."]
    unlabelled = sum(row.correct is None for row in rows)
    if unlabelled:
        return [f"{unlabelled:,} of {len(rows):,} images have no label; they count as wrong."]
    return []


def _sigma_and_method(rows: Sequence[ResultRow]) -> tuple[float | None, str]:
    """The one sigma of all rows, and whether sigma depends on the image."""
    sigmas = np.array([row.sigma for row in rows if row.sigma is not None])
    if len(sigmas) == 0:
        return None, UNKNOWN
    if len(np.unique(sigmas)) > 1:
        return None, "ds"
    return float(sigmas[0]), "fixed" if len(sigmas) > 1 else UNKNOWN
