"""The kinds of failure as bars to click on, and filters that combine."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import streamlit as st

from ddrs_core.dashboard.components.chart import show_chart
from ddrs_core.dashboard.components.render import show_html
from ddrs_core.dashboard.failures.findings import Findings
from ddrs_core.dashboard.failures.picker import keep_kind, swap_sets
from ddrs_core.dashboard.failures.view import (
    ALL,
    ANY,
    FAILED,
    FILTERS,
    FORM,
    LARGEST,
    FailuresView,
    Sort,
    forget_image,
    keep,
)
from ddrs_core.figures.failure_kinds import KIND_COLOURS, KINDS, kinds_figure
from ddrs_core.quantities import counted
from ddrs_core.runs.diagnose.images import ImageDiagnosis, count_kinds, only
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.smoothing.diagnosis import FAILURES, FailureKind

_SORTS = {
    Sort.INDEX: "number",
    Sort.MARGIN: "lead of the label in the votes",
    Sort.RADIUS: "certified radius (proved)",
    Sort.REGRET: "regret of σ",
    Sort.ATTACK: "attack distance",
}
_BAR = 46  # pixels


def show_kinds(findings: Findings, view: FailuresView) -> None:
    """The shares of the kinds, a bar for each set; a click on a part keeps its images."""
    bars = [(described(findings.results), count_kinds(findings.images))]
    if findings.against is not None:
        bars.append((described(findings.against), count_kinds(findings.others)))
    kind = next((k for k in KINDS if k.value == view.kind), None)

    def pick(place: int) -> None:
        if place >= 100:
            swap_sets()
        keep_kind(KINDS[place % 100].value)

    show_chart(
        kinds_figure(bars, kind),
        key="failures_kinds",
        name="failures",
        alt="Images by kind of failure; the numbers stand below",
        height=_BAR * len(bars),
        on_pick=pick,
    )
    found = [(k, [counts.get(k, 0) for _, counts in bars]) for k in KINDS]
    legend = [
        {"heading": k.heading, "hue": KIND_COLOURS[k], "counts": counts}
        for k, counts in found
        if any(counts)
    ]
    show_html("failures/legend.html", legend=legend)


def show_filters(findings: Findings, view: FailuresView) -> None:
    """Filters and order; each says how many images it would leave of the set."""
    counts = count_kinds(findings.images)
    total = len(findings.images)
    kinds = {FAILED: f"all failures ({total - counts.get(FailureKind.CERTIFIED, 0):,})"}
    kinds |= {kind.value: f"{kind.heading} ({n:,})" for kind, n in counts.items()}
    kinds[ALL] = f"all images ({total:,})"
    if view.kind not in kinds:  # of a link, or at another radius
        kinds[view.kind] = f"{FailureKind(view.kind).heading} (0)"
    if findings.against is None:
        FORM["lost"] = False
    columns = st.columns([4, 3, 3, 3, 2.4], vertical_alignment="bottom")
    FORM.show(
        columns[0].selectbox,
        "kind",
        "Kind of failure",
        kinds,
        help=rules_text(),
        on_change=forget_image,
    )
    for column, name, label in (
        (columns[1], "label", "Label"),
        (columns[2], "answer", "Answer"),
    ):
        FORM.show(column.selectbox, name, label, _classes(findings, name), on_change=forget_image)
    FORM.show(columns[3].selectbox, "sort", "Order", _SORTS)
    with columns[4].popover("Ranges", width="stretch"):
        _show_range("sigma", "σ")
        _show_range("radius", "Proved radius")


def show_switches(findings: Findings, view: FailuresView) -> None:
    """Only what is lost against other results, where there are such; and no filter, where there
    are any."""
    if findings.against is not None:
        FORM.show(
            st.toggle,
            "lost",
            "Lost only",
            help=f"Only images that {findings.against.title} certifies at r and these results do "
            "not.",
            on_change=forget_image,
        )
    usual = FailuresView()
    if any(getattr(view, name) != getattr(usual, name) for name in FILTERS):
        st.button("Clear filters", icon=":material/filter_alt_off:", on_click=keep)


def _show_range(name: str, label: str) -> None:
    """Two numbers, each of which may be left empty."""
    for column, end in zip(st.columns(2), ("from", "to"), strict=True):
        FORM.show(
            column.number_input,
            f"{name}_{end}",
            f"{label}, {end}",
            0.0,
            LARGEST,
            step=0.05,
            format="%.4g",
            placeholder="any",
            on_change=forget_image,
        )


def filtered(findings: Findings, view: FailuresView) -> list[ImageDiagnosis]:
    """The images that all filters leave, in the chosen order."""
    some = {ALL: KINDS, FAILED: FAILURES}.get(view.kind)
    images = only(findings.images, some or (FailureKind(view.kind),))
    kept = [
        image
        for image in images
        if (view.label == ANY or image.label == view.label)
        and (view.answer == ANY or image.prediction == view.answer)
        and (not view.lost or image.against == "lost")
        and _within(image.sigma, view.sigma_from, view.sigma_to)
        and _within(image.radius, view.radius_from, view.radius_to)
    ]
    return sorted(kept, key=_ORDERS[view.sort])


def filter_text(findings: Findings, view: FailuresView, count: int) -> str:
    """A number of images with all that it depends on."""
    parts = [f"{count:,} of {counted(len(findings.images), 'image')}"]
    if view.kind not in (ALL, FAILED):
        parts.append(FailureKind(view.kind).heading)
    elif view.kind == FAILED:
        parts.append("not certified")
    if view.label != ANY:
        parts.append(f"label {findings.class_name(view.label)}")
    if view.answer != ANY:
        parts.append(f"answer {findings.class_name(view.answer)}")
    parts += _range_text("σ", view.sigma_from, view.sigma_to)
    parts += _range_text("certified radius", view.radius_from, view.radius_to)
    if view.lost and findings.against is not None:
        parts.append(f"certified in {described(findings.against)}")
    return ", ".join([*parts, f"r = {view.radius:.2f}", described(findings.results)])


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    """Whether a number lies in a range; one that is not known does in none but the whole."""
    if value is None:
        return low is None and high is None
    return (low is None or value >= low) and (high is None or value <= high)


def _range_text(name: str, low: float | None, high: float | None) -> list[str]:
    ends = [f"from {low:.4g}"] if low is not None else []
    ends += [f"to {high:.4g}"] if high is not None else []
    return [" ".join([name, *ends])] if ends else []


def described(results: ResultSet) -> str:
    """A set in a few words: ``digits-gaussian-0.50, fixed 0.50``."""
    if results.model is None or results.method == "unknown":
        return results.title
    level = "" if results.sigma is None else f" {results.sigma:.2f}"
    return f"{results.model}, {results.method}{level}"


def rules_text() -> str:
    """Every kind with its rule, as Markdown; the first that applies is the kind of an image."""
    rows = [f"- **{kind.heading}**: {kind.rule}" for kind in FailureKind]
    return "The first rule that applies gives an image its kind.\n" + "\n".join(rows)


def _classes(findings: Findings, name: str) -> dict[int, str]:
    """What a filter of classes offers, with counts."""
    values = [
        image.label if name == "label" else image.prediction
        for image in findings.images
        if _kind_keeps(image)
    ]
    counts = Counter(value for value in values if value is not None)
    chosen = FORM[name]
    offered = {ANY: "any"}
    for number in sorted({*counts, *([] if chosen == ANY else [chosen])}):
        offered[number] = f"{findings.class_name(number)} ({counts[number]:,})"
    return offered


def _kind_keeps(image: ImageDiagnosis) -> bool:
    """Whether the chosen kind has the image."""
    kind = FORM["kind"]
    if kind == FAILED:
        return image.kind is not FailureKind.CERTIFIED
    return kind == ALL or image.kind.value == kind


def _last(value: float | None, sign: float = 1.0) -> float:
    return math.inf if value is None else sign * value


_ORDERS: dict[Sort, Callable[[ImageDiagnosis], tuple[float, float]]] = {
    Sort.INDEX: lambda i: (_last(i.index), 0.0),
    Sort.MARGIN: lambda i: (_last(i.margin, -1), _last(i.index)),
    Sort.RADIUS: lambda i: (-i.radius, _last(i.index)),
    Sort.REGRET: lambda i: (_last(i.regret, -1), _last(i.index)),
    Sort.ATTACK: lambda i: (_last(i.attack_distance), _last(i.index)),
}
