"""``train``: a base classifier, trained, measured and saved with its card."""

from __future__ import annotations

import argparse
import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.options import add_command, add_device, add_json, add_quiet, add_seed, print_json
from ddrs_core.cli.progress import progress_bar
from ddrs_core.errors import InvalidParameterError

if TYPE_CHECKING:
    from ddrs_core.training import SigmaTraining, TrainConfig, TrainingMethod

_SETTINGS: dict[str, tuple[type, str]] = {  # fields of TrainConfig
    "epochs": (int, "passes over the training images"),
    "batch_size": (int, "images a step, over all processes"),
    "lr": (float, "learning rate"),
    "schedule": (str, "of the learning rate: cosine, step, one-cycle or constant"),
    "warmup": (float, "epochs over which the learning rate grows from 0"),
    "momentum": (float, "of SGD"),
    "weight_decay": (float, "of SGD"),
    "clip": (float, "largest norm of the gradient; 0: any"),
    "ema": (float, "decay of a moving average of the weights, which is kept; 0: none"),
    "augmentation": (str, "none, flip, shift or flip-shift"),
    "init": (str, "model, or path of a .safetensors file, to start from"),
    "precision": (str, "auto, fp32 or bf16"),
}
_METHOD_OPTIONS: dict[str, tuple[type, str]] = {  # fields of the methods
    "copies": (int, "noisy copies of an image: m of SmoothAdv, k of MACER"),
    "epsilon": (float, "SmoothAdv: l2 radius of the attack"),
    "attack_steps": (int, "SmoothAdv: steps T of the attack"),
    "attack_warmup": (float, "SmoothAdv: epochs over which epsilon grows"),
    "robustness_weight": (float, "MACER: lambda"),
    "gamma": (float, "MACER: hinge on the gap"),
    "beta": (float, "MACER: sharpness of the softmax"),
}
_SIGMA_OPTIONS: dict[str, tuple[type, str]] = {  # fields of SigmaTraining, after "sigma_"
    "steps": (int, "steps K at each visit of an image"),
    "samples": (int, "noisy copies n a step"),
    "lr": (float, "step size on sigma"),
    "start": (float, "epochs before the sigmas begin to move"),
    "clamp": (float, "probabilities are kept in [c, 1 - c]"),
    "beta": (float, "logits are multiplied by it before the softmax"),
}


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(
        commands, "train", "train a base classifier under noise",
        epilog="Several GPUs or processes: torchrun --nproc-per-node 4 -m ddrs_core train ...",
    )  # fmt: skip
    parser.add_argument("--dataset", required=True, metavar="D", help="see: datasets")
    parser.add_argument(
        "--method", required=True, metavar="M", help="gaussian, smoothadv or macer"
    )
    parser.add_argument(
        "--data-dependent", action="store_true", help="a sigma for every training image"
    )
    parser.add_argument(
        "--sigma", required=True, type=float, metavar="S",
        help="training noise, where each image's own begins if data-dependent",
    )  # fmt: skip
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where it goes")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with the run in DIR")
    again.add_argument("--overwrite", action="store_true", help="replace the run in DIR")
    parser.add_argument("--architecture", metavar="A", help="default: what suits the data set")
    parser.add_argument("--name", default="", help="default: such as digits-gaussian-0.25")
    parser.add_argument(
        "--compile", action="store_true", help="compile the network first (needs a C++ compiler)"
    )
    recipe = "default: what suits data set and method"
    _add(parser.add_argument_group("training", recipe), _SETTINGS)
    _add(parser.add_argument_group("the method", recipe), _METHOD_OPTIONS)
    group = parser.add_argument_group("data-dependent sigma (--data-dependent)", recipe)
    _add(group, _SIGMA_OPTIONS, "sigma_")
    for name, meaning in (("sigma_min", "smallest sigma"), ("sigma_max", "largest sigma")):
        group.add_argument(_flag(name), type=float, metavar="X", help=meaning)
    add_seed(parser)
    add_device(parser)
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=_run)


def _add(group: Any, options: dict[str, tuple[type, str]], prefix: str = "") -> None:
    for name, (kind, meaning) in options.items():
        group.add_argument(_flag(prefix + name), type=kind, metavar="X", help=meaning)


def _run(options: argparse.Namespace) -> None:
    from ddrs_core.models import resolve_device
    from ddrs_core.runs.training import TrainingFiles, TrainingStopped, train_and_save
    from ddrs_core.training import BatchSummary, EpochSummary, join_group, leave_group

    config = train_config(options)
    if options.overwrite:
        TrainingFiles(options.out, config.model_name).remove()
    group, device = join_group(resolve_device(options.device))
    options.quiet = options.quiet or not group.leads
    with _stop_on_signals() as stop:
        steps = train_and_save(
            config, device, options.out, command=train_command(config, options.out),
            resume=options.resume, group=group, stop=stop,
        )  # fmt: skip
        with progress_bar(options, total=config.epochs, unit="epoch") as bar:
            for step in steps:
                last = step
                if isinstance(step, BatchSummary):
                    bar.n = step.epoch - 1 + round(step.batch / step.batches, 2)
                    bar.set_postfix(loss=f"{step.loss:.3f}", accuracy=f"{step.accuracy:.3f}")
                elif isinstance(step, EpochSummary):
                    bar.n = step.epoch
                    bar.refresh()
    leave_group()
    if isinstance(last, TrainingStopped):
        raise KeyboardInterrupt(
            f"Stopped in epoch {last.epoch}; the same command with --resume goes on."
        )
    if group.leads:
        _report(last, options)


def _report(saved: Any, options: argparse.Namespace) -> None:
    if options.json:
        print_json({"path": str(saved.path), **saved.card.to_dict()})
        return
    print(f"Saved {saved.path} ({saved.card.parameters:,} parameters).")
    for name, share in saved.card.accuracy.items():
        print(f"  accuracy, {name}: {100 * share:.1f} %")


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or a polite kill sets; the second one ends the process at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train_config(options: argparse.Namespace) -> TrainConfig:
    """The run that the options describe.

    Raises:
        DDRSError: if a name is unknown or options contradict each other.
    """
    from ddrs_core.runs.training import default_architecture
    from ddrs_core.training import recipe

    config = recipe(
        options.dataset,
        options.architecture or default_architecture(options.dataset),
        options.method,
        options.sigma,
        data_dependent=options.data_dependent,
        seed=options.seed,
        name=options.name,
        compile=options.compile,
        **_given(options, _SETTINGS),
    )
    return replace(
        config,
        method=_method(config.method, _given(options, _METHOD_OPTIONS)),
        data_dependent=_sigma_training(config.data_dependent, options),
    )


def _method(method: TrainingMethod, given: dict[str, Any]) -> TrainingMethod:
    known = {field.name for field in fields(method)}  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            raise InvalidParameterError(f"{_flag(name)} means nothing to method {method.name!r}.")
    return replace(method, **given)  # type: ignore[type-var]


def _sigma_training(
    config: SigmaTraining | None, options: argparse.Namespace
) -> SigmaTraining | None:
    given = _given(options, _SIGMA_OPTIONS, "sigma_")
    edges = _given(options, ("sigma_min", "sigma_max"))
    if config is None:
        for name in (*(f"sigma_{n}" for n in given), *edges):
            raise InvalidParameterError(f"{_flag(name)} goes with --data-dependent only.")
        return None
    low, high = config.bounds
    bounds = (edges.get("sigma_min", low), edges.get("sigma_max", high))
    return replace(config, bounds=bounds, **given)


def _given(options: argparse.Namespace, names: Any, prefix: str = "") -> dict[str, Any]:
    values = {name: getattr(options, prefix + name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def train_command(config: TrainConfig, out: Path) -> str:
    """The command line that makes this model again, whatever the defaults will be by then."""
    words = ["python", "-m", "ddrs_core", "train", "--dataset", config.dataset]
    words += ["--method", config.method.name, "--sigma", str(config.sigma)]
    values: dict[str, Any] = {"architecture": config.architecture}
    values |= {name: getattr(config, name) for name in _SETTINGS}
    values |= {field.name: getattr(config.method, field.name) for field in fields(config.method)}  # type: ignore[arg-type]
    if config.data_dependent is not None:
        words.append("--data-dependent")
        values |= {f"sigma_{name}": getattr(config.data_dependent, name) for name in _SIGMA_OPTIONS}
        values["sigma_min"], values["sigma_max"] = config.data_dependent.bounds
    values |= {"seed": config.seed, "name": config.name}
    for name, value in values.items():
        if value != "":
            words += [_flag(name), str(value)]
    if config.compile:
        words.append("--compile")
    return shlex.join([*words, "--out", str(out)])


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
