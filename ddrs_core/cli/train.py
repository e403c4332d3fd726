"""``train``: a base classifier, trained, measured and saved with its card."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.options import add_command, add_device, add_json, add_quiet, add_seed, print_json
from ddrs_core.cli.progress import progress_bar
from ddrs_core.errors import InvalidParameterError
from ddrs_core.runs.training.argv import (
    METHOD_OPTIONS,
    SETTINGS,
    SIGMA_BOUNDS,
    SIGMA_OPTIONS,
    flag,
    train_command,
)

if TYPE_CHECKING:
    import torch

    from ddrs_core.training import Group, SigmaTraining, TrainConfig, TrainingMethod

_LOOK_SECONDS = 0.5  # between two looks at the queue


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(
        commands,
        "train",
        "train a base classifier under noise",
        epilog="Several GPUs or processes: torchrun --nproc-per-node 4 -m ddrs_core train ...",
    )
    parser.add_argument("--dataset", required=True, metavar="D", help="see: datasets")
    parser.add_argument("--method", required=True, metavar="M", help="gaussian, smoothadv or macer")
    parser.add_argument(
        "--data-dependent", action="store_true", help="a sigma for every training image"
    )
    parser.add_argument(
        "--sigma",
        required=True,
        type=float,
        metavar="S",
        help="training noise, where each image's own begins if data-dependent",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where it goes")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with the run in DIR")
    again.add_argument("--overwrite", action="store_true", help="replace the run in DIR")
    parser.add_argument("--architecture", metavar="A", help="default: what suits the data set")
    parser.add_argument(
        "--queue",
        type=Path,
        metavar="DIR",
        help="take turns with the other runs that name this folder: one at a time on a device",
    )
    parser.add_argument("--name", default="", help="default: such as digits-gaussian-0.25")
    parser.add_argument(
        "--compile", action="store_true", help="compile the network first (needs a C++ compiler)"
    )
    recipe = "default: what suits data set and method"
    _add(parser.add_argument_group("training", recipe), SETTINGS)
    _add(parser.add_argument_group("the method", recipe), METHOD_OPTIONS)
    group = parser.add_argument_group("data-dependent sigma (--data-dependent)", recipe)
    _add(group, SIGMA_OPTIONS, "sigma_")
    for name, meaning in SIGMA_BOUNDS.items():
        group.add_argument(flag(name), type=float, metavar="X", help=meaning)
    add_seed(parser)
    add_device(parser)
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=_run)


def _add(group: Any, options: dict[str, tuple[type, str]], prefix: str = "") -> None:
    for name, (kind, meaning) in options.items():
        group.add_argument(flag(prefix + name), type=kind, metavar="X", help=meaning)


def _run(options: argparse.Namespace) -> None:
    from ddrs_core.models import resolve_device
    from ddrs_core.runs.training.run import TrainingStopped, check_run, train_and_save
    from ddrs_core.training import BatchSummary, EpochSummary, join_group, leave_group

    config = train_config(options)
    check_run(config)
    group, device = join_group(resolve_device(options.device))
    options.quiet = options.quiet or not group.leads
    with _stop_on_signals() as stop, _turn(options, config, device, group, stop):
        steps = train_and_save(
            config,
            device,
            options.out,
            command=train_command(config, options.out),
            resume=options.resume,
            overwrite=options.overwrite,
            group=group,
            stop=stop,
        )
        said = ""
        with progress_bar(options, total=config.epochs, unit="epoch") as bar:
            for step in steps:
                last = step
                if isinstance(step, BatchSummary):
                    bar.n = step.epoch - 1 + round(step.batch / step.batches, 2)
                    bar.set_postfix(loss=f"{step.loss:.3f}", accuracy=f"{step.accuracy:.3f}")
                elif isinstance(step, EpochSummary):
                    if step.excluded not in ("", said):
                        said = step.excluded
                        bar.write(said, file=sys.stderr)
                    bar.n = step.epoch
                    bar.refresh()
    leave_group()
    if isinstance(last, TrainingStopped):
        raise KeyboardInterrupt(
            f"Stopped in epoch {last.epoch}; the same command with --resume goes on."
        )
    if group.leads:
        _report(last, options)


@contextmanager
def _turn(
    options: argparse.Namespace,
    config: TrainConfig,
    device: torch.device,
    group: Group,
    stop: threading.Event,
) -> Iterator[None]:
    """Wait until it is this run's turn, if it takes turns with others."""
    import psutil

    from ddrs_core.runs.device_queue import DeviceSlot
    from ddrs_core.runs.training.progress import ProgressReporter, TrainingStage
    from ddrs_core.runs.training.run import TrainingFiles, check_folder

    if options.queue is None:
        yield
        return
    if group.size > 1:
        raise InvalidParameterError("--queue is for runs of one process; torchrun starts several.")
    files = TrainingFiles(check_folder(options.out), config.model_name)
    files.run.mkdir(exist_ok=True)
    progress = ProgressReporter(files.progress, config)
    asked = psutil.Process().create_time()  # a minute of imports costs nobody their place
    with DeviceSlot(check_folder(options.queue), str(device), asked) as turn:
        while not turn.take():
            progress.waiting(turn.ahead())
            if stop.wait(_LOOK_SECONDS):
                progress.stage(TrainingStage.STOPPED)
                raise KeyboardInterrupt(
                    "Stopped while it waited for its turn; the same command with --resume goes on."
                )
        yield


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
    from ddrs_core.runs.training.run import default_architecture
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
        **_given(options, SETTINGS),
    )
    return replace(
        config,
        method=_method(config.method, _given(options, METHOD_OPTIONS)),
        data_dependent=_sigma_training(config.data_dependent, options),
    )


def _method(method: TrainingMethod, given: dict[str, Any]) -> TrainingMethod:
    known = {field.name for field in fields(method)}  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            raise InvalidParameterError(f"{flag(name)} means nothing to method {method.name!r}.")
    return replace(method, **given)  # type: ignore[type-var]


def _sigma_training(
    config: SigmaTraining | None, options: argparse.Namespace
) -> SigmaTraining | None:
    given = _given(options, SIGMA_OPTIONS, "sigma_")
    edges = _given(options, SIGMA_BOUNDS)
    if config is None:
        for name in (*(f"sigma_{n}" for n in given), *edges):
            raise InvalidParameterError(f"{flag(name)} goes with --data-dependent only.")
        return None
    low, high = config.bounds
    bounds = (edges.get("sigma_min", low), edges.get("sigma_max", high))
    return replace(config, bounds=bounds, **given)


def _given(options: argparse.Namespace, names: Any, prefix: str = "") -> dict[str, Any]:
    values = {name: getattr(options, prefix + name) for name in names}
    return {name: value for name, value in values.items() if value is not None}
