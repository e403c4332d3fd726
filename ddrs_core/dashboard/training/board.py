"""The training page's live views: loss and accuracy, the sigmas, the images whose sigma moved."""

from __future__ import annotations

from ddrs_core.dashboard.components.board import Board
from ddrs_core.dashboard.shell.polling import draw_every, redraw
from ddrs_core.dashboard.training.replay import is_replayed, replayed_epoch
from ddrs_core.dashboard.training.selected_run import Shown, is_measured
from ddrs_core.dashboard.training.texts import outcome_html, progress_html, sigma_texts
from ddrs_core.errors import DDRSError
from ddrs_core.figures import Figure, sigmas_figure, training_figure
from ddrs_core.store import RunState
from ddrs_core.training import EpochSummary

_TICK_SECONDS = 0.5
_IDLE_SECONDS = 5.0  # while somebody else, or another tab, may resume it
_REPLAY_TICK = 0.15
_PLAIN = Board("training/board.html")
_WITH_SIGMAS = Board("training/sigma_board.html")


def watch(shown: Shown, chosen: int | None) -> None:
    """Draw the views now, and again while the run moves or is replayed; no widgets in here.

    Args:
        shown: what is shown.
        chosen: the epoch that was looked back at; None for the latest.
    """
    before = _signature(shown)

    def tick() -> None:
        try:
            now = shown.refreshed()
        except DDRSError:  # deleted, in another tab
            redraw()
        replayed = replayed_epoch(now)
        _show_board(now, replayed or chosen)
        if _signature(now) != before or (replaying and replayed is None):
            redraw()  # buttons depend on it

    replaying = is_replayed(shown)
    draw_every(_REPLAY_TICK if replaying else _pace(shown), tick)


def _pace(shown: Shown) -> float | None:
    """Seconds from one look at the run to the next; None where nothing can change."""
    if shown.run is None or not (shown.run.state.is_moving or shown.run.state.can_resume):
        return None
    return _TICK_SECONDS if shown.run.state.is_moving else _IDLE_SECONDS


def _signature(shown: Shown) -> tuple[object, ...]:
    run = shown.run
    if run is None:
        return ()
    return run.state, run.wanted, is_measured(shown), len(shown.epochs) > 1


def _show_board(shown: Shown, chosen: int | None) -> None:
    at = _epoch_shown(shown, chosen)
    number = at.epoch if at is not None else None
    figures: dict[str, Figure] = {
        "curves": training_figure(shown.epochs, shown.total, number, _now(shown))
    }
    texts: dict[str, str] = {"progress": progress_html(shown), "outcome": outcome_html(shown)}
    if shown.data_dependent:
        figures["sigmas"] = sigmas_figure(
            shown.epochs, shown.total, shown.sigma, shown.bounds, number
        )
        texts |= sigma_texts(shown, at)
    else:
        texts["sigma-note"] = (
            f"All training images get the same noise, sigma = {shown.sigma:g}. With data-dependent "
            "sigma every image has its own, and their histogram is shown here."
        )
    board = _WITH_SIGMAS if shown.data_dependent else _PLAIN
    board.show(key=f"board_{shown.key}", name=shown.name, figures=figures, texts=texts)


def _epoch_shown(shown: Shown, chosen: int | None) -> EpochSummary | None:
    """The chosen epoch, or the latest where it is not there yet."""
    at = next((e for e in shown.epochs if e.epoch == chosen), None)
    return at or (shown.epochs[-1] if shown.epochs else None)


def _now(shown: Shown) -> tuple[float, float, float] | None:
    """Position, loss and accuracy within the epoch that is under way."""
    if shown.run is None or shown.run.state is not RunState.RUNNING:
        return None
    progress = shown.progress
    if progress is None or not progress.batch or progress.batch >= progress.batches:
        return None
    return progress.epoch - 1 + progress.batch / progress.batches, progress.loss, progress.accuracy
