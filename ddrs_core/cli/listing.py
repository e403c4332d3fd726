"""``datasets`` and ``models``: what is at hand."""

from __future__ import annotations

import argparse
from typing import Any

from ddrs_core.cli.options import add_command, add_json, print_json


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    datasets = add_command(commands, "datasets", "list the data sets")
    add_json(datasets)
    datasets.set_defaults(run=_datasets)
    models = add_command(commands, "models", "list the trained models")
    add_json(models)
    models.set_defaults(run=_models)


def _datasets(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    from ddrs_core.data import list_datasets

    infos = list_datasets()
    if options.json:
        print_json([{**asdict(info), "num_classes": info.num_classes} for info in infos])
        return
    for info in infos:
        print(
            f"{info.name:<16} {_size(info.shape)}, {info.num_classes} classes. {info.description}"
        )


def _models(options: argparse.Namespace) -> None:
    from ddrs_core.models import list_models

    cards = list_models()
    if options.json:
        print_json([card.to_dict() for card in cards])
        return
    if not cards:
        print("No models yet. Make one with: python -m ddrs_core train --help")
    for card in cards:
        noise = "unknown" if card.sigma is None else f"{card.sigma:g}"
        accuracy = ", ".join(f"{name} {100 * share:.1f} %" for name, share in card.accuracy.items())
        print(
            f"{card.name:<28} {card.dataset}, {card.architecture} "
            f"({card.parameters:,} parameters), {card.method} at sigma {noise}; "
            f"accuracy {accuracy or 'not measured'}"
        )


def _size(shape: tuple[int, int, int]) -> str:
    return " x ".join(str(v) for v in shape)
