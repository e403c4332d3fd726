"""``models``: list, inspect, add, download, remove."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.options import (
    add_command,
    add_device,
    add_json,
    add_json_below,
    add_quiet,
    answer,
    print_json,
)
from ddrs_core.cli.progress import show_download
from ddrs_core.cli.resolve_inputs import add_foreign_options, import_model
from ddrs_core.errors import InvalidParameterError
from ddrs_core.quantities import counted, duration

if TYPE_CHECKING:
    from ddrs_core.models import Classifier, ModelCard


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(commands, "models", "list the trained models, inspect and add others")
    add_json(parser)
    parser.set_defaults(run=_list)
    actions = parser.add_subparsers(metavar="ACTION")
    inspect = add_command(actions, "inspect", "say what a checkpoint file is")
    inspect.add_argument("path", type=Path, metavar="PATH")
    add_foreign_options(inspect)
    add_json_below(inspect)
    inspect.set_defaults(run=_inspect)
    card = add_command(actions, "card", "show all that is known about a model")
    card.add_argument("model", metavar="MODEL", help="its name, or a .safetensors file with a card")
    card.add_argument(
        "--certify",
        action="store_true",
        help="certify 100 test images with N = 1,000 first, and keep what comes out on the card",
    )
    add_device(card)
    add_quiet(card)
    add_json_below(card)
    card.set_defaults(run=_card)
    add = add_command(actions, "add", "add a checkpoint file to the models of all pages")
    add.add_argument("path", type=Path, metavar="PATH")
    add.add_argument("--name", metavar="N", help="default: made from the file's name")
    add.add_argument("--sigma", type=float, metavar="S", help="noise that it was trained with")
    add.add_argument("--method", metavar="M", help="how it was trained")
    add_foreign_options(add)
    add_json_below(add)
    add.set_defaults(run=_add)
    download = add_command(actions, "download", "get published weights of torchvision")
    download.add_argument("name", metavar="NAME", help="see: models published")
    add_quiet(download)
    add_json_below(download)
    download.set_defaults(run=_download)
    published = add_command(actions, "published", "list torchvision's published weights")
    add_json_below(published)
    published.set_defaults(run=_published)
    remove = add_command(actions, "remove", "delete a model that was added")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=_remove)


def _list(options: argparse.Namespace) -> None:
    from ddrs_core.models import list_models

    cards = list_models()
    if options.json:
        print_json([card.to_dict() for card in cards])
        return
    if not cards:
        print("No models yet. Make one with: python -m ddrs_core train --help")
    for card in cards:
        print(
            f"{card.name:<28} {card.dataset}, {card.architecture} "
            f"({card.parameters:,} parameters, digest {card.digest or 'unknown'}), {card.method} "
            f"at {_noise(card)}; accuracy {_accuracy(card)}"
            + (f"; {card.origin}" if card.origin else "")
        )


def _noise(card: ModelCard) -> str:
    if card.trained_with_noise is None:
        return "sigma unknown"
    return f"sigma {card.sigma:g}" if card.trained_with_noise else "sigma 0 (no noise)"


def _accuracy(card: ModelCard) -> str:
    shares = (f"{name} {100 * share:.1f} %" for name, share in card.accuracy.items())
    return ", ".join(shares) or "not measured"


def _card(options: argparse.Namespace) -> None:
    from ddrs_core.models import get_card
    from ddrs_core.models.checkpoint import read_card
    from ddrs_core.models.registry import path_of

    given = Path(options.model)
    path = given if given.suffix == ".safetensors" else path_of(options.model)
    card = get_card(options.model) if path is None else read_card(path)
    if options.certify:
        card = _certified(card, path, options)
    if options.json:
        print_json(card.to_dict())
        return
    seconds = _training_seconds(card, path)
    lines = [
        f"{card.name}: {card.architecture} ({card.parameters:,} parameters) for {card.dataset}",
        f"trained by {card.method} at {_noise(card)}"
        + (", each image its own" if card.training.get("data_dependent") else "")
        + (f", {counted(card.training['epochs'], 'epoch')}" if card.training else "")
        + (f" in {duration(seconds)}" if seconds else "")
        + (f" on {card.machine}" if card.machine else ""),
        f"accuracy: {_accuracy(card)}",
        *_certified_lines(card),
        f"command: {card.command}" if card.command else f"origin: {card.origin or 'unknown'}",
    ]
    print("\n".join(lines))


def _certified(card: ModelCard, path: Path | None, options: argparse.Namespace) -> ModelCard:
    """The card with what 100 certified images say, written to where it lies."""
    from ddrs_core.models import load_checkpoint, resolve_device
    from ddrs_core.models.checkpoint import write_card
    from ddrs_core.training import measure_certified

    if path is None or not card.sigma:
        raise InvalidParameterError(
            f"{card.name} was trained without noise, or has no card of its own: certify it at a "
            "sigma that you choose, by `python -m ddrs_core certify`."
        )
    classifier = load_checkpoint(path).to(resolve_device(options.device))
    if not (options.quiet or options.json):
        print(f"Certifying with {card.name} ...", file=sys.stderr)
    card = replace(card, certified=measure_certified(classifier, card.dataset, card.sigma))
    write_card(card, path)
    return card


def _training_seconds(card: ModelCard, path: Path | None) -> float:
    """Of the epochs in the log that lies beside a model; 0 without one."""
    from ddrs_core.runs.training.log import read_training_log

    log = path and path.with_suffix(".log.jsonl")
    if not card.log_digest or log is None or not log.is_file():
        return 0.0
    return sum(epoch.seconds for epoch in read_training_log(log).epochs)


def _certified_lines(card: ModelCard) -> list[str]:
    """Certified accuracy by the card's protocol, and what was published for its like."""
    from ddrs_core.runs.results.published import list_published

    found = card.certified
    measured = (
        f"certified accuracy of {counted(found['images'], 'test image')}, N = {found['n']:,}, "
        f"alpha = {found['alpha']:g}, {found['bound']}, sigma {found['sigma']:g}: "
        + _at_radii(found["radii"], found["accuracy"])
        if found
        else "certified accuracy: not measured; `models card MODEL --certify` does"
    )
    alike = [
        one
        for one in list_published(card.dataset)
        if (one.training, one.sigma) == (card.method, card.sigma)
    ]
    return [
        measured,
        *(f"{one.title}, {one.source}: {_at_radii(one.radii, one.accuracy)}" for one in alike),
    ]


def _at_radii(radii: Sequence[float], accuracy: Sequence[float]) -> str:
    return ", ".join(f"{r:g}: {share:.3f}" for r, share in zip(radii, accuracy, strict=True))


def _inspect(options: argparse.Namespace) -> None:
    from ddrs_core.models import accept, describe, propose, read_state, recognise

    raw = read_state(options.path)
    found = recognise(raw)
    lines = describe(raw, found)
    trials: list[dict[str, Any]] = []
    if found or options.arch:
        proposal = propose(raw, architecture=options.arch)
        lines.append(f"normalisation: {proposal.advice}")
        trials = [
            {"name": t.name, "accuracy": t.accuracy, "images": t.images} for t in proposal.trials
        ]
        if proposal.dataset and not proposal.near_chance:
            classifier = accept(proposal, "file", normalization=options.normalization)
            lines += _under_noise(classifier, proposal.dataset).splitlines()
        if len(trials) > 1:
            lines.append(
                "tried on labelled images: "
                + ", ".join(f"{t['name']} {t['accuracy']:.0%}" for t in trials)
            )
    data = {
        "path": str(options.path),
        "layout": raw.layout.value,
        "architectures": [r.architecture for r in found],
        "normalizations": trials,
        "lines": lines,
    }
    answer(options, data, "\n".join(lines))


def _add(options: argparse.Namespace) -> None:
    from ddrs_core.models import add_model

    proposal, classifier = import_model(
        options.path, options, name=options.name, sigma=options.sigma, method=options.method
    )
    card = add_model(classifier)
    if options.json:
        print_json(card.to_dict())
        return
    print(f"Added {card.name} ({card.architecture}, {card.parameters:,} parameters).")
    print(proposal.advice)
    if proposal.dataset:
        print(_under_noise(classifier, proposal.dataset))


def _under_noise(classifier: Classifier, dataset: str) -> str:
    """Accuracy at several noise levels, and what it means."""
    from ddrs_core.models import NoisyForward, find_robustness, measure_robustness, open_for_model

    card = classifier.card
    found = find_robustness(card, dataset)
    if found is None:
        opened = open_for_model(dataset, card)
        *_, found = measure_robustness(NoisyForward(classifier), opened, card)
    shares = [f"{f'sigma {s:g}' if s else 'clean'} {p:.0%}" for s, p in found.accuracy.items()]
    measured = f"under noise: {', '.join(shares)} ({counted(found.images, 'image')} of {dataset})"
    return f"{measured}\n{found.explain(classifier.card.num_classes)}".strip()


def _published(options: argparse.Namespace) -> None:
    from ddrs_core.models import is_downloaded, list_published

    weights = list_published()
    if options.json:
        print_json(
            [
                {
                    "name": w.name,
                    "architecture": w.architecture,
                    "accuracy": w.accuracy,
                    "parameters": w.num_params,
                    "megabytes": w.size_mb,
                    "at_hand": is_downloaded(w),
                }
                for w in weights
            ]
        )
        return
    for w in weights:
        here = "here" if is_downloaded(w) else f"{w.size_mb:,.0f} MB"
        print(f"{w.name:<50} {w.num_params / 1e6:7.1f} M, {w.accuracy:.1%} on ImageNet, {here}")


def _download(options: argparse.Namespace) -> None:
    from ddrs_core.models import download_published, get_published

    weights = get_published(options.name)
    show_download(options, download_published(weights))
    print(f"{weights.name} is here. Its classes are ImageNet's; images are 3x224x224 or so.")


def _remove(options: argparse.Namespace) -> None:
    from ddrs_core.models import remove_model

    remove_model(options.name)
    print(f"Removed {options.name}.")
