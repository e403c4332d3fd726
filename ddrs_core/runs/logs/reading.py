"""Reading certification logs: our own, Cohen et al.'s, and every known relative of theirs.

Nothing is repaired silently: what was left out or reinterpreted becomes a
sentence in the notes of the results, what cannot be read is an error that names the line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ddrs_core.file_access import open_regular
from ddrs_core.quantities import counted
from ddrs_core.runs.logs.columns import LogError, LogRow
from ddrs_core.runs.logs.dialect import Dialect, Header, read_header
from ddrs_core.runs.logs.text import (
    MOST_BYTES,
    Findings,
    decode_log,
    log_title,
    read_flag,
    read_number,
    read_seconds,
    read_whole,
    split_lines,
)
from ddrs_core.runs.logs.votes import Claim, cap_sentences, lower_claims, read_claim, sigma_in_name
from ddrs_core.runs.results.corruption import corruption_in_name, repeated_labels
from ddrs_core.runs.results.results import (
    UNKNOWN,
    ResultRow,
    ResultSet,
    Source,
    common,
    from_certificates,
    row_notes,
)
from ddrs_core.smoothing import ABSTAIN

_ONE_FOR_ALL = ("split", "sigma_0", "strategy", "schedule")  # settings of one log
_MOST_VOTES = 50_000_000  # numbers in the vote counts of all rows together


def read_log(path: Path) -> ResultSet:
    """Read a log of any known dialect; a header without rows gives a set without rows.

    Raises:
        LogError: if the file cannot be read, is too large or is something else.
    """
    try:
        with open_regular(path, LogError) as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise LogError(f"{path} cannot be read: {error.strerror}.") from None
    return parse_log(data, str(path))


def parse_log(data: bytes, name: str) -> ResultSet:
    """As :func:`read_log`, from the bytes of a file.

    Args:
        data: content of the file.
        name: of the file, for messages and the title.

    >>> rows = "idx label predict radius correct time", "0 3 3 0.25 1 0:00:14.2"
    >>> log = "".join(row.replace(" ", "\\t") + "\\n" for row in rows)
    >>> results = parse_log(log.encode(), "theirs.tsv")
    >>> results.rows[0].index, float(results.radii[0])
    (0, 0.25)
    """
    findings = Findings()
    text = decode_log(data, name, findings)
    lines, cut = split_lines(text, name, findings)
    header = read_header(lines[0], name, findings)
    named = sigma_in_name(name) if header.sigma is None else None
    claims, settings = _read_rows(_Lines(lines, cut, header, name, named), findings)
    rows, lowered = lower_claims(claims)
    caps = cap_sentences(claims, from_name=named is not None)
    notes = (*header.notes, *findings.sentences(), *lowered, *caps, *_about(rows))
    title, key = log_title(name), f"log-{hashlib.sha256(data).hexdigest()[:16]}"
    if header.dialect is Dialect.OURS:
        made = from_certificates(
            [row.certificate for row in rows if row.certificate is not None],
            id=key,
            title=title,
            settings=settings,
            source=Source.LOG,
            notes=notes,
        )
        return replace(made, rows=tuple(rows), dialect=header.dialect)
    sigma, method, about_sigma = _sigma_and_method(rows, header)
    corruption = corruption_in_name(name)
    if not corruption and repeated_labels((row.index, row.label) for row in rows):
        corruption = "images whose labels repeat every 10,000, as in CIFAR-10-C"
    return ResultSet(
        id=key,
        title=title,
        rows=tuple(rows),
        source=Source.LOG,
        dialect=header.dialect,
        method=method,
        corruption=corruption,
        sigma=sigma,
        n=common([claim.n for claim in claims]),
        alpha=common([claim.alpha for claim in claims]),
        has_radii=header.radius is not None,
        notes=(*notes, *about_sigma, *row_notes(rows)),
    )


@dataclass(frozen=True)
class _Lines:
    """A log as lines, and what is known of all of them."""

    lines: Sequence[str]
    cut: bool  # the last one has no end
    header: Header
    name: str
    sigma: float | None  # that the name of the file says


def _read_rows(log: _Lines, findings: Findings) -> tuple[list[Claim], dict[str, str]]:
    """All rows, and the settings that our own logs hold."""
    claims: list[Claim] = []
    seen: dict[int, ResultRow] = {}
    settings: dict[str, str] = {}
    votes = 0
    for number, line in enumerate(log.lines[1:], start=2):
        last = log.cut and number == len(log.lines)
        if last and _is_cut_off(line, log):
            findings.add("The last line ({rows}) is cut off and was left out.", number)
            continue
        if not line.strip():
            findings.add("Empty lines were skipped: {rows}.", number)
            continue
        if line == log.lines[0]:
            findings.add("The header is repeated, and was skipped, in {rows}.", number)
            continue
        try:
            claim, own = _read_row(line, log, number, findings)
        except (ValueError, KeyError) as error:
            raise LogError(
                f"Line {number} of {log.name} cannot be read: {str(error)[:200]}."
            ) from None
        if last:
            findings.add("The last line ({rows}) has no end; its last cell may be cut.", number)
        if own is not None:
            settings = settings or own.settings
            if any(own.settings[key] != settings[key] for key in _ONE_FOR_ALL):
                findings.add("The settings differ from those of the first row in {rows}.", number)
        if claim.certificate is not None:
            votes += len(claim.certificate.counts)
        if votes > _MOST_VOTES:
            raise LogError(f"{log.name} holds too many vote counts: {_MOST_VOTES:,} are the most.")
        index = claim.row.index
        before = None if index is None else seen.get(index)
        if before is not None:
            _check_repeated(claim.row, before, number, log.name)
            findings.add("Repeated images were left out in {rows}.", number)
            continue
        if index is not None:
            seen[index] = claim.row
        claims.append(claim)
    return claims, settings


def _is_cut_off(line: str, log: _Lines) -> bool:
    """Whether a line without its end is unfinished. Ours always end, so there it is; files that
    went through an editor may lack the last end only."""
    if log.header.dialect is Dialect.OURS:
        return True
    try:
        _read_row(line, log, 0, Findings())
    except (ValueError, KeyError):
        return True
    return False


def _check_repeated(row: ResultRow, before: ResultRow, number: int, name: str) -> None:
    same = (row.label, row.prediction, row.radius) == (
        before.label,
        before.prediction,
        before.radius,
    )
    if not same:
        raise LogError(
            f"Line {number} of {name} gives another answer for image {row.index} than a line "
            "before: there are two runs in one file."
        )


def _read_row(
    line: str, log: _Lines, number: int, findings: Findings
) -> tuple[Claim, LogRow | None]:
    """One row; of our own logs also with all that it holds.

    Raises:
        ValueError: if it cannot be read.
    """
    header, parts = log.header, line.split("\t")
    if len(parts) != len(header.names):
        raise ValueError(
            f"it has {counted(len(parts), 'cell')} where the header has {len(header.names)}"
        )
    cells = dict(zip(header.names, parts, strict=True))
    text = cells[header.index].strip()
    index = read_whole(text, header.index, least=0) if text or not _ours(header) else None
    said = read_whole(cells["predict"], "predict", least=ABSTAIN)
    prediction, radius = _read_radius(cells, header.radius, said, number, findings)
    label, correct = _read_label(cells, said, prediction, number, findings)
    time, sigma = cells.get("time", "").strip(), None
    if header.sigma is not None and cells[header.sigma].strip():
        sigma = read_number(cells[header.sigma], header.sigma)
        if not sigma > 0:
            raise ValueError(f"{header.sigma} is {sigma:g}, not above 0")
    row = ResultRow(
        index, label, prediction, radius, correct, read_seconds(time) if time else None, sigma
    )
    own = LogRow.from_line(line, header.names) if _ours(header) else None
    return read_claim(cells, row, number, own, log.sigma), own


def _ours(header: Header) -> bool:
    return header.dialect is Dialect.OURS


def _read_radius(
    cells: dict[str, str], column: str | None, prediction: int, number: int, findings: Findings
) -> tuple[int, float]:
    """Prediction and radius, which contradict each other in some logs."""
    if column is None:
        return prediction, 0.0
    radius = read_number(cells[column], column)
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
    if unlabelled == len(rows):
        return [
            f"None of {counted(len(rows), 'image')} has a label: radii count whatever the class, "
            "and no accuracy is known."
        ]
    if unlabelled:
        return [
            f"{unlabelled:,} of {counted(len(rows), 'image')} "
            f"{'has' if unlabelled == 1 else 'have'} no label, which counts as wrong."
        ]
    return []


def _sigma_and_method(
    rows: Sequence[ResultRow], header: Header
) -> tuple[float | None, str, tuple[str, ...]]:
    """The one sigma of all rows, whether sigma depends on the image, and a sentence about it."""
    sigmas = np.array([row.sigma for row in rows if row.sigma is not None])
    if len(sigmas) == 0:
        return None, UNKNOWN, ()
    low, high = float(sigmas.min()), float(sigmas.max())
    conditional = "so the radii are conditional on sigma_x"
    if low < high:
        said = f"The noise level in {header.sigma} differs between images, {low:g} to {high:g}"
        return None, "ds", (f"{said}, {conditional}.",)
    if header.sigma_is_chosen:
        said = f"The column {header.sigma} holds a noise level chosen for each image, {conditional}"
        return (
            None,
            "ds",
            (f"{said}. It is {low:g} in all rows, as it would be at one fixed sigma.",),
        )
    return low, "fixed" if len(sigmas) > 1 else UNKNOWN, ()
