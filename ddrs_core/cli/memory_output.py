"""How ``memory`` prints banks and settlements: for people with radii rounded down, or as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ddrs_core.quantities import counted

if TYPE_CHECKING:
    from ddrs_core.smoothing import Certificate
    from ddrs_core.smoothing.memory.rules import Settlement
    from ddrs_core.store import BankRecord


def settled_line(settled: Settlement, certificate: Certificate, inside: int | None = None) -> str:
    """A settlement on one line; ``inside`` is the number of balls that contain the image."""
    from ddrs_core.smoothing import ABSTAIN, round_down

    answer = "abstains" if settled.prediction == ABSTAIN else f"class {settled.prediction}"
    claimed = "abstained" if settled.claimed == ABSTAIN else f"class {settled.claimed}"
    where = "" if inside is None else f"  inside {counted(inside, 'ball')}"
    radius, claimed_radius = round_down(settled.radius), round_down(settled.claimed_radius)
    return (
        f"{certificate.index:>6}  {settled.outcome:<9}  {answer:<9} radius {radius}  "
        f"(certificate: {claimed}, {claimed_radius}; alpha {settled.alpha:.3g}){where}"
    )


def settlement_json(settled: Settlement) -> dict[str, Any]:
    """A settlement as plain data."""
    certificate = settled.certificate
    return {
        "index": None if certificate is None else certificate.index,
        "label": None if certificate is None else certificate.label,
        "outcome": settled.outcome.value,
        "prediction": settled.prediction,
        "radius": settled.radius,
        "claimed": settled.claimed,
        "claimed_radius": settled.claimed_radius,
        "by": None if settled.by is None else settled.by.id,
        "serial": settled.serial,
        "alpha": settled.alpha,
        "certificate": None if certificate is None else certificate.to_dict(),
    }


def bank_json(bank: BankRecord) -> dict[str, Any]:
    """A bank as plain data."""
    known = bank.confidence
    return {
        **asdict(bank),
        "indexed": bank.indexed,
        "failure": known.failure,
        "expected_wrong": known.expected_wrong,
        "next_alpha": known.next_alpha,
    }
