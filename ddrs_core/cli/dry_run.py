"""``certify --dry-run``: what a certification would cost on this machine. Nothing is written."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from ddrs_core.cli.options import print_json

if TYPE_CHECKING:
    from ddrs_core.runs.certify.config import CertifyConfig


def show_cost(options: argparse.Namespace, configs: list[CertifyConfig]) -> None:
    """Say forward passes, time and disk space, from the settings and a second of votes.

    Raises:
        DDRSError: as the run would, before its first vote.
    """
    from ddrs_core.runs.certify.run import open_runs
    from ddrs_core.runs.certify.tuning import check_tuning
    from ddrs_core.runs.cost import certification_cost, time_text, vote_rate

    check_tuning(configs)
    run = open_runs(configs)[0]
    smoothed = run.smoothed
    cost = certification_cost(configs, len(run.plan), smoothed.num_classes)
    rate = vote_rate(smoothed.forward, run.dataset.info.shape)
    device = str(smoothed.forward.device)
    if options.json:
        print_json(
            {
                **asdict(cost),
                "database_bytes": round(cost.database_bytes),
                "passes": cost.passes,
                "passes_per_second": rate,
                "seconds": cost.passes / rate,
                "seconds_at_most": cost.at_most / rate,
                "device": device,
            }
        )
        return
    print(f"{cost}\n{time_text(cost, rate)} (measured now, on {device}).\nNothing was started.")
