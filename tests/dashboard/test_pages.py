"""The pages' scripts, run without a browser."""

from __future__ import annotations

import time

import pytest
from streamlit.testing.v1 import AppTest

from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.jobs import Job, JobState, get_manager
from tests.dashboard.widgets import open_page, send, widget_of

EXPLORER = keys.EXPLORER
PARAMETER = EXPLORER + "parameter_"


def first(value: str | list[str]) -> str:
    return value if isinstance(value, str) else value[0]


def finished_job(app: AppTest) -> Job:
    """The job that the address names, once it is done."""
    job = get_manager().get(first(app.query_params["job"]))
    assert job is not None
    deadline = time.monotonic() + 60
    while job.state is not JobState.DONE:
        assert time.monotonic() < deadline
        job.touch()
        time.sleep(0.05)
    return job


def test_home_shows_models_data_and_machine(app: AppTest) -> None:
    app.run()
    assert not app.exception
    assert any("models: training" in part.label for part in app.expander)
    app.session_state["home_models"] = True
    app.run()
    shown = " ".join(part.proto.body for part in app.get("html"))
    for name in ("digits-gaussian-0.25", "cifar10-resnet20-gaussian-0.25"):
        assert f'<th scope="row">{name}</th>' in shown
    assert "Handwritten digits" in " ".join(m.value for m in app.markdown)


@pytest.mark.slow
def test_the_explorer_opens_with_a_run_of_its_own(app: AppTest) -> None:
    open_page(app, "explorer", image="5", n="500")
    assert not app.exception
    assert not app.error
    job = finished_job(app)
    assert job.latest.step.chosen is not None
    app.run()
    assert not next(b for b in app.button if b.label.startswith("Certify")).disabled


@pytest.mark.slow
def test_an_id_leaves_the_address_with_its_view_and_comes_back_with_it(app: AppTest) -> None:
    open_page(app, "explorer", image="8", n="500")
    job = finished_job(app)
    widget_of(app.number_input, EXPLORER + "index").set_value(9).run()
    assert "job" not in app.query_params
    next(b for b in app.button if b.label == "Run").click().run()
    assert first(app.query_params["job"]) != job.id
    widget_of(app.number_input, EXPLORER + "index").set_value(8).run()
    assert first(app.query_params["job"]) == job.id
    next(b for b in app.button if b.label == "Reset").click().run()
    assert "job" not in app.query_params
    assert get_manager().get(job.id) is None
    widget_of(app.toggle, EXPLORER + "run_picked").set_value(True).run()
    widget_of(app.number_input, EXPLORER + "index").set_value(10).run()
    assert finished_job(app).request.title.startswith("sigma of digits 10")


@pytest.mark.slow
def test_a_link_whose_job_is_gone_computes_it_once_more(app: AppTest) -> None:
    open_page(app, "explorer", image="11", n="500", job="gone")
    assert first(app.query_params["job"]) != "gone"
    assert finished_job(app).request.title.startswith("sigma of digits 11")


def test_choosing_a_preset_sets_its_parameters(app: AppTest) -> None:
    open_page(app, "explorer", image="6", preset="guarded")
    widget_of(app.selectbox, EXPLORER + "preset").select("authors-repository").run()
    assert not app.exception
    assert widget_of(app.number_input, EXPLORER + "sigma_0").value == pytest.approx(0.12)
    assert widget_of(app.number_input, PARAMETER + "lr").value == pytest.approx(1e-4)
    assert widget_of(app.number_input, PARAMETER + "clamp").value == pytest.approx(0.02)
    assert first(app.query_params["preset"]) == "authors-repository"
    widget_of(app.selectbox, EXPLORER + "strategy").select("search").run()
    assert not app.exception
    assert first(app.query_params["preset"]) == "qcrs"


def test_a_label_of_former_options_is_no_preset(app: AppTest) -> None:
    """A browser that has not heard of the new strategy still names the old one's preset."""
    open_page(app, "explorer", image="6")
    widget_of(app.selectbox, EXPLORER + "model").select("digits-gaussian-0.25").run()
    old = widget_of(app.selectbox, EXPLORER + "preset")
    assert old.options[0] == "Surface fit"
    widget_of(app.selectbox, EXPLORER + "strategy").select("search").run()
    for element in (old, widget_of(app.selectbox, EXPLORER + "preset")):
        late = send(app, (element, "Surface fit"))
        assert not late.exception
        assert first(late.query_params["preset"]) == "qcrs"


def test_choosing_a_model_sets_its_sigma(app: AppTest) -> None:
    open_page(app, "explorer", image="6")
    widget_of(app.selectbox, EXPLORER + "model").select("digits-gaussian-0.25").run()
    assert widget_of(app.number_input, EXPLORER + "sigma_0").value == pytest.approx(0.25)
    assert widget_of(app.number_input, PARAMETER + "sigma_max").value == pytest.approx(0.55)
    widget_of(app.number_input, EXPLORER + "sigma_0").set_value(0.4).run()
    assert widget_of(app.number_input, PARAMETER + "sigma_max").value == pytest.approx(0.88)
    widget_of(app.number_input, PARAMETER + "sigma_max").set_value(1.0).run()
    widget_of(app.number_input, EXPLORER + "sigma_0").set_value(0.3).run()
    assert widget_of(app.number_input, PARAMETER + "sigma_max").value == pytest.approx(1.0)
    assert first(app.query_params["sigma_max"]) == "1.0"


def test_bounds_follow_any_start_that_can_be_given(app: AppTest) -> None:
    open_page(app, "explorer", image="6")
    for sigma_0 in (0.001, 50.0, 0.4):
        widget_of(app.number_input, EXPLORER + "sigma_0").set_value(sigma_0).run()
        assert not app.exception
        assert not app.error
        largest = widget_of(app.number_input, PARAMETER + "sigma_max").value
        assert largest == pytest.approx(2.2 * sigma_0)
    widget_of(app.number_input, EXPLORER + "n").set_value(
        10
    ).run()  # too few: the view makes no sense
    widget_of(app.number_input, PARAMETER + "sigma_max").set_value(1.2).run()
    widget_of(app.number_input, EXPLORER + "sigma_0").set_value(0.3).run()
    assert widget_of(app.number_input, PARAMETER + "sigma_max").value == pytest.approx(1.2)


def test_a_budget_that_cannot_prove_anything_is_refused_in_words(app: AppTest) -> None:
    open_page(app, "explorer", image="6")
    widget_of(app.number_input, EXPLORER + "alpha").set_value(1e-6)
    widget_of(app.number_input, EXPLORER + "n").set_value(10).run()
    assert any("too small" in e.value for e in app.error)
    widget_of(app.number_input, EXPLORER + "n").set_value(1000).run()
    assert not app.error


def test_a_hostile_link_is_answered_in_words(app: AppTest) -> None:
    open_page(app, "explorer", image="1e9", model="nope", job="'; drop table", certify="," * 50)
    assert not app.exception
    assert len(app.warning) == 2
