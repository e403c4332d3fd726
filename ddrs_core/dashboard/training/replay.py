"""A training shown again, all its epochs one after another."""

from __future__ import annotations

import time

import streamlit as st

from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.training.selected_run import Shown

_SECONDS = 10.0  # that a replay lasts, at most
_EPOCH_SECONDS = 0.4  # that an epoch is shown, at most


def replay(shown: Shown) -> None:
    """Show all epochs so far one after another, from now on."""
    st.session_state[keys.TRAINING_REPLAY] = (shown.key, time.monotonic())


def end_replay() -> None:
    """Go back to the epoch that was shown."""
    st.session_state.pop(keys.TRAINING_REPLAY, None)


def is_replayed(shown: Shown) -> bool:
    """Whether this is being replayed."""
    return bool(st.session_state.get(keys.TRAINING_REPLAY, ("",))[0] == shown.key)


def replayed_epoch(shown: Shown) -> int | None:
    """The epoch that a replay has come to; None without one, and at its end."""
    if not is_replayed(shown) or not shown.epochs:
        return None
    passed = time.monotonic() - st.session_state[keys.TRAINING_REPLAY][1]
    count = len(shown.epochs)
    at = int(passed / min(_SECONDS, count * _EPOCH_SECONDS) * count)
    if at >= count:
        end_replay()
        return None
    return shown.epochs[at].epoch
