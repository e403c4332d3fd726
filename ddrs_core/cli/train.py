"""``train``: a base classifier, trained, measured and saved with its card."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from ddrs_core.cli.options import add_command, add_device, add_json, add_quiet, add_seed, print_json
from ddrs_core.cli.progress import progress_bar

_NUMBERS: dict[str, type] = {  # fields of TrainConfig that an option of the same name overrides
    "epochs": int,
    "batch_size": int,
    "lr": float,
    "momentum": float,
    "weight_decay": float,
}


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(commands, "train", "train a base classifier under noise")
    parser.add_argument("--dataset", required=True, metavar="D", help="see: datasets")
    parser.add_argument("--method", required=True, metavar="M", help="gaussian")
    parser.add_argument("--sigma", required=True, type=float, metavar="S", help="training noise")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where it goes")
    parser.add_argument("--architecture", metavar="A", help="default: what suits the data set")
    parser.add_argument("--name", default="", help="default: such as digits-gaussian-0.25")
    for name, kind in _NUMBERS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=kind, metavar="X", help="default: as for the digits"
        )
    add_seed(parser)
    add_device(parser)
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from ddrs_core.models import resolve_device
    from ddrs_core.runs.training import ModelSaved, default_architecture, train_and_save
    from ddrs_core.training import EpochSummary, TrainConfig

    given = {name: value for name in _NUMBERS if (value := getattr(options, name)) is not None}
    config = TrainConfig(
        dataset=options.dataset,
        architecture=options.architecture or default_architecture(options.dataset),
        method=options.method,
        sigma=options.sigma,
        seed=options.seed,
        name=options.name,
        **given,
    )
    device = resolve_device(options.device)
    steps = train_and_save(config, device, options.out, command=_command(config, options))
    with progress_bar(options, total=config.epochs, unit="epoch") as bar:
        for step in steps:
            if isinstance(step, EpochSummary):
                bar.set_postfix(loss=f"{step.loss:.3f}", accuracy=f"{step.accuracy:.3f}")
                bar.update()
            saved = step
    assert isinstance(saved, ModelSaved)
    if options.json:
        print_json({"path": str(saved.path), **saved.card.to_dict()})
        return
    print(f"Saved {saved.path} ({saved.card.parameters:,} parameters).")
    for name, share in saved.card.accuracy.items():
        print(f"  accuracy, {name}: {100 * share:.1f} %")


def _command(config: Any, options: argparse.Namespace) -> str:
    """The command line that makes this model again, whatever the defaults will be by then."""
    fields = ("dataset", "method", "sigma", "architecture", *_NUMBERS, "seed")
    words = ["python", "-m", "ddrs_core", "train"]
    for field in fields:
        words += [f"--{field.replace('_', '-')}", str(getattr(config, field))]
    if config.name:
        words += ["--name", config.name]
    return shlex.join([*words, "--out", str(options.out)])
