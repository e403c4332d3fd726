"""The sentences of the explorer."""

from __future__ import annotations

import math

from markupsafe import Markup

from ddrs_core.dashboard.components.render import render
from ddrs_core.quantities import counted
from ddrs_core.smoothing import (
    Bound,
    Certificate,
    RadiusCurve,
    SigmaStep,
    compare_with_curve,
    other_bound,
    round_down,
)
from ddrs_core.smoothing.moved_votes import STEPS_IN_R, MovedVotes
from ddrs_core.smoothing.sigma.steps import Ints


def outcome_html(
    start: float, last: SigmaStep, curve: RadiusCurve | None, *, early: bool = False
) -> Markup:
    """Where the strategy ended and why, once it has, and how the finished curve compares;
    ``early``: before its last step."""
    if last.chosen is None:
        return Markup()
    return render(
        "explorer/outcome.html",
        start=start,
        chosen=last.chosen,
        reason=last.reason,
        early=early,
        curve=curve_text(curve, last.chosen) if curve and curve.n >= curve.target else "",
    )


def curve_text(curve: RadiusCurve, sigma: float) -> str:
    """How the radius at a noise level compares with the highest of the curve, in a sentence."""
    found = compare_with_curve(curve, sigma)
    if found is None:
        return ""
    here = f"The curve R(σ) estimates a radius of {found.radius:.3f} there"
    best = f"{found.best_radius:.3f} at σ = {found.best_sigma:.4f}"
    if found.best_radius <= found.radius:
        return f"{here}, its highest for this class."
    if found.apart:
        return (
            f"{here}: {found.regret:.0%} below its highest for this class, {best}. That is more "
            "than the noise of the curve."
        )
    return f"{here}; its highest for this class, {best}, differs by no more than its noise."


def certificate_html(
    certificate: Certificate, title: str, names: tuple[str, ...], beside: str = ""
) -> Markup:
    """A certificate as HTML, the radius rounded down, an abstention explained; ``beside``: what
    another run has there."""
    label = "" if certificate.label is None else names[certificate.label]
    if certificate.abstained:
        answer, style = "Abstains", "ddrs-bad"
        note = abstention_text(certificate, names)
    else:
        right = certificate.correct
        style = "" if right is None else ("ddrs-good" if right else "ddrs-bad")
        verdict = "" if right is None else (" (correct)" if right else f" (label {label})")
        answer = f"Class {names[certificate.prediction]}{verdict}"
        note = certificate.grade.meaning
    votes = certificate.counts[certificate.candidate]
    rate = (certificate.n0 + certificate.n) / max(certificate.seconds, 1e-9)
    facts = {
        "noise level σ": f"{certificate.sigma:.4f}",
        "votes": f"{votes:,} of {certificate.n:,} for {names[certificate.candidate]}",
        "p_A at least": round_down(certificate.p_lower, 5),
        "p_B at most": _up(other_bound(certificate)),
        "cap for N": round_down(certificate.radius_cap),
        "α": f"{certificate.alpha:g} ({certificate.bound.value})",
        "time": f"{certificate.seconds:.2f} s, {counted(round(rate), 'sample')}/s, "
        f"{certificate.precision}",
    }
    return render(
        "explorer/card.html",
        certificate=certificate,
        title=title,
        answer=answer,
        style=style,
        formula=_formula(certificate),
        facts=facts,
        note=note,
        beside=beside,
    )


def _formula(made: Certificate) -> str:
    """The radius with its numbers; nothing where there is none."""
    if not made.radius > 0:
        return ""
    p_a = f"Φ⁻¹({round_down(made.p_lower, 5)})"
    if made.bound is Bound.ONE_SIDED:
        return f"{made.sigma:.4f} · {p_a}"
    return f"{made.sigma:.4f}/2 · ({p_a} − Φ⁻¹({_up(other_bound(made))}))"


def _up(p: float) -> str:
    return f"{math.ceil(1e5 * p) / 1e5:.5f}"


def proof_text(certificate: Certificate, names: tuple[str, ...]) -> str:
    """What a certificate proves, in a sentence."""
    if certificate.abstained:
        return f"{counted(certificate.n, 'fresh vote')} prove no class: an abstention."
    return (
        f"Class {names[certificate.prediction]}, proved by {counted(certificate.n, 'fresh vote')}."
        f"{_wrong(certificate, names)}"
    )


def _wrong(certificate: Certificate, names: tuple[str, ...]) -> str:
    if certificate.correct is not False or certificate.label is None:
        return ""
    return f" That is wrong: the label is {names[certificate.label]}."


def abstention_text(certificate: Certificate, names: tuple[str, ...]) -> str:
    """Why nothing could be certified, and what might help."""
    counts, name = certificate.counts, names[certificate.candidate]
    votes = counts[certificate.candidate] / certificate.n
    rivals = [(count, i) for i, count in enumerate(counts) if i != certificate.candidate]
    most, rival = max(rivals)
    if most > counts[certificate.candidate]:
        return (
            f"The first {counted(certificate.n0, 'sample')} chose class {name}, which then got "
            f"{votes:.1%} of the votes, fewer than class {names[rival]} "
            f"({most / certificate.n:.1%}). The class is chosen before the votes are counted, so "
            "nothing is certified."
        )
    if certificate.bound is Bound.TWO_SIDED:
        return (
            f"Class {name} got {votes:.1%} of the votes and class {names[rival]} "
            f"{most / certificate.n:.1%}: with {counted(certificate.n, 'sample')} the lower bound "
            "on the first is not above the upper bound on the second. More samples, or another "
            "noise level, might tell them apart."
        )
    if votes > 0.5:
        return (
            f"Class {name} got {votes:.1%} of the votes, but with "
            f"{counted(certificate.n, 'sample')} the lower bound on its probability is "
            f"{round_down(certificate.p_lower, 4)}, not above one half. More samples might settle "
            "it."
        )
    return (
        "No class has more than half of the votes: the first "
        f"{counted(certificate.n0, 'sample')} chose {name}, which then got {votes:.1%}. At this "
        "noise level the network does not recognise the image; a smaller σ might help."
    )


def moved_texts(
    votes: MovedVotes, made: Certificate, names: tuple[str, ...]
) -> list[list[tuple[str, str]]]:
    """What is seen at each distance on each way: a style, and a sentence."""
    return [
        [_moved_text(counts, k, votes.n, made, names) for k, counts in enumerate(way)]
        for way in votes.counts
    ]


def _moved_text(
    counts: Ints, k: int, n: int, made: Certificate, names: tuple[str, ...]
) -> tuple[str, str]:
    leading, held = int(counts.argmax()), made.prediction
    share = f"{counts[leading] / n:.0%} of {counted(n, 'vote')}"
    if k <= STEPS_IN_R:
        if leading == held:
            return "ddrs-good", f"Still class {names[held]}, as the certificate promises: {share}."
        return "ddrs-bad", (
            f"Class {names[leading]} leads, against the certificate: {share}. It may be wrong, "
            f"with a probability of at most α = {made.alpha:g}."
        )
    if leading == held:
        return "", f"Beyond R no promise. Here still class {names[held]}: {share}."
    return "ddrs-bad", f"Beyond R no promise. Here class {names[leading]}: {share}."


def comparison_text(start: Certificate, chosen: Certificate) -> str:
    """The gain of σ* over σ₀ in one sentence, and whether it is one of a wrong answer."""
    return _gain_text(start, chosen) + _wrong_text(start, chosen)


def _wrong_text(start: Certificate, chosen: Certificate) -> str:
    both = (("σ₀", start), ("σ*", chosen))
    wrong = [name for name, c in both if c.correct is False and not c.abstained]
    return f" The class certified at {' and at '.join(wrong)} is wrong." if wrong else ""


def _gain_text(start: Certificate, chosen: Certificate) -> str:
    if chosen.abstained and start.abstained:
        return "Nothing could be certified at either noise level."
    if start.abstained:
        return f"σ* certifies a radius of {round_down(chosen.radius)}; σ₀ certifies nothing."
    if chosen.abstained:
        return "σ₀ certifies this image and σ* does not: the strategy loses it."
    factor = chosen.radius / start.radius
    same = "" if chosen.prediction == start.prediction else " They certify different classes."
    return f"σ* proves {round_down(factor, 2)} times the radius of σ₀.{same}"
