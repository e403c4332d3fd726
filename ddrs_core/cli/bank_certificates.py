"""Certificates for a memory bank, as the options of ``memory add`` and ``memory lookup`` say."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ddrs_core.cli.certify_options import certify_configs
from ddrs_core.errors import InvalidParameterError

if TYPE_CHECKING:
    from torch import Tensor

    from ddrs_core.runs.certify.run import CertifyRun
    from ddrs_core.smoothing import Certificate
    from ddrs_core.store import AlphaBudget, BankKind, MemoryBank

_FOREIGN = ("out", "resume", "overwrite", "record", "run_id", "cluster")  # of certify alone
_ALPHA = 0.001  # where the bank does not say which


def certify_run(options: argparse.Namespace) -> CertifyRun:
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


def open_bank(run: CertifyRun, options: argparse.Namespace) -> MemoryBank:
    """The bank of that id, or of that name, which is made if there is none."""
    from ddrs_core.store import MemoryBank, UnknownEntryError, open_store

    kind, budget = bank_kind(run), _budget(options)
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


def bank_kind(run: CertifyRun) -> BankKind:
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


def bank_certificates(
    run: CertifyRun, bank: MemoryBank, alpha: float | None
) -> Iterator[tuple[Tensor, Certificate]]:
    """Certify the images of a run; without an alpha, each with the one that it may spend."""
    from ddrs_core.runs.certify.run import CertifyRun

    if alpha is not None or bank.budget.total is None:
        yield from certificates(run)
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
        yield from certificates(CertifyRun(config, like=run))


def certificates(run: CertifyRun) -> Iterator[tuple[Tensor, Certificate]]:
    for step in run.steps():
        if step.certificate is not None and step.certificate.failure:
            index, reason = step.certificate.index, step.certificate.failure
            print(f"Image {index} cannot be read and is left out: {reason}", file=sys.stderr)
        elif step.certificate is not None:
            yield run.dataset[run.plan[step.position]][0], step.certificate
