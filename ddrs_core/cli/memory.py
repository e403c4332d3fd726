"""``memory``: the memory banks in the database, and images that are settled against them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.certify_options import add_certify_options, certify_configs
from ddrs_core.cli.options import add_command, add_json, answer, print_json
from ddrs_core.cli.progress import progress_bar
from ddrs_core.errors import DDRSError, InvalidParameterError
from ddrs_core.quantities import counted, noun

if TYPE_CHECKING:
    from torch import Tensor

    from ddrs_core.runs.certify.run import CertifyRun
    from ddrs_core.smoothing import Certificate
    from ddrs_core.smoothing.memory.rules import Settlement
    from ddrs_core.store import AlphaBudget, BankKind, BankRecord, MemoryBank

_FOREIGN = ("out", "resume", "overwrite", "record", "run_id", "cluster")  # of certify alone
_ALPHA = 0.001  # where the bank does not say which


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(commands, "memory", "settle images against the balls of a memory bank")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = add_command(actions, "list", "list the memory banks")
    add_json(listing)
    listing.set_defaults(run=_list)
    add = _certifying(actions, "add", "certify images, settle them and store the balls")
    group = add.add_argument_group("a new bank")
    group.add_argument(
        "--budget",
        metavar="B",
        help="sum (default: certificates spend what they have), total (--total-alpha shared by "
        "--planned certificates) or decaying (6 alpha / (pi i)^2 for the i-th)",
    )
    group.add_argument("--total-alpha", type=float, metavar="A", help="of all together")
    group.add_argument("--planned", type=int, metavar="M", help="number of certificates")
    add.set_defaults(run=_add)
    look = _certifying(
        actions,
        "lookup",
        "certify images and say what the bank answers there; nothing is stored or counted",
    )
    look.set_defaults(run=_look_up)
    check = _on_bank(
        actions,
        "check",
        "prove that no two balls of different class overlap, and every radius by its votes",
    )
    check.set_defaults(run=_check)
    export = _on_bank(actions, "export", "write a bank to a file")
    export.add_argument("--out", type=Path, required=True, metavar="FILE.zip")
    export.add_argument("--overwrite", action="store_true", help="replace the file")
    export.set_defaults(run=_export)
    importing = add_command(
        actions,
        "import",
        "make a new bank from a file: its radii are recomputed from their votes and settled again",
    )
    importing.add_argument("file", type=Path, metavar="FILE.zip")
    importing.add_argument("--bank", metavar="NAME", help="default: the name in the file")
    add_json(importing)
    importing.set_defaults(run=_import)
    delete = _on_bank(actions, "delete", "remove a bank and its balls")
    delete.set_defaults(run=_delete)


def _on_bank(actions: Any, name: str, summary: str) -> argparse.ArgumentParser:
    parser = add_command(actions, name, summary)
    parser.add_argument("--bank", required=True, metavar="NAME", help="see: memory list; or its id")
    add_json(parser)
    return parser


def _certifying(actions: Any, name: str, summary: str) -> argparse.ArgumentParser:
    def fill(parser: argparse.ArgumentParser) -> None:
        add_certify_options(parser, bank=False)
        parser.set_defaults(alpha=None, method=["fixed"])

    parser = add_command(actions, name, summary, fill)
    parser.add_argument("--bank", required=True, metavar="NAME", help="see: memory list; or its id")
    return parser


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
    run = _certify_run(options)
    bank, found = _open(run, options), []
    with progress_bar(options, total=len(run.plan), unit="image") as bar:
        for image, certificate in _certificates(run, bank, options.alpha):
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
    run = _certify_run(options)
    bank.kind.require(_kind(run), bank.name)
    with progress_bar(options, total=len(run.plan), unit="image") as bar:
        for image, certificate in _plain_certificates(run):
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


def _certify_run(options: argparse.Namespace) -> CertifyRun:
    """The run that the options describe."""
    from ddrs_core.runs.certify.run import CertifyRun

    for name in _FOREIGN:
        if getattr(options, name) not in (None, False):
            flag = name.removesuffix("_id")
            raise InvalidParameterError(f"--{flag} does not go with memory: see `memory export`.")
    alpha = _ALPHA if options.alpha is None else options.alpha
    configs = certify_configs(argparse.Namespace(**{**vars(options), "alpha": alpha, "bank": ""}))
    if len(configs) != 1:
        raise InvalidParameterError("Name one method and one sigma at a time.")
    return CertifyRun(configs[0])


def _open(run: CertifyRun, options: argparse.Namespace) -> MemoryBank:
    """The bank of that id, or of that name, which is made if there is none."""
    from ddrs_core.store import MemoryBank, UnknownEntryError, open_store

    kind, budget = _kind(run), _budget(options)
    open_store().check_intact()
    try:
        bank = MemoryBank.find(None, options.bank)
    except UnknownEntryError:
        return MemoryBank.open(
            None,
            options.bank,
            model=kind.model,
            num_classes=kind.num_classes,
            shape=kind.shape,
            class_names=kind.class_names,
            budget=budget,
        )
    bank.kind.require(kind, bank.name)
    if budget is not None and budget != bank.budget:
        raise InvalidParameterError(
            f"The memory bank {bank.name!r} has an alpha budget already: leave --budget out."
        )
    return bank


def _kind(run: CertifyRun) -> BankKind:
    from ddrs_core.store import BankKind

    info = run.dataset.info
    names = info.class_names if len(info.class_names) == run.smoothed.num_classes else ()
    return BankKind(run.smoothed.forward.digest, run.smoothed.num_classes, info.shape, tuple(names))


def _budget(options: argparse.Namespace) -> AlphaBudget | None:
    from ddrs_core.store import AlphaBudget, BudgetKind

    if options.budget is None:
        if options.total_alpha is not None or options.planned is not None:
            raise InvalidParameterError("--total-alpha and --planned need --budget.")
        return None
    return AlphaBudget(BudgetKind(options.budget), options.total_alpha, options.planned).check()


def _certificates(
    run: CertifyRun, bank: MemoryBank, alpha: float | None
) -> Iterator[tuple[Tensor, Certificate]]:
    """Certify the images of a run; without an alpha, each with the one that it may spend."""
    from ddrs_core.runs.certify.run import CertifyRun

    if alpha is not None or bank.budget.total is None:
        yield from _plain_certificates(run)
        return
    for index in run.plan:
        record = bank.record()
        known = record.confidence
        if not known.next_alpha:
            bank.budget.require(_ALPHA, record.turn)  # for its message
        config = replace(
            run.config,
            budget=replace(run.config.budget, alpha=known.next_alpha or _ALPHA),
            indices=(index,),
            skip=1,
            start=0,
            limit=None,
        )
        yield from _plain_certificates(CertifyRun(config, like=run))


def _plain_certificates(run: CertifyRun) -> Iterator[tuple[Tensor, Certificate]]:
    for step in run.steps():
        if step.certificate is not None and step.certificate.failure:
            index, reason = step.certificate.index, step.certificate.failure
            print(f"Image {index} cannot be read and is left out: {reason}", file=sys.stderr)
        elif step.certificate is not None:
            yield run.dataset[run.plan[step.place]][0], step.certificate


def _settled_line(settled: Settlement, certificate: Certificate, inside: int | None = None) -> str:
    """A settlement on one line; ``inside`` is the number of balls that contain the image."""
    from ddrs_core.smoothing import ABSTAIN, round_down

    said = "abstains" if settled.prediction == ABSTAIN else f"class {settled.prediction}"
    claimed = "abstained" if settled.claimed == ABSTAIN else f"class {settled.claimed}"
    where = "" if inside is None else f"  inside {counted(inside, 'ball')}"
    radius, claimed_radius = round_down(settled.radius), round_down(settled.claimed_radius)
    return (
        f"{certificate.index:>6}  {settled.outcome:<9}  {said:<9} radius {radius}  "
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
