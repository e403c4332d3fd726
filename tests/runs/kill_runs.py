"""Kill certification runs at random moments, resume them, and compare with undisturbed ones.

    python -m tests.runs.kill_runs --times 100

Files (fixed and data-dependent sigma) and runs of the database (these two and one with a memory)
take turns, on images of which two cannot be read. After every SIGKILL the certificates that were
there before must still be there as they were, each once; a finished run must be what the
undisturbed one is.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ddrs_core.data import add_dataset
from ddrs_core.runs.certify.config import CertifyConfig, Method
from ddrs_core.runs.worker import record_run
from ddrs_core.smoothing import CertificationBudget, SearchConfig
from ddrs_core.store import MemoryBank, RunState, open_store
from tests.data.layouts import digit_folders
from tests.processes import start_command, start_process

_DAMAGED = ("2/1.png", "7/0.png")
_BANK = "killed"
_LONGEST_DELAY = 0.5  # of the time that an undisturbed run takes

Found = dict[tuple[object, ...], object]


@dataclass(frozen=True)
class Size:
    """How much a run has to do."""

    per_class: int = 4  # images
    n: int = 500
    samples: int = 60  # votes at each point of the search, and for each candidate of its guard


class FileRun:
    """``certify --out FOLDER --resume``; the content of its logs, but for the time it took."""

    title = "file run"

    def __init__(self, folder: Path, dataset: str, size: Size) -> None:
        self.folder, self.url = folder, f"sqlite:///{folder}.db"
        self.argv = [
            "certify",
            "--dataset",
            dataset,
            "--model",
            "digits-gaussian-0.50",
            "--quiet",
            "--method",
            "fixed",
            "ds",
            "--sigma",
            "0.5",
            "--n",
            str(size.n),
            "--device",
            "cpu",
            "--strategy",
            "search",
            "--samples",
            str(size.samples),
            "--guard",
            str(size.samples),
            "--out",
            str(folder),
            "--resume",
        ]

    def found(self) -> Found:
        rows: Found = {}
        for path in sorted(self.folder.glob("*.tsv")):
            text = path.read_text()
            head, *lines = text[: text.rfind("\n") + 1].splitlines() or [""]
            for line in lines:
                cells = dict(zip(head.split("\t"), line.split("\t"), strict=True))
                cells.pop("time")
                assert (path.name, cells["idx"]) not in rows, f"doubled: {line}"
                rows[path.name, cells["idx"]] = cells
        return rows

    def check_finished(self) -> None:
        left = [path.name for path in self.folder.iterdir() if path.suffix != ".tsv"]
        assert not left, f"left behind: {left}"


class RecordedRun:
    """``certify --run ID``; its certificates in the database, but for the time they took."""

    title = "recorded run"

    def __init__(self, folder: Path, dataset: str, size: Size) -> None:
        self.url = f"sqlite:///{folder}.db"
        search = SearchConfig(samples=size.samples, guard=size.samples)
        fixed = CertifyConfig(
            dataset,
            "digits-gaussian-0.50",
            Method.FIXED,
            0.5,
            budget=CertificationBudget(n=size.n),
            device="cpu",
        )
        chosen = replace(fixed, method=Method.DS, strategy=search)
        settled = replace(chosen, method=Method.DS_MEMORY, bank=_BANK)
        self.run_id = record_run(open_store(self.url), [fixed, chosen, settled]).id
        self.argv = ["certify", "--run", self.run_id, "--quiet"]

    def found(self) -> Found:
        store = open_store(self.url)
        stored = store.certificates(self.run_id)
        assert len(stored) == store.count(self.run_id), "doubled"
        return {(s.setting, s.position): replace(s.certificate, seconds=0.0) for s in stored}

    def check_finished(self) -> None:
        assert open_store(self.url).run(self.run_id).state is RunState.FINISHED
        bank = MemoryBank.find(self.url, _BANK)
        settled = [key for key, c in self.found().items() if key[0] == 2 and not c.failure]
        assert bank.record().settled == len(settled), "the memory has lost or doubled some"
        assert not bank.check().overlaps


def kill_runs(
    times: int, folder: Path, *, size: Size, seed: int = 0, say: Callable[[str], None] = print
) -> int:
    """Kill runs ``times`` times; returns how many runs that took.

    Raises:
        AssertionError: if a certificate is lost, doubled or changed.
    """
    os.environ["DDRS_HOME"] = str(folder / "home")
    digits = digit_folders(folder / "digits", size.per_class, _DAMAGED)
    dataset = add_dataset(digits, name="killed-digits").name
    start_process(os.getpid).join()  # the imports are not part of what a run takes
    whole: dict[str, tuple[Found, float]] = {}
    for kind in (FileRun, RecordedRun):
        undisturbed = kind(folder / f"whole-{kind.__name__}", dataset, size)
        started = time.monotonic()
        assert _session(undisturbed.argv, undisturbed.url, None) == 0
        whole[kind.title] = undisturbed.found(), time.monotonic() - started
        undisturbed.check_finished()
    kills, runs, moments = 0, 0, random.Random(seed)
    while kills < times:
        kind = (FileRun, RecordedRun)[runs % 2]
        killed = kind(folder / f"run-{runs}", dataset, size)
        most = min(times - kills, max(1, times // 2))  # both kinds are killed
        here = _kill_until_done(killed, *whole[kind.title], most, moments)
        kills, runs = kills + here, runs + 1
        say(f"{kind.title} {runs}: {here} kills, then as undisturbed ({len(killed.found())} rows)")
    return runs


def _kill_until_done(
    run: FileRun | RecordedRun, whole: Found, seconds: float, most: int, moments: random.Random
) -> int:
    """Kill one run until it ends by itself, or often enough; returns how often."""
    seen: Found = {}
    kills, code = 0, -1
    while code != 0:
        delay = moments.uniform(0, _LONGEST_DELAY * seconds) if kills < most else None
        code = _session(run.argv, run.url, delay)
        assert code in (0, -signal.SIGKILL), f"exit code {code}: {' '.join(run.argv)}"
        kills += code != 0
        now = run.found()
        assert seen.items() <= now.items(), f"lost or changed: {_first(seen, now)}"
        assert now.items() <= whole.items(), f"not as undisturbed: {_first(now, whole)}"
        seen = now
    assert seen == whole, f"missing: {_first(whole, seen)}"
    run.check_finished()
    return kills


def _first(part: Found, of: Found) -> object:
    return next((key, value, of.get(key)) for key, value in part.items() if of.get(key) != value)


def _session(argv: list[str], url: str, delay: float | None) -> int:
    """One process that works on a run, killed after a delay; its exit code."""
    process = start_command(argv, DDRS_HOME=os.environ["DDRS_HOME"], DDRS_DATABASE_URL=url)
    process.join(delay)
    if process.is_alive():
        process.kill()
        process.join()
    assert process.exitcode is not None
    return process.exitcode


def main(arguments: Any = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.runs.kill_runs", description=__doc__)
    parser.add_argument("--times", type=int, default=20, metavar="K", help="kills in all")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kill-runs-") as folder:
        try:
            runs = kill_runs(options.times, Path(folder), size=Size(), seed=options.seed)
        except AssertionError as wrong:
            sys.stderr.write(f"FAILED: {wrong}\n")
            return 1
    kinds = Counter("file" if i % 2 == 0 else "recorded" for i in range(runs))
    sys.stdout.write(
        f"{options.times} kills of {runs} runs ({kinds['file']} to files, {kinds['recorded']} in "
        f"the database) in {time.monotonic() - started:.0f} s: no certificate was lost, none "
        "doubled, none differs from the undisturbed run.\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
