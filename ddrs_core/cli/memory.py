"""``memory``: the memory banks in the database, and images that are settled against them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.bank_certificates import (
    bank_certificates,
    bank_kind,
    certificates,
    certify_run,
    open_bank,
)
from ddrs_core.cli.certify_options import add_certify_options
from ddrs_core.cli.options import add_command, add_json, answer, print_json
from ddrs_core.cli.progress import progress_bar
from ddrs_core.errors import DDRSError
from ddrs_core.quantities import counted, noun

if TYPE_CHECKING:
    from ddrs_core.smoothing import Certificate
    from ddrs_core.smoothing.memory.rules import Settlement
    from ddrs_core.store import BankRecord


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(commands, "memory", "settle images against the balls of a memory bank")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, (summary, groups, run) in _ACTIONS.items():
        add_command(actions, name, summary, partial(_fill, groups)).set_defaults(run=run)


def _fill(groups: Sequence[_Options], parser: argparse.ArgumentParser) -> None:
    for add_options in groups:
        add_options(parser)


def _add_bank(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bank", required=True, metavar="NAME", help="see: memory list; or its id")


def _add_certification(parser: argparse.ArgumentParser) -> None:
    add_certify_options(parser, bank=False)
    parser.set_defaults(alpha=None, method=["fixed"])


def _add_budget(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a new bank")
    group.add_argument(
        "--budget",
        metavar="B",
        help="sum (default: certificates spend what they have), total (--total-alpha shared by "
        "--planned certificates) or decaying (6 alpha / (pi i)^2 for the i-th)",
    )
    group.add_argument("--total-alpha", type=float, metavar="A", help="of all together")
    group.add_argument("--planned", type=int, metavar="M", help="number of certificates")


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.zip")
    parser.add_argument("--overwrite", action="store_true", help="replace the file")


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE.zip")
    parser.add_argument("--bank", metavar="NAME", help="default: the name in the file")


def _list(options: argparse.Namespace) -> None:
    from ddrs_core.store import list_banks

    banks = list_banks()
    if options.json:
        print_json([_bank_json(bank) for bank in banks])
        return
    if not banks:
        print("No memory banks yet. `memory add` makes one.")
    for bank in banks:
        owner = f" of {bank.owner}" if bank.owner else ""
        print(
            f"{bank.id}  {bank.stored:>7,} {noun(bank.stored, 'ball'):<5}  model "
            f"{bank.kind.model}  failure at most {bank.confidence.failure:.4g}  {bank.name}{owner}"
        )


def _add(options: argparse.Namespace) -> None:
    run = certify_run(options)
    bank, found = open_bank(run, options), []
    with progress_bar(options, total=len(run.plan), unit="image") as bar:
        for image, certificate in bank_certificates(run, bank, options.alpha):
            settled = bank.settle(image, certificate)
            found.append(settled)
            if not options.json:
                bar.write(_settled_line(settled, certificate))
            bar.update()
    record = bank.record()
    known = record.confidence
    tried = f", and {known.tried:,} that were tried and not stored," if known.tried else ""
    answer(
        options,
        {"bank": _bank_json(record), "settlements": [_settlement_json(s) for s in found]},
        f"{record.name}: {counted(record.stored, 'ball')}; its "
        f"{counted(known.settled, 'certificate')}{tried} all hold with a probability of at least "
        f"{1 - known.failure:.4g}; expected number of wrong ones: at most "
        f"{known.expected_wrong:.4g}. A choice among certificates that were made elsewhere, as by "
        "`memory lookup`, is not counted.",
    )


def _look_up(options: argparse.Namespace) -> None:
    from ddrs_core.store import MemoryBank

    bank, found = MemoryBank.find(None, options.bank), []
    run = certify_run(options)
    bank.kind.require(bank_kind(run), bank.name)
    with progress_bar(options, total=len(run.plan), unit="image") as bar:
        for image, certificate in certificates(run):
            looked = bank.lookup(image, certificate)
            inside = [
                {"ball": p.ball.id, "prediction": p.ball.prediction, "slack": p.slack}
                for p in looked.containing
            ]
            found.append({**_settlement_json(looked.settlement), "inside": inside})
            if not options.json:
                bar.write(_settled_line(looked.settlement, certificate, len(inside)))
            bar.update()
    if options.json:
        print_json({"bank": _bank_json(bank.record()), "settlements": found})


def _check(options: argparse.Namespace) -> None:
    from ddrs_core.store import MemoryBank

    check = MemoryBank.find(None, options.bank).check()
    if options.json:
        print_json(
            {
                "bank": _bank_json(check.bank),
                "holds": check.holds,
                "balls": check.balls,
                "tightest": None if check.tightest is None else asdict(check.tightest),
                "overlaps": [asdict(pair) for pair in check.overlaps],
                "damaged": list(check.damaged),
                "unproved": list(check.unproved),
            }
        )
    check.require()
    if options.json:
        return
    print(
        f"{check.bank.name}: no two of {counted(check.balls, 'ball')} of different class overlap, "
        "and the votes of each certificate prove what it claims."
    )
    if check.tightest is not None:
        a, b = check.tightest.a, check.tightest.b
        print(
            f"The tightest pair: balls {a.id} (class {a.prediction}) and {b.id} (class "
            f"{b.prediction}), {check.tightest.gap:.3g} apart."
        )


def _export(options: argparse.Namespace) -> None:
    from ddrs_core.store import MemoryBank

    bank = MemoryBank.find(None, options.bank)
    if options.out.exists() and not options.overwrite:
        raise DDRSError(f"{options.out} is there already: add --overwrite to replace it.")
    record = bank.export(options.out)
    data = {"file": str(options.out), "balls": record.stored}
    answer(options, data, f"{options.out} has {counted(record.stored, 'ball')}.")


def _import(options: argparse.Namespace) -> None:
    from ddrs_core.store import import_bank

    imported = import_bank(None, options.file, options.bank)
    bank, balls, differing = imported.bank, imported.balls, imported.differing
    text = f"Bank {bank.name} ({bank.id}) has {counted(balls, 'ball')}."
    if differing:
        text += f"\n{differing:,} of them were settled otherwise than the file says."
    answer(options, {"bank": _bank_json(bank), "balls": balls, "differing": differing}, text)


def _delete(options: argparse.Namespace) -> None:
    from ddrs_core.store import MemoryBank

    bank = MemoryBank.find(None, options.bank)
    bank.delete()
    answer(options, {"deleted": bank.id}, f"Memory bank {bank.name} is deleted.")


def _settled_line(settled: Settlement, certificate: Certificate, inside: int | None = None) -> str:
    """A settlement on one line; ``inside`` is the number of balls that contain the image."""
    from ddrs_core.smoothing import ABSTAIN, round_down

    said = "abstains" if settled.prediction == ABSTAIN else f"class {settled.prediction}"
    claimed = "abstained" if settled.claimed == ABSTAIN else f"class {settled.claimed}"
    outcome = "-" if settled.prediction == ABSTAIN else settled.outcome.value
    where = "" if inside is None else f"  inside {counted(inside, 'ball')}"
    radius, claimed_radius = round_down(settled.radius), round_down(settled.claimed_radius)
    return (
        f"{certificate.index:>6}  {outcome:<9}  {said:<9} radius {radius}  "
        f"(certificate: {claimed}, {claimed_radius}; alpha {settled.alpha:.3g}){where}"
    )


def _settlement_json(settled: Settlement) -> dict[str, Any]:
    """A settlement as plain data."""
    certificate = settled.certificate
    return {
        "index": None if certificate is None else certificate.index,
        "label": None if certificate is None else certificate.label,
        "outcome": settled.outcome.value,
        "prediction": settled.prediction,
        "radius": settled.radius,
        "claimed": settled.claimed,
        "claimed_radius": settled.claimed_radius,
        "by": None if settled.by is None else settled.by.id,
        "serial": settled.serial,
        "alpha": settled.alpha,
        "certificate": None if certificate is None else certificate.to_dict(),
    }


def _bank_json(bank: BankRecord) -> dict[str, Any]:
    """A bank as plain data."""
    known = bank.confidence
    return {
        **asdict(bank),
        "indexed": bank.indexed,
        "failure": known.failure,
        "expected_wrong": known.expected_wrong,
        "next_alpha": known.next_alpha,
    }


_Options = Callable[[argparse.ArgumentParser], None]
_ACTIONS: dict[str, tuple[str, tuple[_Options, ...], Callable[[argparse.Namespace], None]]] = {
    "list": ("list the memory banks", (add_json,), _list),
    "add": (
        "certify images, settle them and store the balls",
        (_add_bank, _add_certification, _add_budget),
        _add,
    ),
    "lookup": (
        "certify images and say what the bank answers there; nothing is stored or counted",
        (_add_bank, _add_certification),
        _look_up,
    ),
    "check": (
        "prove that no two balls of different class overlap, and every radius by its votes",
        (_add_bank, add_json),
        _check,
    ),
    "export": ("write a bank to a file", (_add_bank, add_json, _add_output), _export),
    "import": (
        "make a new bank from a file: its radii are recomputed from their votes and settled again",
        (_add_input, add_json),
        _import,
    ),
    "delete": ("remove a bank and its balls", (_add_bank, add_json), _delete),
}
