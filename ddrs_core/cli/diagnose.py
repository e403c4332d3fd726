"""``diagnose``: why images of a run or log are not certified, and what would help."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.options import add_command, add_device, add_json, add_quiet, print_json
from ddrs_core.errors import DDRSError, InvalidParameterError, require_count
from ddrs_core.file_access import writing
from ddrs_core.quantities import counted

if TYPE_CHECKING:
    from ddrs_core.runs.diagnose.images import ImageDiagnosis
    from ddrs_core.runs.diagnose.material import Material
    from ddrs_core.runs.results.results import ResultSet

_SHOWN = 40  # images that a terminal lists


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(
        commands,
        "diagnose",
        "say why images of a run or log are not certified at a radius",
        epilog="Every image gets the first kind that applies; its rule is printed beside it. The "
        "class without noise, the best noise level (by fresh votes at 17 levels) and --attack need "
        "the model and the images; without them the votes of the log still tell most kinds. An "
        "attack counts only after fresh votes confirm another class, and bounds the true radius "
        "from above.",
    )
    parser.add_argument(
        "source", metavar="RUN|LOG.tsv", help="a log, or a run in the database (ID or ID.SETTING)"
    )
    parser.add_argument(
        "--radius", type=float, default=0.5, metavar="R", help="at which to certify, l2 in [0, 1]"
    )
    parser.add_argument(
        "--against", metavar="RUN|LOG.tsv", help="mark images that only one of the two certifies"
    )
    parser.add_argument(
        "--no-levels", action="store_true", help="do not try other noise levels, which takes votes"
    )
    parser.add_argument("--attack", action="store_true", help="attack the images as well")
    parser.add_argument(
        "--nearest", action="store_true", help="find the nearest training images as well"
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="KIND",
        help="only this kind (also `certified`); may be repeated; default: all failures",
    )
    parser.add_argument("--limit", type=int, metavar="L", help="the first L of these images")
    parser.add_argument(
        "--votes-only", action="store_true", help="what the log says, without asking the model"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write all fields to FILE (.csv, .tsv or .json)"
    )
    add_device(parser)
    add_quiet(parser)
    add_json(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from ddrs_core.runs.diagnose.images import count_kinds, diagnose_results, mark_against, only
    from ddrs_core.runs.diagnose.suggestions import suggest
    from ddrs_core.smoothing.diagnosis import FailureKind

    kinds = [FailureKind(name) for name in options.only or ()]
    if options.limit is not None:
        require_count("--limit", options.limit)
    results = _find(options.source)
    against = None if options.against is None else _find(options.against)
    for sentence in results.notes:
        print(f"{options.source}: {sentence}", file=sys.stderr)
    material = None if options.votes_only else _material(results, options)
    if options.attack and material is None:
        raise InvalidParameterError("--attack needs the model and the images.")
    if material is None:
        images = diagnose_results(results, options.radius)
    else:
        from ddrs_core.runs.diagnose.material import with_clean

        images = with_clean(results, options.radius, material)
    images = mark_against(images, against)
    counts = count_kinds(images)
    chosen = only(images, kinds)[: options.limit]
    if material is not None and chosen:
        chosen = _complete(options, material, chosen)
    if options.out is not None:
        _write(options.out, chosen)
    if options.json:
        print_json([image.to_dict() for image in chosen])
        return
    total = len(images)
    print(f"{results.title}: {counted(total, 'image')}, r = {options.radius:g}\n")
    for kind, count in counts.items():
        print(f"{count:6} ({count / total:6.1%})  {kind.value:16} {kind.rule}")
    print()
    for image in chosen[:_SHOWN]:
        print(_line(image))
        for suggestion in suggest(image, results):
            print(f"    try: {suggestion.text}")
    if ratios := [i.radius / d for i in chosen if (d := i.attack_distance) and i.radius > 0]:
        print(
            f"certified radius / attack distance: median {median(ratios):.3f} of "
            f"{counted(len(ratios), 'image')}, largest {max(ratios):.3f}"
        )
    if len(chosen) > _SHOWN:
        print(f"... and {len(chosen) - _SHOWN:,} more: --out FILE or --json lists all.")


def _complete(
    options: argparse.Namespace, material: Material, chosen: list[ImageDiagnosis]
) -> list[ImageDiagnosis]:
    from ddrs_core.cli.progress import progress_bar
    from ddrs_core.runs.diagnose.evidence import contradictions, gather_evidence
    from ddrs_core.smoothing.attack import AttackConfig

    attack = AttackConfig() if options.attack else None
    found: list[ImageDiagnosis] = []
    with progress_bar(options, total=len(chosen), unit="image") as bar:
        for step in gather_evidence(
            material,
            chosen,
            attack=attack,
            review=not options.no_levels,
            neighbours=options.nearest,
        ):
            found += step.images
            bar.set_description(step.text)
            bar.n = round(step.done, 1)
            bar.refresh()
    for _, sentence in contradictions(material.results, found):
        print(f"CONTRADICTION: {sentence}", file=sys.stderr)
    return found


def _find(source: str) -> ResultSet:
    """A log by its path, otherwise a setting of a run."""
    from ddrs_core.runs.from_database import find_results
    from ddrs_core.runs.logs.reading import read_log
    from ddrs_core.store import open_store

    path = Path(source)
    if path.suffix in (".tsv", ".csv", ".txt", ".log") or path.exists():
        return read_log(path)
    return find_results(open_store(), source)


def _material(results: ResultSet, options: argparse.Namespace) -> Material | None:
    """Model and images; without them a sentence on the standard error says what is missing."""
    from ddrs_core.runs.diagnose.material import Material

    try:
        return Material(results, options.device)
    except DDRSError as error:
        if options.attack:
            raise
        print(f"{options.source}: {error}", file=sys.stderr)
        return None


def _line(image: ImageDiagnosis) -> str:
    from ddrs_core.smoothing import round_down

    label = "?" if image.label is None else image.label
    answer = "abstains" if image.prediction < 0 else f"class {image.prediction}"
    said = f"{image.index}: label {label}, {answer}, proved radius {round_down(image.radius)}"
    said += f" [{image.kind.value}] {image.reason}"
    if image.review is not None and image.sigma_mark:
        said += (
            f" σ is {image.sigma_mark}: at {image.review.best_sigma:.3g} a radius of about "
            f"{round_down(image.review.best_radius)} is expected "
            f"instead of {round_down(image.review.radius)}."
        )
    if image.attack is not None:
        a = image.attack
        said += (
            f" No attack succeeded up to {round_down(a.reach)}."
            if a.distance is None
            else f" An attack changes class {a.held} to {a.prediction} at {a.distance:.4f}."
        )
    if image.neighbours is not None and (near := image.neighbours.by_class):
        said += " Nearest training images: "
        said += ", ".join(f"{n.label} at {n.distance:.4f}" for n in list(near.values())[:3]) + "."
    return said + (f" {image.against.capitalize()}." if image.against else "")


def _write(path: Path, images: list[ImageDiagnosis]) -> None:
    from ddrs_core.runs.diagnose.export import as_file

    data = as_file(images, path.suffix)
    with writing(path):
        path.write_bytes(data)
