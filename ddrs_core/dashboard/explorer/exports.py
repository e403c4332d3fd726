"""Exports of the explorer: trajectory, certificates, and the commands that reproduce them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace

from ddrs_core.dashboard.components.exports import Download, show_exports
from ddrs_core.dashboard.explorer.view import ExplorerView
from ddrs_core.runs.argv import command_lines
from ddrs_core.runs.certify.config import CertifyConfig, Method
from ddrs_core.smoothing import Certificate, Grade, SigmaFrame, get_preset


def show_explorer_exports(
    view: ExplorerView, frames: Sequence[SigmaFrame], certificates: Sequence[Certificate]
) -> None:
    """The trajectory, the certificates, and the commands that reproduce them."""
    name = f"{view.dataset}-{view.index}-{view.model}"
    found = [c.to_dict() for c in certificates]
    trajectory = Download(
        "Trajectory (CSV)",
        f"{name}-trajectory.csv",
        "text/csv",
        _trajectory_csv(frames),
        disabled=not frames,
    )
    certified = Download(
        "Certificates (JSON)",
        f"{name}-certificates.json",
        "application/json",
        json.dumps(found, indent=2),
        disabled=not found,
    )
    show_exports(
        {"": (trajectory, certified)},
        "The address of this page restores the whole view.",
        {"bash": command_line(view), "python": python_snippet(view)},
    )


def _trajectory_csv(frames: Sequence[SigmaFrame]) -> str:
    """The steps as CSV with a header."""
    out = io.StringIO()
    writer = csv.writer(out)
    columns = ["step", "sigma", "radius", "gradient", "p_a", "p_b", "prediction", "chosen"]
    writer.writerow([*columns, "best_low", "best_high"])
    for frame in frames:
        s = frame.step
        best = [None, None] if s.fit is None else s.fit.best.tolist()
        row = [s.step, s.sigma, s.radius, s.gradient, s.p_a, s.p_b, s.prediction, s.chosen, *best]
        writer.writerow(["" if v is None else v for v in row])
    return out.getvalue()


def command_line(view: ExplorerView) -> str:
    """The ``certify`` commands whose rows equal the two cards."""
    fixed = CertifyConfig(
        dataset=view.dataset,
        model=view.model,
        method=Method.FIXED,
        sigma=view.sigma_0,
        budget=view.budget,
        indices=(view.index,),
        device=view.device,
    )
    chosen = replace(fixed, method=Method.DS, strategy=view.config)
    return "\n".join(command_lines([config]) for config in (fixed, chosen))


def python_snippet(view: ExplorerView) -> str:
    """Python that chooses sigma and certifies, with the same numbers."""
    changed = get_preset(view.preset).changes(view.config, view.sigma_0)
    bounds = {"sigma_min", "sigma_max"}
    changes = "".join(f", {k}={v!r}" for k, v in changed.items() if k not in bounds)
    if bounds & set(changed):
        changes += f", bounds={view.config.bounds!r}"
    config = f'get_preset("{view.preset}").at({view.sigma_0!r})'
    if changes:
        config = f"replace({config}{changes})"
    aim = f"n={view.budget.n}, alpha={view.budget.alpha!r}, bound={str(view.budget.bound)!r}"
    lines = [
        *(["from dataclasses import replace"] if changes else []),
        "from ddrs_core.models import NoisyForward, load_model, open_for_model",
        "from ddrs_core.smoothing import CertificationBudget, SmoothedClassifier",
        "from ddrs_core.smoothing import choose_sigmas, get_preset",
        "",
        f'model = load_model("{view.model}", "{view.device}")',
        f'x, _ = open_for_model("{view.dataset}", model.card)[{view.index}]',
        "f = NoisyForward(model)",
        f"*_, last = choose_sigmas(f, x[None], [{view.sigma_0!r}], {config},",
        f"                         seed={view.budget.seed}, indices=[{view.index}], "
        f"budget=CertificationBudget.of({aim}))",
        f"g = SmoothedClassifier(f, num_classes={view.info.num_classes})",
        f"print(g.certify(x, sigma=float(last.chosen[0]), n0={view.budget.n0}, {aim}, "
        f"seed={view.budget.seed}, index={view.index},",
        f'                grade="{Grade.CONDITIONAL.value}"))',
    ]
    return "\n".join(lines)
