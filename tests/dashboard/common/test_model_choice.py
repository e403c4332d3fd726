"""Which model a page opens on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ddrs_core.dashboard.common import model_choice
from ddrs_core.data import get_dataset_info
from ddrs_core.models import get_card


def test_what_somebody_has_trained_becomes_nobody_elses_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a class that shares a server, a student's network of one epoch is one of the choices."""
    digits = get_dataset_info("digits")
    shipped = model_choice.default_model(digits)
    assert shipped.name == "digits-gaussian-0.50"
    mine = replace(get_card("digits-gaussian-0.25"), name="mine-0.25")
    listed = model_choice.list_models
    monkeypatch.setattr(model_choice, "list_models", lambda: [*listed(), mine])
    assert mine in model_choice.fitting_models(digits)
    assert model_choice.default_model(digits) == shipped
    monkeypatch.setattr(model_choice, "list_models", lambda: [mine])
    assert model_choice.default_model(digits) == mine
