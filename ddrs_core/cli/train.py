"""``train``: a base classifier, trained, measured and saved with its card."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.options import (
    add_command,
    add_device,
    add_json,
    add_parameters,
    add_quiet,
    add_recorded,
    given,
    print_json,
)
from ddrs_core.cli.progress import progress_bar
from ddrs_core.errors import InvalidParameterError
from ddrs_core.file_access import check_folder
from ddrs_core.parameters import (
    Parameter,
    joined_parameters,
    option,
    parameters_of,
    prefixed,
    with_values,
)

if TYPE_CHECKING:
    import torch

    from ddrs_core.runs.device_queue import DeviceSlot
    from ddrs_core.runs.training.run import TrainingStep
    from ddrs_core.training import Group, TrainConfig

_GENERAL = ("architecture", "name", "compile", "seed")
_SIGMA = "sigma_"  # prefix of the options of SigmaTraining
_LOOK_SECONDS = 0.5  # between two looks at the queue


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(
        commands,
        "train",
        "train a base classifier under noise",
        _add_options,
        epilog="Several GPUs or processes: torchrun --nproc-per-node 4 -m ddrs_core train ...",
    )
    parser.set_defaults(run=_run)


def _add_options(parser: argparse.ArgumentParser) -> None:
    from ddrs_core.training import METHODS, SigmaTraining, TrainConfig

    fields = parameters_of(TrainConfig)
    add_parameters(parser, {"dataset": fields["dataset"]})
    parser.add_argument("--method", metavar="M", help=", ".join(METHODS))
    parser.add_argument(
        "--data-dependent", action="store_true", help="a sigma for every training image"
    )
    add_parameters(parser, {"sigma": fields["sigma"]})
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, metavar="DIR", help="where it goes")
    add_recorded(where)
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with the run in DIR")
    again.add_argument("--overwrite", action="store_true", help="replace the run in DIR")
    add_parameters(parser, {name: fields[name] for name in _GENERAL})
    parser.add_argument(
        "--queue",
        type=Path,
        metavar="DIR",
        help="take turns with the other runs that name this folder: one at a time on a device",
    )
    recipe = "default: what suits data set and method"
    group = parser.add_argument_group("training", recipe)
    add_parameters(group, _settings())
    group = parser.add_argument_group("the method", recipe)
    add_parameters(group, joined_parameters(METHODS))
    group = parser.add_argument_group("data-dependent sigma (--data-dependent)", recipe)
    add_parameters(group, parameters_of(SigmaTraining), prefix=_SIGMA)
    add_device(parser)
    add_json(parser)
    add_quiet(parser)


def _settings() -> dict[str, Parameter]:
    """The fields of the configuration that a recipe fills in."""
    from ddrs_core.training import TrainConfig

    apart = {"dataset", "sigma", *_GENERAL}
    return {n: field for n, field in parameters_of(TrainConfig).items() if n not in apart}


def _run(options: argparse.Namespace) -> None:
    from ddrs_core.runs.training.run import check_run

    if options.run_id is not None:
        _run_recorded(options, options.run_id)
        return
    needed = {"--dataset": options.dataset, "--method": options.method, "--sigma": options.sigma}
    if options.record is None:
        needed["--out"] = options.out
    missing = [name for name, value in needed.items() if value is None]
    if missing:
        raise InvalidParameterError(f"The following are required: {', '.join(missing)}.")
    config = train_config(options)
    check_run(config)
    if options.record is not None:
        from ddrs_core.runs.training.recorded import record_training
        from ddrs_core.store import open_store

        run = record_training(open_store(), config, title=options.record, device=options.device)
        print(f"Run {run.id}: {run.title}", file=sys.stderr)
        _run_recorded(options, run.id)
    else:
        _run_to_folder(options, config)


def _run_recorded(options: argparse.Namespace, run_id: str) -> None:
    """Train what a run of the database still lacks."""
    from ddrs_core.runs.training.recorded import train_recorded
    from ddrs_core.store import open_store

    store = open_store()
    with _stop_on_signals() as stop:
        steps = train_recorded(store, run_id, stop)
        last = _follow(options, store.run(run_id).total, steps)
    _refuse_stopped(last, f"`train --run {run_id}`")
    _report(last, options)


def _run_to_folder(options: argparse.Namespace, config: TrainConfig) -> None:
    from ddrs_core.models import resolve_device
    from ddrs_core.runs.argv import command_lines
    from ddrs_core.runs.training.run import train_and_save
    from ddrs_core.training import join_group, leave_group

    group, device = join_group(resolve_device(options.device))
    options.quiet = options.quiet or not group.leads
    with _stop_on_signals() as stop, _turn(options, config, device, group, stop) as slot:
        steps = train_and_save(
            config,
            device,
            options.out,
            command=command_lines([config], "--out", str(options.out)),
            resume=options.resume,
            overwrite=options.overwrite,
            group=group,
            stop=stop,
            slot=slot,
        )
        last = _follow(options, config.epochs, steps)
    leave_group()
    _refuse_stopped(last, "the same command with --resume")
    if group.leads:
        _report(last, options)


def _follow(
    options: argparse.Namespace, epochs: int, steps: Iterator[TrainingStep | None]
) -> TrainingStep | None:
    """Follow a run with a progress bar; returns its last step."""
    from ddrs_core.runs.training.run import GaveWay
    from ddrs_core.training import BatchSummary, EpochSummary

    said, last = "", None
    with progress_bar(options, total=epochs, unit="epoch") as bar:
        for step in steps:
            last = step
            if step is None:
                bar.set_postfix_str("waiting for its turn", refresh=False)
                bar.update(0)
            elif isinstance(step, GaveWay):
                bar.set_postfix_str("gives way to somebody's live computation", refresh=False)
                bar.update(0)
            elif isinstance(step, BatchSummary):
                bar.n = step.epoch - 1 + round(step.batch / step.batches, 2)
                bar.set_postfix(loss=f"{step.loss:.3f}", accuracy=f"{step.accuracy:.3f}")
            elif isinstance(step, EpochSummary):
                if step.excluded not in ("", said):
                    said = step.excluded
                    bar.write(said, file=sys.stderr)
                bar.n = step.epoch
                bar.refresh()
    return last


def _refuse_stopped(last: TrainingStep | None, again: str) -> None:
    """Raises KeyboardInterrupt if a run was stopped, and says what goes on with it."""
    from ddrs_core.runs.training.run import TrainingStopped

    if isinstance(last, TrainingStopped):
        raise KeyboardInterrupt(f"Stopped in epoch {last.epoch}; {again} goes on.")


@contextmanager
def _turn(
    options: argparse.Namespace,
    config: TrainConfig,
    device: torch.device,
    group: Group,
    stop: threading.Event,
) -> Iterator[DeviceSlot | None]:
    """Wait until it is this run's turn, if it takes turns with others."""
    from ddrs_core.runs.device_queue import DeviceSlot
    from ddrs_core.runs.training.files import TrainingFiles
    from ddrs_core.runs.training.progress import ProgressReporter, TrainingStage

    if options.queue is None:
        yield None
        return
    if group.size > 1:
        raise InvalidParameterError("--queue is for runs of one process; torchrun starts several.")
    files = TrainingFiles(check_folder(options.out), config.model_name)
    files.run.mkdir(exist_ok=True)
    progress = ProgressReporter(files.progress, config)
    with DeviceSlot.of_this_process(options.queue, str(device)) as turn:
        while not turn.take():
            progress.waiting(turn.ahead())
            if stop.wait(_LOOK_SECONDS):
                progress.stage(TrainingStage.STOPPED)
                raise KeyboardInterrupt(
                    "Stopped while it waited for its turn; the same command with --resume goes on."
                )
        yield turn


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
    from ddrs_core.training import METHODS, SigmaTraining, recipe

    config = recipe(
        options.dataset,
        options.architecture or default_architecture(options.dataset),
        options.method,
        options.sigma,
        data_dependent=options.data_dependent,
        **given(options, [*_settings(), "name", "compile", "seed"]),
    )
    own = given(options, joined_parameters(METHODS))
    for name in own.keys() - parameters_of(config.method).keys():
        raise InvalidParameterError(f"{option(name)} means nothing to method {options.method!r}.")
    sigmas, moving = given(options, parameters_of(SigmaTraining), _SIGMA), config.data_dependent
    for name in sigmas if moving is None else ():
        raise InvalidParameterError(
            f"{option(prefixed(name, _SIGMA))} goes with --data-dependent only."
        )
    moving = None if moving is None else with_values(moving, sigmas)
    return replace(config, method=with_values(config.method, own), data_dependent=moving)
