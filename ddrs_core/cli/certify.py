"""``certify``: class and certified radius of images of a data set, as a table."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.certify_options import add_certify_options, certify_configs
from ddrs_core.cli.options import add_command, print_json
from ddrs_core.cli.progress import progress_bar
from ddrs_core.errors import DDRSError, InvalidParameterError
from ddrs_core.quantities import counted

if TYPE_CHECKING:
    from tqdm import tqdm

    from ddrs_core.runs.certify.config import CertifyConfig
    from ddrs_core.runs.certify.run import CertifyRun, RunStep
    from ddrs_core.runs.logs.columns import LogRow
    from ddrs_core.runs.logs.writing import LogFile
    from ddrs_core.store import RunRecord, Store

_SAMPLES = "choosing sigma"
_UNFINISHED = ".unfinished"  # beside a log while it grows: what the network has answered so far


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(commands, "certify", "certify images of a data set", add_certify_options)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    if options.out is None and (options.resume or options.overwrite):
        raise InvalidParameterError("--resume and --overwrite need a file: add --out FILE.tsv.")
    if options.dry_run:
        _show_cost(options)
    elif options.run_id is not None or options.record is not None:
        _run_recorded(options)
    elif options.cluster is not None:
        raise InvalidParameterError(
            "A run on a cluster is kept in the database: add --record, and write it to a file "
            "afterwards with `runs export`."
        )
    else:
        _run_to_files(options, certify_configs(options))


def _show_cost(options: argparse.Namespace) -> None:
    from ddrs_core.cli.dry_run import show_cost

    if options.run_id is not None or options.resume:
        raise InvalidParameterError(
            "--dry-run tells the cost of a whole run, not of what is left of one: leave out --run "
            "and --resume."
        )
    configs = certify_configs(options)
    _refuse_to_replace(options, _paths(options, configs))
    show_cost(options, configs)


def _run_to_files(options: argparse.Namespace, configs: list[CertifyConfig]) -> None:
    """Certify, writing each row to a file, or to the standard output, as soon as it is there."""
    from ddrs_core.models import Journal
    from ddrs_core.runs.certify.run import interleave, open_runs
    from ddrs_core.runs.certify.tuning import check_tuning, tune_runs
    from ddrs_core.runs.logs.columns import HEADER, LogRow, run_settings

    if any(config.bank for config in configs):
        raise InvalidParameterError(
            "A run with a memory bank is kept in the database, where the bank is: add --record, "
            "and write it to a file afterwards with `runs export`."
        )
    paths = _paths(options, configs)
    runs = open_runs(_as_recorded(options, configs, paths))
    check_tuning([run.config for run in runs])
    settings = [run_settings(run) for run in runs]
    table = options.out is None and not options.json
    with ExitStack() as stack:
        logs = [stack.enter_context(log) for log in _open_logs(options, paths, runs, settings)]
        rows: list[list[LogRow]] = [list(log.rows) for log in logs] or [[] for _ in runs]
        _say_what_differs(logs, runs)
        if table:
            print(HEADER)
        total, done = sum(len(run.plan) for run in runs), sum(len(part) for part in rows)
        bar = stack.enter_context(progress_bar(options, total=total, unit="image", done=done))
        journals = [Journal(log.path.with_name(f"{log.path.name}{_UNFINISHED}")) for log in logs]
        try:
            there = [range(len(part)) for part in rows]
            work = chain(tune_runs(runs), interleave(runs, there, journals or None))
            for number, step in work:
                _show_step(options, bar, step)
                if step.certificate is None:
                    continue
                row = LogRow(step.certificate, settings[number])
                rows[number].append(row)
                bar.update()
                if logs:
                    logs[number].append(row)
                elif table:
                    bar.clear()  # the bar and the table may share a terminal
                    print(row.to_line(), flush=True)
                    bar.refresh()
            for journal in journals:
                journal.end()
        except KeyboardInterrupt:
            for journal in journals:
                journal.write()
            made = sum(len(part) for part in rows)
            raise KeyboardInterrupt(_interrupted(made, options.out)) from None
    certificates = [[row.certificate for row in part] for part in rows]
    _report(options, certificates, configs, settings, sys.stderr if table else sys.stdout)


def _show_step(options: argparse.Namespace, bar: tqdm[Any], step: RunStep) -> None:
    """What a run does now, behind the bar; what is to be kept, on a line of its own."""
    bar.set_postfix_str(step.note or (_SAMPLES if step.stage == "sigma" else ""), refresh=False)
    bar.update(0)
    if step.message and not options.quiet:
        bar.write(step.message, file=sys.stderr)


def _interrupted(done: int, out: Path | None) -> str:
    if out is None:
        return f"Interrupted after {counted(done, 'image')}."
    kept = counted(done, "certificate")
    return f"Interrupted: {out} has {kept}; the same command with --resume goes on."


def _paths(options: argparse.Namespace, configs: list[CertifyConfig]) -> list[Path]:
    out: Path | None = options.out
    if out is None:
        return []
    to_folder = len(configs) > 1 or out.is_dir()
    return [out / f"{_file_name(config)}.tsv" for config in configs] if to_folder else [out]


def _as_recorded(
    options: argparse.Namespace, configs: list[CertifyConfig], paths: list[Path]
) -> list[CertifyConfig]:
    """A run that goes on keeps its bound, its batch size, since in other batches a network rounds
    differently, and the sigma that was tuned for it."""
    from ddrs_core.models import batch_size_of
    from ddrs_core.runs.certify.config import Method
    from ddrs_core.runs.logs.writing import recorded_cells
    from ddrs_core.smoothing import Bound
    from ddrs_core.smoothing.confidence import check_sigma

    if not options.resume:
        return configs
    cells = [recorded_cells(path) for path in paths]
    sizes = [batch_size_of(last.get("execution", "")) for last in cells]
    known = next((size for size in sizes if size), None)
    going_on = []
    if options.bound is None and any(last.get("bound") == Bound.ONE_SIDED for last in cells):
        one_sided = replace(configs[0].budget, bound=Bound.ONE_SIDED)
        configs = [replace(config, budget=one_sided) for config in configs]
        print(f"{options.out} was begun with one-sided bounds, and goes on so.", file=sys.stderr)
    for config, last, size in zip(configs, cells, sizes, strict=True):
        if options.batch_size is None:
            config = replace(config, batch_size=size or known)
        if config.method is Method.TUNED:
            with suppress(KeyError, ValueError, DDRSError):  # no row, or a damaged one
                config = replace(config, tuned=check_sigma(float(last["sigma"])))
        going_on.append(config)
    return going_on


def _say_what_differs(logs: list[LogFile], runs: list[CertifyRun]) -> None:
    for log, run in zip(logs, runs, strict=False):
        before = log.rows[-1].certificate.execution if log.rows else ""
        now = run.smoothed.forward.execution(run.dataset.info.shape)
        if before not in ("", now) and len(log.rows) < len(run.plan):
            print(
                f"{log.path}: its rows were made with {before}, those to come with {now}: single "
                "votes may be counted otherwise than in an undisturbed run.",
                file=sys.stderr,
            )


def _open_logs(
    options: argparse.Namespace,
    paths: list[Path],
    runs: list[CertifyRun],
    settings: list[dict[str, str]],
) -> list[LogFile]:
    from ddrs_core.runs.logs.writing import LogFile

    out: Path | None = options.out
    if out is None:
        return []
    if options.resume:
        labels = [runs[0].dataset.label(index) for index in runs[0].plan]
        return [
            LogFile.resume(_in_folder(path, out), chosen, run.plan, labels)
            for path, chosen, run in zip(paths, settings, runs, strict=True)
        ]
    _refuse_to_replace(options, paths)
    return LogFile.create_all([_in_folder(path, out) for path in paths])


def _refuse_to_replace(options: argparse.Namespace, paths: list[Path]) -> None:
    for path in paths:
        if path.exists() and not options.overwrite:
            raise DDRSError(
                f"{path} is there already: add --resume to continue it or --overwrite to replace "
                "it."
            )


def _in_folder(path: Path, out: Path) -> Path:
    if path is not out:
        if out.exists() and not out.is_dir():
            raise InvalidParameterError(
                f"Several methods or sigmas need a folder, and {out} is a file: name another --out."
            )
        out.mkdir(parents=True, exist_ok=True)
    return path


def _file_name(config: CertifyConfig) -> str:
    sigma = config.sigma
    short = f"{sigma:g}" if float(f"{sigma:g}") == sigma else repr(sigma)
    return f"{config.model}-{config.method}-{short}"


def _run_recorded(options: argparse.Namespace) -> None:
    """Certify, storing each certificate in the database."""
    from ddrs_core.runs.cluster.connection import check_address, require_ray
    from ddrs_core.runs.worker import record_run
    from ddrs_core.store import RunState, open_store

    if options.out is not None:
        raise InvalidParameterError(
            "A run of the database is written to a file afterwards: see `runs export`."
        )
    if options.cluster is not None:
        require_ray()
        check_address(options.cluster)
    store = open_store()
    if options.run_id is None:
        device = None if options.cluster is None else options.device
        configs = certify_configs(options)
        if (configs[0].dataset, configs[0].model) != (options.dataset, options.model):
            raise InvalidParameterError(
                "A run of the database finds its data set and model by their names when it goes "
                "on: add the files first, see `datasets add` and `models add`."
            )
        run = record_run(store, configs, title=options.record, device=device)
        print(f"Run {run.id}: {run.title}", file=sys.stderr)
    else:
        run = store.run(options.run_id)
    try:
        _work(options, store, run)
    except KeyboardInterrupt:
        word = "Cancelled" if store.run(run.id).state is RunState.CANCELLED else "Paused"
        raise KeyboardInterrupt(
            f"{word}; `certify --run {run.id}` goes on, and so does the dashboard."
        ) from None


def _work(options: argparse.Namespace, store: Store, run: RunRecord) -> None:
    from ddrs_core.runs.worker import recorded_configs, work_on

    with progress_bar(options, total=run.total, unit="image", done=run.stored) as bar:
        for step in work_on(store, run.id, options.cluster or ""):
            bar.n = step.done
            if step.step is not None:
                _show_step(options, bar, step.step)
                continue
            note = f"waiting for {counted(step.ahead, 'other run')}"
            if step.gives_way:
                note = "gives way to somebody's live computation"
            bar.set_postfix_str(note, refresh=False)
            bar.update(0)
    run = store.run(run.id)
    if run.state.can_resume:
        raise KeyboardInterrupt  # somebody asked it to
    certificates = [
        [stored.certificate for stored in store.certificates(run.id, setting)]
        for setting in range(len(run.settings))
    ]
    _report(options, certificates, recorded_configs(run), [run.config] * len(certificates))


def _report(
    options: argparse.Namespace,
    certificates: list[list[Any]],
    configs: list[CertifyConfig],
    settings: list[dict[str, Any]],
    file: Any = None,
) -> None:
    """Say what came out: of one setting as it always was, of several as a list."""
    from ddrs_core.runs.certify.config import as_certified, setting_title
    from ddrs_core.runs.results.results import failure_notes, row_of
    from ddrs_core.runs.results.summary import summarize

    summaries = [summarize(part) for part in certificates]
    notes = [note for part in certificates for note in failure_notes([row_of(c) for c in part])]
    for note in dict.fromkeys(notes):
        print(note, file=sys.stderr)
    if options.json:
        data = [
            {
                "summary": summary.to_dict(),
                "settings": chosen,
                "certificates": [c.to_dict() for c in part],
            }
            for summary, chosen, part in zip(summaries, settings, certificates, strict=True)
        ]
        print_json(data[0] if len(data) == 1 else data)
        return
    for config, part, summary in zip(configs, certificates, summaries, strict=True):
        if len(configs) > 1:
            title = setting_title(as_certified(config, part))
            print(f"{title}:", file=file or sys.stdout)
        print(summary, file=file or sys.stdout)
