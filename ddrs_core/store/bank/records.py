"""What the store knows of memory banks, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import RowMapping

from ddrs_core.errors import InvalidParameterError, MismatchError, require_count
from ddrs_core.quantities import counted
from ddrs_core.smoothing import ABSTAIN, Certificate, Grade
from ddrs_core.smoothing.memory.rules import Outcome, Part, Settlement, check_claim
from ddrs_core.store.bank.budget import AlphaBudget, BankConfidence
from ddrs_core.store.bank.images import PIXEL_SCALE, shape_text

ABSTAINED = "abstained"  # among the tallies: abstentions that no ball rescued
TALLIES = (*(outcome.value for outcome in Outcome), ABSTAINED)
_LONGEST_NAME = 100  # characters
_MOST_CLASSES, _MOST_PIXELS = 100_000, 10_000_000


@dataclass(frozen=True)
class BankKind:
    """What the balls of a bank have in common."""

    model: str  # digest of the weights
    num_classes: int
    shape: tuple[int, ...]  # [C, H, W]
    class_names: tuple[str, ...] = ()  # empty: not known
    pixels: str = PIXEL_SCALE

    def check(self) -> BankKind:
        """Raises InvalidParameterError if it makes no sense."""
        if not isinstance(self.model, str) or not self.model:
            raise InvalidParameterError("A memory bank belongs to a model: name its digest.")
        require_count("The number of classes", self.num_classes, at_least=2, at_most=_MOST_CLASSES)
        if not 1 <= len(self.shape) <= 4:
            raise InvalidParameterError(f"Images of shape {self.shape!r} cannot be stored.")
        pixels = 1
        for size in self.shape:
            pixels *= require_count("The size of an image", size, at_most=_MOST_PIXELS)
        require_count("The number of pixels", pixels, at_most=_MOST_PIXELS)
        if self.class_names and len(self.class_names) != self.num_classes:
            raise InvalidParameterError(
                f"There are {counted(len(self.class_names), 'name')} for {self.num_classes} "
                "classes."
            )
        if self.pixels != PIXEL_SCALE:
            raise MismatchError(
                f"Pixels of memory banks lie in {PIXEL_SCALE}, not {str(self.pixels)[:40]}."
            )
        return self

    def require(self, wanted: BankKind, name: str) -> None:
        """Raises MismatchError if another kind of bank is wanted."""
        differences = []
        if wanted.model != self.model:
            differences.append(f"the model {self.model[:16]}, not {wanted.model[:16]}")
        if wanted.num_classes != self.num_classes:
            differences.append(f"{self.num_classes} classes, not {wanted.num_classes}")
        if wanted.shape != self.shape:
            differences.append(
                f"images of {shape_text(self.shape)}, not {shape_text(wanted.shape)}"
            )
        if wanted.pixels != self.pixels:
            differences.append(f"pixels in {self.pixels}, not {wanted.pixels}")
        known = self.class_names and wanted.class_names
        if known and self.num_classes == wanted.num_classes and not differences:
            differences += [
                f"the class {ours[:40]!r}, not {theirs[:40]!r}"
                for ours, theirs in zip(self.class_names, wanted.class_names, strict=True)
                if ours != theirs
            ][:1]
        if differences:
            raise MismatchError(
                f"The memory bank {name!r} belongs to {' and to '.join(differences)}. "
                "Choose another bank, or another name for a new one."
            )


@dataclass(frozen=True)
class BankRecord:
    """A bank in its present state."""

    id: str
    name: str
    owner: str
    created: float  # seconds since 1970
    kind: BankKind
    budget: AlphaBudget
    settled: int  # certificates and abstentions
    stored: int  # balls, which is also the largest serial
    alpha_sum: float
    tallies: dict[str, int]  # what became of those that were settled
    fingerprint: str  # of all its balls, in their order
    tried: int = 0  # certificates that were charged and not settled

    @property
    def turn(self) -> int:
        """Which certificate the next one is, by the bank's budget."""
        return self.settled + self.tried + 1

    @property
    def indexed(self) -> int:
        """Number of balls that later settlements look at."""
        return sum(self.tallies[o.value] for o in Outcome if o.enters_index)

    @property
    def confidence(self) -> BankConfidence:
        """What is known of all its certificates together."""
        return BankConfidence(
            self.settled, self.alpha_sum, self.budget.allowance(self.turn), self.tried
        )


@dataclass(frozen=True)
class Lookup:
    """Where an image lies, and what the bank answers there; nothing was stored."""

    containing: tuple[Part, ...]  # the balls that contain it, the deepest first
    settlement: Settlement  # of its certificate, or as though it had abstained
    measured: int  # stored images that it was compared with exactly


@dataclass(frozen=True)
class StoredBall:
    """A ball, and how it came about."""

    serial: int  # 1, 2, ... in the order of arrival
    outcome: Outcome
    prediction: int
    radius: float
    claimed: int  # class and radius of the certificate
    claimed_radius: float
    decided_by: int | None  # serial of the ball that decided
    alpha: float  # of the certificate
    digest: str  # of the image
    created: float  # seconds since 1970
    certificate: Certificate  # as it came

    @property
    def sigma(self) -> float:
        """The noise level of the certificate."""
        return self.certificate.sigma


def check_name(name: str) -> str:
    """Raises InvalidParameterError if a bank cannot be called so."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise InvalidParameterError("Give the memory bank a name of printable characters.")
    if len(name) > _LONGEST_NAME:
        raise InvalidParameterError(
            f"The name of a memory bank has at most {_LONGEST_NAME} characters, not {len(name)}."
        )
    return name


def check_certificate(certificate: Certificate, kind: BankKind) -> None:
    """Whether a bank may hold a certificate, whatever its image.

    Raises:
        MismatchError: if it belongs to another model.
        InvalidParameterError: if its class is not one of the bank's, or its radius cannot be one.
    """
    if certificate.model != kind.model:
        raise MismatchError(
            f"The certificate belongs to the model {str(certificate.model)[:16]}, this memory bank "
            f"to {kind.model[:16]}. Balls of different models say nothing about each other."
        )
    prediction, radius = certificate.prediction, certificate.radius
    try:
        check_claim(prediction, radius)
    except TypeError:
        raise InvalidParameterError("The certificate's class or radius is not a number.") from None
    if prediction != int(prediction) or prediction >= kind.num_classes:
        raise InvalidParameterError(
            f"The classes of this memory bank are 0 to {kind.num_classes - 1}, not {prediction}."
        )


def settled_certificate(certificate: Certificate, settlement: Settlement) -> Certificate:
    """The certificate with the class and the radius that the bank left it."""
    return replace(
        certificate,
        prediction=settlement.prediction,
        radius=settlement.radius,
        grade=Grade.FOR_QUERIES_AFTER,
    )


def tally(settlement: Settlement) -> str:
    """Under which name a settlement is counted."""
    return settlement.outcome.value if settlement.prediction != ABSTAIN else ABSTAINED


def bank_record(row: RowMapping) -> BankRecord:
    """A row of the table as a record."""
    kind = BankKind(
        row["model"],
        row["num_classes"],
        tuple(row["shape"]),
        tuple(row["class_names"]),
        row["pixels"],
    )
    return BankRecord(
        row["id"],
        row["name"],
        row["owner"],
        row["created"],
        kind,
        AlphaBudget.from_dict(row["budget"]),
        row["settled"],
        row["stored"],
        row["alpha_sum"],
        {name: int(row["tallies"].get(name, 0)) for name in TALLIES},
        row["fingerprint"],
        row["tried"],
    )
