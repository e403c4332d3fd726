"""The sentences of the memory page."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ddrs_core.dashboard.components.render import render
from ddrs_core.figures.class_axis import class_title
from ddrs_core.quantities import counted
from ddrs_core.smoothing import ABSTAIN, Certificate, Grade, round_down
from ddrs_core.smoothing.memory.collisions import Pair
from ddrs_core.smoothing.memory.rules import Outcome, Part, Settlement
from ddrs_core.store import BankCheck, BankConfidence, BankRecord, StoredBall

_TOUCHING = 1e-9  # l2 distance
_CHANGES = (Outcome.TRIMMED, Outcome.ADOPTED, Outcome.ENLARGED, Outcome.RESCUED)


def settlement_text(s: Settlement, names: Sequence[str]) -> str:
    """The sentence that explains an outcome."""
    held, answer = round_down(s.radius), class_title(s.prediction, names)
    if s.outcome is Outcome.UNTOUCHED and s.prediction == ABSTAIN:
        return "Nothing could be certified here, and no stored ball contains the query."
    if s.outcome is Outcome.UNTOUCHED or s.by is None:
        return (
            f"Untouched: no ball of another class reaches into this one, so {answer} holds within "
            f"{held}, as claimed."
        )
    other = f"ball {s.by.id} ({class_title(s.by.prediction, names)})"
    if s.outcome is Outcome.TRIMMED:
        return (
            f"Trimmed: {other} begins {held} away, inside the claimed radius of "
            f"{round_down(s.claimed_radius)}. The answer stays {answer}; its ball ends there."
        )
    if s.outcome is Outcome.ADOPTED:
        return (
            f"Adopted: the query lies in {other}, {held} below its surface. That ball promised "
            f"its class to everything inside, so the answer is {answer} within {held}, not "
            f"{class_title(s.claimed, names)} within {round_down(s.claimed_radius)}."
        )
    if s.outcome is Outcome.ENLARGED:
        return (
            f"Enlarged: the query lies in {other} of its own class, {held} below its surface, "
            f"which is more than its own certificate proves ({round_down(s.claimed_radius)})."
        )
    return (
        f"Rescued: nothing could be certified, but the query lies in {other}, {held} below its "
        f"surface, so the answer is {answer} within {held}."
    )


def place_text(inside: Sequence[Part], nearest: Sequence[Part], names: Sequence[str]) -> str:
    """Where a query lies among the stored balls, before anything is certified."""
    if inside:
        part = inside[0]
        others = len(inside) - 1
        more = f" It lies in {counted(others, 'other ball')}, too." if others else ""
        return (
            f"Inside ball {part.ball.id} of {class_title(part.ball.prediction, names)}: "
            f"{round_down(-part.slack)} below its surface, so the memory answers "
            f"{class_title(part.ball.prediction, names)} here, whatever the votes say.{more}"
        )
    if not nearest:
        return "The bank is empty: the query lies in no ball."
    part = nearest[0]
    return (
        f"Outside all balls. The nearest is ball {part.ball.id} of "
        f"{class_title(part.ball.prediction, names)}: its surface is {part.slack:.3f} away."
    )


def collision_text(
    first: StoredBall, second: StoredBall, pair: Pair, names: Sequence[str]
) -> Markup:
    """Why two certificates cannot both be taken as promises of one classifier, and what the memory
    made of it."""
    fate = {
        Outcome.TRIMMED: f"shortens the later ball to {round_down(second.radius)}",
        Outcome.ADOPTED: f"lets the later image have {class_title(second.prediction, names)}, too",
    }.get(second.outcome, f"leaves the later ball {second.outcome}")
    return render(
        "memory/collision.html",
        classes=[class_title(ball.claimed, names) for ball in (first, second)],
        radii=[round_down(ball.claimed_radius) for ball in (first, second)],
        distance=f"{pair.distance.high:.3f}",
        sigmas=[f"{ball.sigma:.3f}" for ball in (first, second)],
        fate=fate,
        first=round_down(first.radius) if first.radius < first.claimed_radius else "",
    )


def claim_text(certificate: Certificate, names: Sequence[str]) -> str:
    """What a certificate claims, with the votes."""
    votes = f"{certificate.counts[certificate.candidate]:,} of {counted(certificate.n, 'vote')}"
    at = f"at sigma {certificate.sigma:.3f}"
    if certificate.abstained:
        return f"abstains {at}: {votes} are no clear majority"
    answer = class_title(certificate.prediction, names)
    radius, bounds = round_down(certificate.radius), f"{certificate.bound} bounds"
    return f"{answer} within {radius} {at} ({votes}, {bounds})"


def confidence_html(known: BankConfidence) -> Markup:
    """The joint guarantee of all certificates of a bank."""
    tried = f", {known.tried:,} more were tried and not stored" if known.tried else ""
    said = (
        f"All {counted(known.settled, 'settled certificate')} hold, except with a probability of "
        f"at most {known.failure:.3g}."
    )
    if known.next_alpha == 0:
        said += " The bank's budget is used up: it accepts no further certificate."
    elif known.next_alpha is not None:
        said += f" The next certificate may spend {known.next_alpha:.3g}."
    return render(
        "hinted.html",
        text=said,
        hint_text=f"Each may be wrong with its own small probability alpha{tried}; their sum "
        "covers those selected for storing too. The expected number of wrong balls is at most "
        f"{known.expected_wrong:.3g}. Attempts outside this bank are not counted.",
    )


def charge_text(known: BankConfidence, alpha: float, count: int = 1) -> str:
    """What the next certificates cost, stored or not."""
    made = known.settled + known.tried
    most = counted(count, "certificate")
    what = "Each certificate is" if count == 1 else f"A search makes up to {most},"
    return (
        f"{what} charged to your copy of the bank, stored or not (alpha {alpha:.3g} each). The "
        f"{made:,} so far all hold, except with a probability of at most {known.failure:.3g}."
    )


def record_html(record: BankRecord, classes: int, model: str) -> Markup:
    """The bank in figures."""
    changed = sum(record.tallies[outcome.value] for outcome in _CHANGES)
    return render(
        "memory/record.html",
        record=record,
        classes=classes,
        changed=changed / record.settled if record.settled else 0.0,
        outcomes=Outcome,
        model=model,
    )


def check_text(check: BankCheck, names: Sequence[str]) -> str:
    """What a check found."""
    pair = check.tightest
    said = (
        f"The invariant holds: no two of {counted(check.balls, 'ball')} of different class "
        "overlap, and the votes of each certificate prove what it claims."
    )
    if pair is None:
        return said + " They are all of one class."
    a, b = (f"{p.id} ({class_title(p.prediction, names)})" for p in (pair.a, pair.b))
    if pair.gap < _TOUCHING:
        return f"{said} The tightest pair is {a} and {b}: they touch, as a trimmed ball does."
    return f"{said} The tightest pair is {a} and {b}: {pair.gap:.3g} lies between them."


def grades_html() -> Markup:
    """The three grades of guarantee, the strongest first."""
    return render("memory/grades.html", grades=Grade)
