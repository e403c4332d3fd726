"""The training page's script, run without a browser."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
from streamlit.testing.v1 import AppTest

from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.jobs.runs import list_runs
from ddrs_core.models import registry
from ddrs_core.runs.training.run import train_and_save
from ddrs_core.training import recipe
from tests.dashboard.widgets import code_in, open_page, widget_of


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as that of the shipped models, with two training logs."""
    folder, out = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("out")
    for own in (True, False):
        config = recipe("digits", "digits_cnn", "gaussian", 0.5, data_dependent=own, epochs=3)
        for _ in train_and_save(config, torch.device("cpu"), out):
            pass
    for path in (*registry.ASSETS.glob("digits-*"), *out.glob("digits-*.*")):
        if path.is_file():
            shutil.copy(path, folder)
    return folder


@pytest.fixture
def app(
    app: AppTest, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AppTest]:
    monkeypatch.setenv("DDRS_HOME", str(tmp_path))
    monkeypatch.setattr(registry, "ASSETS", logs)
    yield app
    for run in list_runs():
        if run.state.is_moving and run.process is not None:
            psutil.Process(run.process.pid).kill()


def button(app: AppTest, label: str) -> object:
    return next(b for b in app.button if b.label == label)


@pytest.mark.slow
def test_it_opens_with_an_example_that_has_a_sigma_for_every_image(app: AppTest) -> None:
    open_page(app, "training")
    assert not app.exception
    assert not app.error
    assert widget_of(app.selectbox, keys.TRAINING_SHOWN).value == "log:digits-gaussian-ds2-0.25"
    assert app.query_params["log"] in ("digits-gaussian-ds2-0.25", ["digits-gaussian-ds2-0.25"])
    assert not button(app, "Train").disabled  # type: ignore[attr-defined]


def test_another_sigma_moves_the_bounds_of_the_images_sigmas(app: AppTest) -> None:
    open_page(app, "training")
    widget_of(app.number_input, keys.TRAINING + "sigma").set_value(0.25).run()
    low, high = (
        widget_of(app.number_input, f"{keys.TRAINING}sigma_option_{end}").value
        for end in ("sigma_min", "sigma_max")
    )
    wanted = recipe("digits", "digits_cnn", "gaussian", 0.25, data_dependent=True)
    assert wanted.data_dependent is not None
    assert (low, high) == wanted.data_dependent.bounds


def test_without_any_log_it_says_what_to_do(
    app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "ASSETS", tmp_path)
    open_page(app, "training")
    assert not app.exception
    assert any("Press Train" in info.value for info in app.info)


def test_the_recipe_follows_method_and_toggle(app: AppTest) -> None:
    open_page(app, "training")
    wanted = recipe("digits", "digits_cnn", "macer", 0.5)
    widget_of(app.selectbox, keys.TRAINING + "method").select("macer").run()
    assert not app.exception
    epochs = widget_of(app.number_input, keys.TRAINING + "setting_epochs")
    assert epochs.value == wanted.epochs
    copies = widget_of(app.number_input, keys.TRAINING + "option_copies")
    assert copies.value == wanted.method.copies  # type: ignore[attr-defined]
    widget_of(app.toggle, keys.TRAINING + "data_dependent").set_value(False).run()
    assert not app.exception
    assert not [n for n in app.number_input if n.label.startswith("Sigma copies")]
    assert "--data-dependent" not in code_in(app, "commands_Train")[0]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (keys.TRAINING + "sigma", 0.0, "above 0"),
        (keys.TRAINING + "setting_epochs", 0, "Epochs must be at least 1"),
        (keys.TRAINING + "setting_batch_size", 5000, "at most 1,297"),
        (keys.TRAINING + "setting_lr", -1.0, "above 0"),
        (keys.TRAINING + "setting_warmup", 1e6, "Warm-up"),
        (keys.TRAINING + "sigma_option_sigma_min", 7.0, "sigma"),
        (keys.TRAINING + "sigma_option_clamp", 0.9, "clamp"),
        (keys.TRAINING + "seed", -1, "Seed"),
    ],
)
def test_numbers_that_make_no_sense_are_refused_in_words(
    key: str, value: float, said: str, app: AppTest
) -> None:
    open_page(app, "training")
    good = widget_of(app.number_input, key).value
    widget_of(app.number_input, key).set_value(value).run()
    assert not app.exception
    assert any(said in error.value.replace("\\", "") for error in app.error), app.error
    assert button(app, "Train").disabled  # type: ignore[attr-defined]
    assert widget_of(app.number_input, key).value == value  # nothing is lost
    widget_of(app.number_input, key).set_value(good).run()
    assert not app.error


def test_the_command_line_says_all_choices(app: AppTest) -> None:
    open_page(app, "training")
    widget_of(app.number_input, keys.TRAINING + "setting_epochs").set_value(7)
    widget_of(app.number_input, keys.TRAINING + "sigma").set_value(0.3).run()
    command = code_in(app, "commands_Train")[0]
    for words in ("--dataset digits", "--epochs 7", "--sigma 0.3", "--data-dependent"):
        assert words in command


@pytest.mark.parametrize("query", [{"run": "../../etc"}, {"run": "x"}, {"log": "<b>"}])
def test_a_hostile_link_is_answered_in_words(query: dict[str, str], app: AppTest) -> None:
    open_page(app, "training", **query)
    assert not app.exception
    assert "There is no training" in app.warning[0].value.replace("\\", "")
    assert widget_of(app.selectbox, keys.TRAINING_SHOWN).value == "log:digits-gaussian-ds2-0.25"


@pytest.mark.slow
def test_a_run_that_is_started_is_shown_and_named_in_the_link(app: AppTest) -> None:
    open_page(app, "training")
    widget_of(app.number_input, keys.TRAINING + "setting_epochs").set_value(500).run()
    button(app, "Train").click().run()  # type: ignore[attr-defined]
    assert not app.exception
    (run,) = list_runs()
    assert app.query_params["run"] in (run.id, [run.id])
    button(app, "Stop").click().run()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 60
    while list_runs()[0].state.is_moving:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    app.run()
    assert not button(app, "Resume").disabled  # type: ignore[attr-defined]
    button(app, "Delete it for good").click().run()  # type: ignore[attr-defined]
    assert not app.exception
    assert not app.warning
    assert list_runs() == []
    assert widget_of(app.selectbox, keys.TRAINING_SHOWN).value.startswith("log:")
