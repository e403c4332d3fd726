"""The results of one certification, wherever they come from: a row an image, and what is known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ddrs_core.errors import require_number
from ddrs_core.models import list_models
from ddrs_core.quantities import counted
from ddrs_core.runs.certify.config import ONE_SIGMA, Method
from ddrs_core.runs.results.corruption import corruption_in_name
from ddrs_core.smoothing import ABSTAIN, Certificate, Grade
from ddrs_core.smoothing.alpha_spending import LookSchedule

T = TypeVar("T")
UNKNOWN = "unknown"
_TRAINED = re.compile(r"(?:^|[-_])(gaussian|smoothadv|macer|consistency)(-ds2)?(?:[-_]|$)")
_GRADE_OF = {
    "fixed": Grade.UNCONDITIONAL,
    "ds": Grade.CONDITIONAL,
    "ds-memory": Grade.FOR_QUERIES_AFTER,
    "tuned": Grade.UNCONDITIONAL,
}
_FEWEST_WRONG = 10  # answers that make a hint
_MOST_NAMED = 5  # images that cannot be read, in one sentence
_ONE_FOR_ALL = (
    "dataset",
    "model",
    "n0",
    "alpha",
    "bound",
    "seed",
    "precision",
    "grade",
    "schedule",
    "execution",
)
_SAID = {"execution": "batch size, software or device"}


class Source(StrEnum):
    """Where results come from."""

    RUN = "run"  # made here
    LOG = "log"  # read from a file
    REFERENCE = "reference"  # published, for comparison


@dataclass(frozen=True, slots=True)
class ResultRow:
    """The answer to one image; ``prediction`` -1 and ``radius`` 0 mean that nothing is certified:
    votes were even (``abstained``), or the image could not be read (``failure`` says why)."""

    index: int | None
    label: int | None
    prediction: int
    radius: float  # l2, pixels in [0, 1]
    correct: bool | None  # None without a label
    seconds: float | None = None
    sigma: float | None = None
    certificate: Certificate | None = None

    @property
    def failure(self) -> str:
        """Why the image could not be certified at all; empty where votes were drawn."""
        return "" if self.certificate is None else self.certificate.failure

    @property
    def abstained(self) -> bool:
        """Whether votes were drawn and proved no class."""
        return self.prediction == ABSTAIN and not self.failure


@dataclass(frozen=True)
class ResultSet:
    """The rows of one certification, with what is known about how they were made.

    What was not recorded is None, or ``"unknown"`` for ``method`` and ``training``. Arrays are
    [m], in the order of the rows.
    """

    id: str
    title: str
    rows: tuple[ResultRow, ...] = field(repr=False)
    source: Source = Source.RUN
    dialect: str = "ddrs"
    dataset: str | None = None
    split: str | None = None
    model: str | None = None  # name where a model here has these weights, otherwise their digest
    method: str = UNKNOWN  # fixed, tuned, ds, ds-memory
    training: str = UNKNOWN  # gaussian, smoothadv, macer, ...
    data_dependent_training: bool | None = None
    sigma: float | None = None  # sigma_0 of a data-dependent method
    n0: int | None = None
    n: int | None = None  # N; the most samples that an image could get, if drawn adaptively
    alpha: float | None = None
    bound: str | None = None
    seed: int | None = None
    precision: str | None = None
    schedule: str = ""  # of adaptive sampling
    acr_is_floor: bool = False  # sampling stopped before large radii could be proved
    corruption: str = ""  # of the images, such as "fog, severity 3"; empty: none is known
    has_radii: bool = True  # False: predictions, which have none; the rows say 0
    notes: tuple[str, ...] = ()  # sentences about what was found

    @property
    def grade(self) -> Grade | None:
        """What the radii are worth; None where the log does not say."""
        return _GRADE_OF.get(self.method)

    @property
    def has_one_sigma(self) -> bool:
        """Whether it is known that all images got the same noise level."""
        return self.method in ONE_SIGMA

    @property
    def guarantee(self) -> str:
        """The grade as text."""
        return "not recorded" if self.grade is None else self.grade.value

    @cached_property
    def indices(self) -> NDArray[np.int64]:
        """Numbers of the images; -1 where there is none."""
        return np.array([-1 if r.index is None else r.index for r in self.rows], dtype=np.int64)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Labels; -1 where there is none."""
        return np.array([-1 if r.label is None else r.label for r in self.rows], dtype=np.int64)

    @cached_property
    def predictions(self) -> NDArray[np.int64]:
        """Certified classes; -1 where none is."""
        return np.array([r.prediction for r in self.rows], dtype=np.int64)

    @cached_property
    def radii(self) -> NDArray[np.float64]:
        """Certified radii, whether the class is right or not."""
        return np.array([r.radius for r in self.rows], dtype=np.float64)

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the certified class is the label; False without a label."""
        return np.array([bool(r.correct) for r in self.rows], dtype=np.bool_)

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """Whether it is known what is right."""
        return np.array([r.correct is not None for r in self.rows], dtype=np.bool_)

    @cached_property
    def has_labels(self) -> bool:
        """Whether it is known of any image what is right."""
        return bool(self.labelled.any()) or not self.rows

    @cached_property
    def counted(self) -> NDArray[np.bool_]:
        """Which radii figures and curves count: those of the right class; without any label those
        of whatever class."""
        return self.correct if self.has_labels else self.certified

    @property
    def shown_title(self) -> str:
        """The title beside figures, which says where they count radii of whatever class."""
        return self.title if self.has_labels else f"{self.title} (any class)"

    @cached_property
    def abstained(self) -> NDArray[np.bool_]:
        """Whether votes were drawn and proved no class."""
        return np.array([r.abstained for r in self.rows], dtype=np.bool_)

    @cached_property
    def certified(self) -> NDArray[np.bool_]:
        """Whether some class was certified, right or wrong."""
        return np.array([r.prediction != ABSTAIN for r in self.rows], dtype=np.bool_)

    @property
    def failed(self) -> tuple[ResultRow, ...]:
        """The images that could not be read; they count as not certified."""
        return tuple(row for row in self.rows if row.failure)

    @cached_property
    def sigmas(self) -> NDArray[np.float64]:
        """Noise level of each image; NaN where it was not recorded."""
        return np.array(
            [np.nan if r.sigma is None else r.sigma for r in self.rows], dtype=np.float64
        )


def from_certificates(
    certificates: Iterable[Certificate],
    *,
    id: str,  # noqa: A002 (the field's name)
    title: str,
    settings: Mapping[str, str] | None = None,
    source: Source = Source.RUN,
    notes: Sequence[str] = (),
) -> ResultSet:
    """The results of a run of this program.

    Args:
        certificates: of the run, in order.
        id, title: how the set is addressed and called.
        settings: as in our logs (``split``, ``sigma_0``, ``strategy``, ``schedule``), for what a
            certificate does not hold.
        source: where they come from.
        notes: sentences to keep with the set; those about contradictions and about images that
            could not be read are added.

    Raises:
        InvalidParameterError: if ``settings`` hold nonsense.
    """
    rows, given = tuple(row_of(c) for c in certificates), dict(settings or {})
    made = [row.certificate for row in rows if row.certificate is not None]
    found = [c for c in made if not c.failure] or made
    name, training, data_dependent = trained_how(_common(found, "model"))
    grade, bound = _common(found, "grade"), _common(found, "bound")
    likely = next((method for method, g in _GRADE_OF.items() if g == grade), UNKNOWN)
    method = given.get("strategy", "").split(" ")[0] or likely
    adaptive = any(c.schedule for c in found)
    dataset = _common(found, "dataset") or given.get("dataset")
    schedule = given.get("schedule") or _common(found, "schedule") or ""
    sigma_0: Any = given.get("sigma_0")  # text
    if method in ONE_SIGMA or not sigma_0:
        sigma = _common(found, "sigma")
    else:
        sigma = require_number("sigma_0", sigma_0, above=0.0)
    return ResultSet(
        id=id,
        title=title,
        rows=rows,
        source=source,
        dataset=dataset,
        corruption=corruption_in_name(dataset or ""),
        split=given.get("split"),
        model=name,
        method=method,
        training=training,
        data_dependent_training=data_dependent,
        sigma=sigma,
        n0=_common(found, "n0"),
        n=max(_most_samples(c) for c in found) if adaptive else _common(found, "n"),
        alpha=_common(found, "alpha"),
        bound=None if bound is None else str(bound),
        seed=_common(found, "seed"),
        precision=_common(found, "precision"),
        schedule=schedule,
        acr_is_floor=adaptive and " width=" not in schedule,
        notes=(*notes, *row_notes(rows), *_contradictions(found, adaptive)),
    )


def titled(results: ResultSet, title: str) -> ResultSet:
    """The set under a title, which names the sigma where that was tuned."""
    tuned = results.sigma if results.method == Method.TUNED else None
    return replace(results, title=f"{title} (tuned sigma {tuned:.4g})" if tuned else title)


def row_of(certificate: Certificate) -> ResultRow:
    """One certificate as a row."""
    c = certificate
    return ResultRow(c.index, c.label, c.prediction, c.radius, c.correct, c.seconds, c.sigma, c)


def row_notes(rows: Sequence[ResultRow]) -> list[str]:
    """Sentences about images that could not be read, and about answers that are all wrong."""
    notes = failure_notes(rows)
    if len(rows) >= _FEWEST_WRONG and all(
        row.correct is False and row.prediction != ABSTAIN for row in rows
    ):
        notes.append(
            f"None of {counted(len(rows), 'image')} is right, and none abstains: the order of the "
            "classes or the normalisation may be another than that of the training."
        )
    return notes


def failure_notes(rows: Sequence[ResultRow]) -> list[str]:
    """A sentence that counts and names the images that could not be read, if there are any."""
    failed = [row for row in rows if row.failure]
    if not failed:
        return []
    named = " ".join(f"Image {row.index}: {row.failure}" for row in failed[:_MOST_NAMED])
    more = len(failed) - _MOST_NAMED
    return [
        f"{len(failed):,} of {counted(len(rows), 'image')} could not be read; "
        f"{'it counts' if len(failed) == 1 else 'they count'} as not certified. {named}"
        + (f" And {more:,} more." if more > 0 else "")
    ]


def trained_how(model: str | None) -> tuple[str | None, str, bool | None]:
    """Name, training method, and whether training was data-dependent.

    An available model with this name or digest is asked; otherwise a name is parsed that follows
    our pattern, such as ``digits-gaussian-ds2-0.50``.
    """
    if model is None:
        return None, UNKNOWN, None
    for card in list_models():
        if model in (card.name, card.digest):
            recorded = card.training.get("data_dependent", UNKNOWN)
            return card.name, card.method, None if recorded == UNKNOWN else recorded is not None
    found = _TRAINED.search(model)
    return model, found[1] if found else UNKNOWN, found[2] is not None if found else None


def common(values: Iterable[T]) -> T | None:
    """The value, if all are the same; otherwise None."""
    found = set(values)
    return found.pop() if len(found) == 1 else None


def _common(certificates: Sequence[Certificate], name: str) -> Any:
    return common(getattr(c, name) for c in certificates)


def _most_samples(certificate: Certificate) -> int:
    """How many samples the image could have got."""
    c = certificate
    return LookSchedule.from_text(c.schedule).n_max if c.schedule else c.n


def _contradictions(certificates: Sequence[Certificate], adaptive: bool) -> list[str]:
    names = _ONE_FOR_ALL if adaptive else (*_ONE_FOR_ALL, "n")
    several = [name for name in names if len({getattr(c, name) for c in certificates}) > 1]
    if not several:
        return []
    said = ", ".join(_SAID.get(name, name) for name in several)
    return [f"The rows were not all made with the same {said}."]
