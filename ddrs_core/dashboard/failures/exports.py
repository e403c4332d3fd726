"""Diagnoses to take along: as tables, as JSON, as a report, and the command that makes them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial

from ddrs_core.dashboard.common.result_sources import LOG, REFERENCE, RUN
from ddrs_core.dashboard.components.data_uri import picture_uri
from ddrs_core.dashboard.components.exports import Download, show_exports
from ddrs_core.dashboard.components.render import render
from ddrs_core.dashboard.failures.findings import Findings
from ddrs_core.dashboard.failures.view import ALL, FAILED, NONE, FailuresView
from ddrs_core.figures.failure_kinds import KIND_COLOURS
from ddrs_core.quantities import counted
from ddrs_core.runs.diagnose.export import as_file
from ddrs_core.runs.diagnose.images import ImageDiagnosis, count_kinds
from ddrs_core.runs.diagnose.suggestions import suggest
from ddrs_core.runs.results.references import reference_files

_MOST_PICTURES = 500
_FORMATS = ((".csv", "CSV", "text/csv"), (".json", "JSON", "application/json"))


def show_failure_exports(
    findings: Findings, view: FailuresView, images: Sequence[ImageDiagnosis], title: str
) -> None:
    """Files of the images that are shown and of all; each is made when it is asked for."""
    stem = findings.results.title.replace(" ", "-")
    shown, every = (
        [
            Download(
                f"{counted(len(some), 'image')} as {said}",
                f"{name}-{stem}{ending}",
                mime,
                partial(as_file, some, ending),
            )
            for ending, said, mime in _FORMATS
        ]
        for name, some in (("failures", images), ("diagnosis", findings.images))
    )
    make = partial(report, findings, images, title)
    shown.append(Download("HTML report with pictures", f"failures-{stem}.html", "text/html", make))
    show_exports(
        {"The images that are listed": shown, "All images": every},
        "Every field of a diagnosis is there; best σ, regret and attack distance where they have "
        "been measured. The address of this page opens the same view.",
        {"bash": command_line(view)},
    )


def report(findings: Findings, images: Sequence[ImageDiagnosis], title: str) -> bytes:
    """A page that holds its pictures, for those who have no server."""
    dataset = findings.dataset
    pictured = list(images[:_MOST_PICTURES])
    pictures: dict[int | None, str] = {}
    if dataset is not None:
        numbers = [i.index for i in pictured if i.index is not None and i.index < len(dataset)]
        read = dataset.read(numbers)
        pictures = {k: picture_uri(x) for k, x in zip(read.indices, read.images, strict=True)}
    total = max(1, len(findings.images))
    return render(
        "failures/report.html",
        title=title,
        kinds=[
            {"kind": kind, "hue": KIND_COLOURS[kind], "count": count, "share": count / total}
            for kind, count in count_kinds(findings.images).items()
        ],
        images=[
            {
                "diagnosis": image,
                "hue": KIND_COLOURS[image.kind],
                "src": pictures.get(image.index, ""),
                "label": "" if image.label is None else findings.class_name(image.label),
                "answer": findings.class_name(image.prediction),
                "suggestions": [s.text for s in suggest(image, findings.results)],
            }
            for image in pictured
        ],
        left_out=len(images) - len(pictured),
    ).encode()


def command_line(view: FailuresView) -> str:
    """What diagnoses the same without the dashboard."""
    words = ["python", "-m", "ddrs_core", "diagnose", _source(view.results)]
    words += ["--radius", f"{view.radius:g}"]
    words += [] if view.against == NONE else ["--against", _source(view.against)]
    if view.kind == ALL:
        return f"{shlex.join(words)} --json  # failures alone; --only certified for the others"
    words += [] if view.kind == FAILED else ["--only", view.kind]
    return shlex.join([*words, "--attack", "--out", "failures.csv"])


def _source(name: str) -> str:
    """How the command line calls a set of results."""
    if name.startswith(RUN):
        run, _, setting = name.removeprefix(RUN).rpartition(".")
        return f"{run}.{int(setting) + 1}"
    if name.startswith(REFERENCE):
        path = reference_files()[name]
        return f"assets/results/{path.parent.name}/{path.name}"
    return f"{name.removeprefix(LOG)}.tsv"
