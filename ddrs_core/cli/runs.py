"""``runs``: the certification and training runs in the database."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ddrs_core.cli.options import add_command, add_json, add_json_below, answer, print_json
from ddrs_core.errors import DDRSError, InvalidParameterError
from ddrs_core.file_access import writing
from ddrs_core.quantities import counted

_STEERING = {
    "pause": "ask a run to end for now; `resume`, `certify --run ID` or `train --run ID` goes on",
    "cancel": "ask a run to end; what it has made stays",
    "resume": "let a run go on in the background",
    "delete": "remove a run and all that it has made",
}


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(commands, "runs", "list and steer the runs in the database")
    add_json(parser)
    parser.set_defaults(run=_list)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    for name, summary in _STEERING.items():
        action = add_command(actions, name, summary)
        action.add_argument("id", metavar="ID")
        add_json_below(action)
        action.set_defaults(run=_steer, action=name)
    export = add_command(actions, "export", "write a certification run's certificates as a log")
    export.add_argument("id", metavar="ID")
    export.add_argument("--out", type=Path, required=True, metavar="FILE.tsv")
    export.add_argument(
        "--setting", type=int, default=1, metavar="K", help="which, if the run has several"
    )
    export.add_argument("--overwrite", action="store_true", help="replace the file")
    add_json_below(export)
    export.set_defaults(run=_export)


def _list(options: argparse.Namespace) -> None:
    from ddrs_core.jobs.runs import list_runs

    runs = list_runs()
    if options.json:
        print_json([asdict(run) for run in runs])
        return
    if not runs:
        print("No runs yet. `certify --record` and `train --record` make one, or the dashboard.")
    for run in runs:
        begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created))
        print(
            f"{run.id}  {begun}  {run.kind:<7}  {run.state:<11}  {run.stored:>6} of {run.total:<6}"
            f"  {run.title}{f' ({run.standing})' if run.gives_way else ''}"
        )


def _steer(options: argparse.Namespace) -> None:
    from ddrs_core.jobs.runs import cancel_run, delete_run, pause_run, resume_run

    if options.action == "delete":
        delete_run(options.id)
        answer(options, {"deleted": options.id}, f"Run {options.id} is deleted.")
        return
    act = {"pause": pause_run, "cancel": cancel_run, "resume": resume_run}[options.action]
    run = act(options.id)
    asked = f", asked to {run.wanted}" if run.wanted else ""
    done = f"{run.stored} of {counted(run.total, run.unit)}"
    answer(options, asdict(run), f"Run {run.id} is {run.state}{asked}: {done}.")


def _export(options: argparse.Namespace) -> None:
    from ddrs_core.runs.from_database import recorded_log
    from ddrs_core.store import CERTIFY, open_store

    store = open_store()
    run = store.run(options.id)
    if run.kind != CERTIFY:
        raise InvalidParameterError(f"Run {run.id} is a training run, which has no certificates.")
    if not 1 <= options.setting <= len(run.settings):
        raise InvalidParameterError(
            f"Run {run.id} has settings 1 to {len(run.settings)}, not {options.setting}."
        )
    out: Path = options.out
    if out.exists() and not options.overwrite:
        raise DDRSError(f"{out} is there already: add --overwrite to replace it.")
    text = recorded_log(store, run, options.setting - 1)
    with writing(out):
        out.write_text(text, encoding="utf-8")
    rows = text.count("\n") - 1
    data = {"file": str(out), "rows": rows}
    answer(options, data, f"{out} has {counted(rows, 'certificate')}.")
