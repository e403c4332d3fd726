"""Certification logs: one tab-separated row a certificate, written as soon as it is there.

The first six columns are those of Cohen et al.'s ``certify.py``. The others hold all that is
needed to recompute the radius and to tell whether a run can be continued.

An image that cannot be read has a row too: predict -1, radius 0, n 0, no votes, and in the column
``grade`` the word ``unreadable:`` with the reason. It counts as not certified; it did not abstain.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ddrs_core.errors import DDRSError, InvalidParameterError
from ddrs_core.runs.certify.config import ONE_SIGMA, CertifyConfig
from ddrs_core.runs.certify.run import CertifyRun
from ddrs_core.smoothing import ABSTAIN, Certificate, Grade

HEADER = (
    "idx\tlabel\tpredict\tradius\tcorrect\ttime\tsigma\tcount\tn\tp_lower\tgrade\tn0\talpha\tbound"
    "\tseed\tprecision\tmodel\tcandidate\tcounts\tdataset\tsplit\tsigma_0\tstrategy\tdevice"
    "\tschedule\texecution\tclean"
)
COLUMNS = tuple(HEADER.split("\t"))
OLDER_COLUMNS = COLUMNS[:-3]  # before samples could be drawn adaptively
SETTINGS = (
    "dataset",
    "split",
    "model",
    "sigma_0",
    "strategy",
    "n0",
    "n",
    "alpha",
    "bound",
    "seed",
    "precision",
    "device",
    "schedule",
)
_LOOKS = ("looks", "n_max", "first", "growth", "last")  # words of a schedule, see LookSchedule
_MANY_CLASSES = 100
_MOST_CLASSES = 100_000
_MOST_SAMPLES = 10**12
_UNREADABLE = "unreadable: "  # in the column grade, before the reason
COLUMNS_OF = {"\t".join(c): c for c in (COLUMNS, COLUMNS[:-1], COLUMNS[:-2], OLDER_COLUMNS)}


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
            "grade": _UNREADABLE + _one_line(c.failure) if c.failure else c.grade.value,
            "candidate": str(c.candidate),
            "counts": _counts_text(c.counts),
            "schedule": self.settings.get("schedule") or c.schedule,
            "execution": c.execution,
            "clean": _text(c.clean),
        }
        return "\t".join(cells[name] for name in columns)

    @classmethod
    def from_line(cls, line: str, columns: Sequence[str] = COLUMNS) -> LogRow:
        """Read a row of our own.

        Raises:
            ValueError: if it is damaged.
        """
        cells = {
            "schedule": "",
            "execution": "",
            "clean": "",
            **dict(zip(columns, line.split("\t"), strict=True)),
        }
        counts = read_counts(cells["counts"])
        candidate, n = int(cells["candidate"]), int(cells["n"])
        if not -1 <= candidate < len(counts):
            raise ValueError(f"there is no class {candidate}")
        clean = int(cells["clean"]) if cells["clean"] else None
        if clean is not None and not 0 <= clean < len(counts):
            raise ValueError(f"there is no class {clean}")
        grade, failure = _read_grade(cells)
        least = 0 if failure else 1
        if not least <= n <= _MOST_SAMPLES or n != sum(counts) or min(counts) < 0:
            raise ValueError(f"n = {n} does not go with these votes")
        if failure and (n, int(cells["predict"]), float(cells["radius"])) != (0, ABSTAIN, 0.0):
            raise ValueError("an image that cannot be read has a class, a radius or votes")
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
                "grade": grade,
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
                "schedule": "" if failure else looks_text(cells["schedule"]),
                "failure": failure,
                "execution": cells["execution"],
                "clean": clean,
            }
        )
        _check_look(certificate)
        return cls(certificate, {name: cells[name] for name in SETTINGS})


def _counts_text(counts: Sequence[int]) -> str:
    """Votes as ``5,0,95``; of many classes only those with votes, as ``1000 classes,7:5,9:95``."""
    size = len(counts)
    if size <= _MANY_CLASSES:
        return ",".join(str(v) for v in counts)
    return ",".join([f"{size} classes", *(f"{c}:{v}" for c, v in enumerate(counts) if v)])


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


def _read_grade(cells: dict[str, str]) -> tuple[str, str]:
    """The grade, and why the image cannot be read ("" where it can)."""
    if not cells["grade"].startswith(_UNREADABLE):
        return cells["grade"], ""
    fixed = cells["strategy"].split(" ")[0] in ONE_SIGMA
    failure = cells["grade"].removeprefix(_UNREADABLE)
    return (Grade.UNCONDITIONAL if fixed else Grade.CONDITIONAL).value, failure or "no reason"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def looks_text(schedule: str) -> str:
    """The part of a schedule that a certificate keeps: the looks, without the rule that stops."""
    looks = [cell for cell in schedule.split(" ") if cell.partition("=")[0] in _LOOKS]
    return " ".join(looks)


def _check_look(certificate: Certificate) -> None:
    """Raises ValueError if no interim look is scheduled at the number of samples."""
    try:
        certificate.spent  # noqa: B018 (asked for its complaint)
    except InvalidParameterError as error:
        raise ValueError(str(error)) from None


def run_settings(run: CertifyRun) -> dict[str, str]:
    """What rows of one file must have in common, as the text in the file."""
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
        "n0": str(config.budget.n0),
        "n": str(config.budget.n),
        "alpha": repr(float(config.budget.alpha)),
        "bound": config.budget.bound.value,
        "seed": str(config.budget.seed),
        "precision": precision,
        "device": device_type,  # its noise differs from that of other kinds of device
        "schedule": config.budget.stopping_text,
    }


def _strategy_text(config: CertifyConfig) -> str:
    """Such as ``fixed`` or ``ds ascent lr=0.05 steps=60 ...``."""
    if config.strategy is None:
        return config.method.value
    cells = [f"{name}={_plain(value)}" for name, value in asdict(config.strategy).items()]
    return " ".join([config.method.value, config.strategy.name, *cells])


def line_end(text: str) -> str:
    """How the first line ends: LF, CR LF (Windows) or CR (very old editors)."""
    found = re.search(r"\r\n|\n|\r", text)
    return found[0] if found else "\n"


def whole_lines(text: str) -> list[str]:
    """The lines that have their end; a last one that was cut off is left out."""
    end = "\r" if line_end(text) == "\r" else "\n"
    return [line.removesuffix("\r") for line in text.split(end)[:-1]]


def read_rows(text: str, name: str) -> list[LogRow]:
    """The rows of one of our logs; a last line without its end counts as cut off.

    Raises:
        LogError: if it is not one of our logs, or a row inside it is damaged.
    """
    lines = whole_lines(text)
    if lines[0] not in COLUMNS_OF if lines else not HEADER.startswith(text):
        raise LogError(f"{name} is not a certification log of this program.")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            rows.append(LogRow.from_line(line, COLUMNS_OF[lines[0]]))
        except (ValueError, KeyError):
            raise LogError(
                f"Line {number} of {name} is damaged. Remove it and all after it, then resume."
            ) from None
    return rows


def _text(value: int | None) -> str:
    return "" if value is None else str(value)


def _plain(value: object) -> str:
    return ":".join(repr(v) for v in value) if isinstance(value, tuple) else repr(value)
