"""The sentences of the explorer."""

from __future__ import annotations

from markupsafe import Markup

from ddrs_core.dashboard.components.render import render
from ddrs_core.quantities import counted
from ddrs_core.smoothing import (
    Bound,
    Certificate,
    RadiusCurve,
    SigmaStep,
    compare_with_curve,
    round_down,
)


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
    here = f"The curve R(sigma) estimates a radius of {found.radius:.3f} there"
    best = f"{found.best_radius:.3f} at sigma = {found.best_sigma:.4f}"
    if found.best_radius <= found.radius:
        return f"{here}, its highest for this class."
    if found.apart:
        return (
            f"{here}: {found.regret:.0%} below its highest for this class, {best}. That is more "
            "than the noise of the curve."
        )
    return f"{here}; its highest for this class, {best}, differs by no more than its noise."


def certificate_html(certificate: Certificate, title: str, names: tuple[str, ...]) -> Markup:
    """A certificate as HTML, the radius rounded down, an abstention explained."""
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
        "noise level": f"{certificate.sigma:.4f}",
        "votes": f"{votes:,} of {certificate.n:,} for {names[certificate.candidate]}",
        "p_A at least": round_down(certificate.p_lower, 5),
        "cap for N": round_down(certificate.radius_cap),
        "alpha": f"{certificate.alpha:g} ({certificate.bound.value})",
        "time": f"{certificate.seconds:.2f} s, {counted(round(rate), 'sample')}/s, "
        f"{certificate.precision}",
    }
    return render(
        "explorer/card.html",
        certificate=certificate,
        title=title,
        answer=answer,
        style=style,
        facts=facts,
        note=note,
    )


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
        "noise level the network does not recognise the image; a smaller sigma might help."
    )


def comparison_text(start: Certificate, chosen: Certificate) -> str:
    """The gain of sigma* over sigma_0 in one sentence."""
    if chosen.abstained and start.abstained:
        return "Nothing could be certified at either noise level."
    if start.abstained:
        return (
            f"sigma* certifies a radius of {round_down(chosen.radius)}; sigma_0 certifies nothing."
        )
    if chosen.abstained:
        return "sigma_0 certifies this image and sigma* does not: the strategy loses it."
    factor = chosen.radius / start.radius
    same = "" if chosen.prediction == start.prediction else " They certify different classes."
    return (
        f"The radius at sigma* is {round_down(factor, 2)} times that at sigma_0 "
        f"({round_down(chosen.radius)} against {round_down(start.radius)}).{same}"
    )
