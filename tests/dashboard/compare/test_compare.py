"""The comparison page's script, run without a browser."""

from __future__ import annotations

import argparse
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from ddrs_core.cli.certify_options import add_certify_options, certify_configs
from ddrs_core.dashboard.common import result_sources as compare_sets
from ddrs_core.dashboard.common.result_sources import find_set, find_sets
from ddrs_core.dashboard.compare import defaults as compare_defaults
from ddrs_core.dashboard.compare.board import load_compared
from ddrs_core.dashboard.compare.form import read_sigmas
from ddrs_core.dashboard.compare.shown import default_shown
from ddrs_core.dashboard.compare.texts import (
    headline_html,
    memory_html,
    sets_table_html,
    table_html,
    table_radii,
    warnings_html,
)
from ddrs_core.dashboard.compare.view import VIEW, CompareView, parse_query
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.errors import InvalidParameterError
from ddrs_core.jobs.runs import cancel_run
from ddrs_core.runs.argv import command_lines
from ddrs_core.runs.certify.config import CertifyConfig, Method
from ddrs_core.runs.results.memory_effect import memory_effect
from ddrs_core.runs.results.paired import compare
from ddrs_core.runs.results.references import reference_files, reference_results
from ddrs_core.runs.results.tables import Table
from ddrs_core.runs.worker import record_run, recorded_configs, work_on
from ddrs_core.store import MAX_LOG_BYTES, MemoryBank, RunRecord, RunState, Store, open_store
from tests.dashboard.widgets import board, code_in, drawn, open_page, widget_of

ROOT = Path(__file__).resolve().parents[3]
STUDY = "reference.study.digits-gaussian-0.50"
OPENS_WITH = ("data-dependent", "tuned .3", "fixed")
FIXED, DS = f"{STUDY}-fixed-0.5", f"{STUDY}-ds-0.5"
FORM = keys.CERTIFY_FORM
COHEN = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"
FIRST = "python -m ddrs_core certify "


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DDRS_HOME", str(tmp_path))
    yield
    for run in open_store().runs():
        if run.state.is_moving:
            cancel_run(run.id)


def open_compare(app: AppTest, **query: str) -> AppTest:
    open_page(app, "compare", **query)
    assert not app.exception
    return app


def query(app: AppTest, name: str) -> str:
    value = app.query_params[name]
    return value[0] if isinstance(value, list) else value


def button(app: AppTest, label: str) -> object:
    return next(b for b in app.button if b.label == label)


def html_of(app: AppTest) -> str:
    return " ".join(part.proto.body for part in app.get("html"))


def config(*words: str) -> list[CertifyConfig]:
    parser = argparse.ArgumentParser()
    add_certify_options(parser)
    start = ["--dataset", "digits", "--model", "digits-gaussian-0.50"]
    return certify_configs(parser.parse_args([*start, *words]))


SMALL = (
    "--method",
    "fixed",
    "ds",
    "--sigma",
    "0.5",
    "--preset",
    "qcrs",
    "--n",
    "100",
    "--limit",
    "3",
    "--device",
    "cpu",
)


def wait_for(run: RunRecord, app: AppTest) -> None:
    """Until the run's process has ended, and the page shows it."""
    deadline = time.monotonic() + 60
    while open_store().run(run.id).state.is_moving:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    app.run()
    assert not app.exception


def finished_run(owner: str) -> str:
    store = open_store()
    run = record_run(store, config(*SMALL), title="digits-gaussian-0.50", owner=owner)
    for _ in work_on(store, run.id):
        pass
    return run.id


def open_tab(app: AppTest, tab: str) -> None:
    app.session_state[VIEW.key("tab")] = tab
    app.run()
    assert not app.exception


def test_it_opens_on_own_sigmas_against_the_strongest_baseline(app: AppTest) -> None:
    open_compare(app)
    own, tuned, fixed = sets = [reference_results(name) for name in default_shown()]
    assert {results.training for results in sets} == {"gaussian"}
    assert len({results.model for results in sets}) == 1
    assert [results.method for results in sets] == ["ds", "tuned", "fixed"]
    assert widget_of(app.multiselect, VIEW.key("shown")).value == [r.id for r in sets]
    first = widget_of(app.selectbox, VIEW.key("a"))
    assert first.options == [f"Gaussian .5 · {what}" for what in OPENS_WITH]
    assert first.value == own.id
    assert widget_of(app.selectbox, VIEW.key("b")).value == tuned.id
    assert query(app, "show") == f"{own.id},{tuned.id},{fixed.id}"
    assert warnings_html(sets, ()) == ""  # no baseline is missing
    assert query(app, "pair") == "1-2"
    assert not drawn(app, "compare_points", "compare_sigma_points")  # other tabs wait
    assert not button(app, "Certify").disabled  # type: ignore[attr-defined]


def test_the_paired_differences_of_the_page_are_those_of_the_comparison(app: AppTest) -> None:
    open_compare(app, show=f"{FIXED},{DS}")
    a, b = reference_results(DS), reference_results(FIXED)
    at = next(d for d in compare(a, b).radii if d.radius == 0.5)
    assert (at.gained, at.lost) == (  # counted by hand, from the rows
        sum(
            bool(x.correct) and x.radius >= 0.5 and not (bool(y.correct) and y.radius >= 0.5)
            for x, y in zip(a.rows, b.rows, strict=True)
        ),
        sum(
            bool(y.correct) and y.radius >= 0.5 and not (bool(x.correct) and x.radius >= 0.5)
            for x, y in zip(a.rows, b.rows, strict=True)
        ),
    )
    assert f"<td>{at.gained}</td><td>{at.lost}</td>" in html_of(app)
    assert f"{at.gained} gained, {at.lost} lost" in headline_html(a, b, compare(a, b))


def test_a_link_restores_the_view(app: AppTest) -> None:
    open_compare(app, show=f"{DS},{FIXED}", pair="2-1", image="5", envelope="1", published="1")
    assert widget_of(app.multiselect, VIEW.key("shown")).value == [DS, FIXED]
    assert widget_of(app.selectbox, VIEW.key("a")).value == FIXED
    assert widget_of(app.number_input, VIEW.key("image")).value == 5
    assert widget_of(app.toggle, VIEW.key("envelope")).value
    assert widget_of(app.toggle, VIEW.key("published")).value
    for name, value in (("pair", "2-1"), ("image", "5"), ("envelope", "1"), ("published", "1")):
        assert query(app, name) == value


def test_the_view_and_the_form_outlive_a_page_switch(app: AppTest) -> None:
    open_compare(app)
    widget_of(app.multiselect, VIEW.key("shown")).set_value([DS]).run()
    widget_of(app.number_input, FORM + "n").set_value(4321)
    widget_of(app.checkbox, FORM + "fixed").set_value(False).run()
    app.switch_page(str(ROOT / "pages/home.py")).run()
    app.query_params.clear()
    app.switch_page(str(ROOT / "pages/compare.py")).run()
    assert not app.exception
    assert widget_of(app.multiselect, VIEW.key("shown")).value == [DS]
    assert widget_of(app.number_input, FORM + "n").value == 4321
    assert not widget_of(app.checkbox, FORM + "fixed").value


@pytest.mark.parametrize(
    "link",
    [
        {"show": "../../etc/passwd"},
        {"show": "run.x.0,log.<b>"},
        {"show": "reference.study.none"},
        {"run": "' OR 1=1 --"},
        {"show": f"{FIXED},{DS}", "pair": "9-x", "image": "-3", "sigmas": "99999999999"},
    ],
)
def test_a_hostile_link_gets_a_sentence_and_a_working_page(
    link: dict[str, str], app: AppTest
) -> None:
    open_compare(app, **link)
    shown = widget_of(app.multiselect, VIEW.key("shown")).value
    assert set(shown) <= {*default_shown(), FIXED, DS}
    if "pair" not in link:
        assert any("could not be used" in w.value for w in app.warning)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("sigmas", "0.5, abc", "number"),
        ("sigmas", "", "fixed sigma"),
        ("sigmas", "0.5 0.5", "twice"),
        ("sigmas", "-1", "above 0"),
        ("n", 3, "alpha"),
        ("alpha", 2.0, "alpha"),
        ("sigmas", "0,25", "with a point"),
        ("skip", 0, "Every K-th"),
        ("limit", -3, "At most"),
        ("sigma_0", 0.0, "Start sigma_0"),
        ("sigma_max", -1.0, "largest sigma"),
        ("sigma_max", 0.1, "below the start"),
    ],
)
def test_choices_that_make_no_sense_are_refused_in_words(
    name: str, value: object, said: str, app: AppTest
) -> None:
    open_compare(app)
    kind = app.text_input if name == "sigmas" else app.number_input
    widget_of(kind, FORM + name).set_value(value).run()
    assert not app.exception
    assert any(said in error.value.replace("\\", "") for error in app.error), app.error
    assert button(app, "Certify").disabled  # type: ignore[attr-defined]
    assert widget_of(kind, FORM + name).value == (value or value)  # nothing is lost


def test_the_command_lines_give_the_same_settings_back() -> None:
    cases = [
        config(*SMALL),
        config("--method", "ds", "--sigma", "0.4", "--sigma-max", "0.7", "--adaptive", "width=0.1"),
        config("--method", "ds", "--sigma", "0.4", "--sigma-max", "0.6"),
        config("--method", "fixed", "ds", "--sigma", "0.04", "0.4"),  # the bounds follow sigma_0
        config("--method", "fixed", "--sigma", "0.25", "0.5", "--adaptive", "--skip", "7"),
        config("--method", "fixed", "tuned", "ds", "--sigma", "0.25"),
        config("--method", "fixed", "--sigma", "0.25", "--index", "3", "9", "--bound", "two-sided"),
        [
            *config("--method", "fixed", "--sigma", "0.25"),
            *config("--method", "ds", "--sigma", "1"),
        ],
        [
            *config("--method", "fixed", "ds", "--sigma", "0.5"),
            *config("--method", "ds-memory", "--sigma", "0.5", "--bank", "digits, run 1"),
        ],
    ]
    for configs in cases:
        parser = argparse.ArgumentParser()
        add_certify_options(parser)
        made: list[CertifyConfig] = []
        for line in command_lines(configs, "--record").splitlines():
            assert line.startswith(FIRST)
            made += certify_configs(parser.parse_args(shlex.split(line.removeprefix(FIRST))))
        assert sorted(made, key=repr) == sorted(configs, key=repr)


@pytest.mark.slow
def test_a_run_is_started_shown_and_named_in_the_link(app: AppTest) -> None:
    open_compare(app)
    widget_of(app.number_input, FORM + "limit").set_value(4)
    widget_of(app.number_input, FORM + "n").set_value(200).run()
    button(app, "Certify").click().run()  # type: ignore[attr-defined]
    assert not app.exception
    (run,) = open_store().runs(visitor())
    names = [f"run.{run.id}.0", f"run.{run.id}.1"]
    assert query(app, "show") == ",".join(names)
    assert [c.method for c in recorded_configs(run)] == ["fixed", "ds"]
    assert run.total == 8
    wait_for(run, app)
    sets, missing = find_sets(names)
    assert [len(s.rows) for s in sets] == [4, 4]
    assert missing == []
    open_tab(app, "runs")
    button(app, "Delete it for good").click().run()  # type: ignore[attr-defined]
    assert not app.exception
    assert open_store().runs() == []


@pytest.mark.slow
def test_a_memory_is_the_third_setting_of_a_run_and_its_effect_is_told(app: AppTest) -> None:
    open_compare(app)
    widget_of(app.checkbox, FORM + "memory").set_value(True)
    widget_of(app.number_input, FORM + "limit").set_value(4)
    widget_of(app.number_input, FORM + "n").set_value(200).run()
    said = next(c.value for c in app.caption if "forward passes" in c.value)
    assert "4 images in 3 settings" in said
    widget_of(app.checkbox, FORM + "memory").set_value(False).run()
    votes = re.compile("about (.*) forward")
    two = next(c.value for c in app.caption if "forward passes" in c.value)
    assert votes.findall(two) == votes.findall(said)  # the memory votes on nothing
    widget_of(app.checkbox, FORM + "memory").set_value(True).run()
    assert widget_of(app.selectbox, FORM + "bank").options == ["A new one for this run"]
    button(app, "Certify").click().run()  # type: ignore[attr-defined]
    assert not app.exception
    (run,) = open_store().runs(visitor())
    _, own, memory = recorded_configs(run)
    assert memory == replace(own, method=Method.DS_MEMORY, bank="digits-gaussian-0.50, run 1")
    wait_for(run, app)
    sets, missing = find_sets([f"run.{run.id}.{i}" for i in range(3)])
    assert [len(s.rows) for s in sets] == [4, 4, 4]
    assert missing == []
    assert str(memory_effect(sets[2])) in memory_html(sets)
    bank = MemoryBank.find(None, memory.bank, owner=visitor())
    assert bank.record().settled == 4
    widget_of(app.selectbox, FORM + "bank").select(memory.bank).run()
    assert memory.bank in code_in(app, "commands_Certify")[0]  # the next run would go on with it
    widget_of(app.selectbox, FORM + "bank").select("").run()
    assert "digits-gaussian-0.50, run 2" in code_in(app, "commands_Certify")[0]


def test_a_tuned_sigma_is_a_setting_of_a_run_and_its_cost_is_told(app: AppTest) -> None:
    open_compare(app)
    sets, _ = find_sets((FIXED, DS))
    assert "certify --method tuned" in warnings_html(sets, ())  # the two alone do not tell
    widget_of(app.checkbox, FORM + "tuned").set_value(True).run()
    assert not app.exception
    said = next(c.value for c in app.caption if "forward passes" in c.value)
    assert "3 settings" in said
    assert "tune sigma on training images" in said
    assert "--method fixed tuned ds" in code_in(app, "commands_Certify")[0]


def test_boxes_that_are_ticked_again_have_their_fields_as_they_were(app: AppTest) -> None:
    open_compare(app)
    widget_of(app.text_input, FORM + "sigmas").set_value("0.3, 0.6")
    widget_of(app.number_input, FORM + "sigma_max").set_value(0.9)
    widget_of(app.selectbox, FORM + "preset").select("qcrs").run()
    widget_of(app.number_input, FORM + "sigma_0").set_value(0.4).run()
    for name in ("fixed", "ds"):
        widget_of(app.checkbox, FORM + name).set_value(False).run()
    for name in ("fixed", "ds"):
        widget_of(app.checkbox, FORM + name).set_value(True).run()
    assert not app.exception
    assert not app.error
    assert widget_of(app.text_input, FORM + "sigmas").value == "0.3, 0.6"
    assert widget_of(app.selectbox, FORM + "preset").value == "qcrs"
    assert widget_of(app.number_input, FORM + "sigma_0").value == pytest.approx(0.4)
    assert widget_of(app.number_input, FORM + "sigma_max").value == pytest.approx(0.6)


def test_a_run_of_somebody_else_can_be_watched_but_not_steered(app: AppTest) -> None:
    run_id = finished_run("somebody")
    open_compare(app, run=run_id)
    assert widget_of(app.multiselect, VIEW.key("shown")).value == [
        f"run.{run_id}.0",
        f"run.{run_id}.1",
    ]
    open_tab(app, "runs")
    assert any("Somebody else" in c.value for c in app.caption)
    assert not [b for b in app.button if b.label in ("Resume", "Cancel", "Delete it for good")]


@pytest.mark.parametrize("last", range(1, 9))  # look at the database before it ends
def test_a_run_that_ends_while_the_page_is_drawn_is_shown_once(
    last: int, app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record_run(open_store(), config(*SMALL), owner=visitor())
    looks = 0

    def ends_then(store: Store, *args: Any, **options: Any) -> list[RunRecord]:
        nonlocal looks
        looks += 1
        found = look(store, *args, **options)
        return [replace(one, state=RunState.FINISHED) if looks > last else one for one in found]

    look = Store.runs
    monkeypatch.setattr(Store, "runs", ends_then)
    open_compare(app, show=f"run.{run.id}.0", tab="runs")
    assert looks
    assert not app.exception


def test_certificates_are_followed_as_they_come_in() -> None:
    store = open_store()
    run = record_run(store, config(*SMALL), owner=visitor())
    name = f"run.{run.id}.0"
    assert find_set(name) is None
    seen = set()
    for step in work_on(store, run.id):
        if step.step is not None and step.step.certificate is not None:
            found = find_set(name)
            seen.add(0 if found is None else len(found.rows))
    assert {1, 2, 3} <= seen
    found = find_set(name)
    assert found is not None
    stored = store.certificates(run.id, 0)
    assert [row.certificate for row in found.rows] == [s.certificate for s in stored]


def test_a_log_is_kept_and_compared(app: AppTest) -> None:
    rows = "".join(f"{i}\t{i % 10}\t{i % 10}\t0.3\t1\t0:00:14.2\n" for i in range(20))
    open_compare(app, tab="files")
    app.file_uploader[0].upload("theirs.tsv", (COHEN + rows).encode()).run()
    assert not app.exception
    (log,) = open_store().logs(visitor())
    assert widget_of(app.multiselect, VIEW.key("shown")).value[-1] == f"log.{log.id}"
    assert "Cohen" in app.success[0].value
    assert "compared above" in app.success[0].value
    source = f"{keys.COMPARE}log_{log.id}_dataset"
    widget_of(app.selectbox, source).select("digits").run()
    assert any("of its 20 images have another label" in w.value for w in app.warning)
    assert widget_of(app.selectbox, source).value == ""
    widget_of(app.multiselect, VIEW.key("shown")).set_value(list(default_shown())).run()
    assert "It is stored. To compare it" in app.success[0].value
    app.button(key=f"compare_remove_{log.id}").click().run()
    assert not app.exception
    assert open_store().logs() == []
    assert widget_of(app.multiselect, VIEW.key("shown")).value == list(default_shown())


@pytest.mark.parametrize(
    "content", [b"", b"\0\1\2" * 999, b"hello\nworld\n", COHEN.encode(), b"x" * (MAX_LOG_BYTES + 1)]
)
def test_what_is_no_log_gets_a_sentence_and_nothing_is_lost(content: bytes, app: AppTest) -> None:
    open_compare(app, tab="files")
    app.file_uploader[0].upload("it.tsv", content).run()
    assert not app.exception
    assert "it.tsv" in app.error[0].value
    assert widget_of(app.multiselect, VIEW.key("shown")).value == list(default_shown())
    assert open_store().logs() == []


OTHERS = {
    "sigma_0.25": (COHEN + "0\t3\t3\t1.378\t1\t15\n", True, "above the most that can be proved"),
    "named.tsv": (
        "idx\tlabel\tpredict\texact_radius\tcorrect\ttime\n0\t3\t3\t0.6\t1\t15\n",
        True,
        "read from the column exact\\_radius",
    ),
    "norm.tsv": (
        "idx\tlabel\tpredict\tlinf_radius\tcorrect\ttime\n0\t3\t3\t0.01\t1\t15\n",
        False,
        "another norm than l2",
    ),
    "own.tsv": (
        "idx\tlabel\tpredict\tradius\tcorrect\tbest_sigma\ttime\n0\t3\t3\t0.3\t1\t.3\t15\n",
        True,
        "conditional on sigma\\_x",
    ),
    "votes.tsv": (
        "idx\tlabel\tpredict\tradius\tcorrect\ttime\tsigma\tcount\tn\n"
        "0\t3\t3\t1.3\t1\t1\t.25\t1000\t1000\n",
        True,
        "claims more than its own votes prove",
    ),
}


def test_logs_of_others_are_read_as_on_the_command_line(app: AppTest) -> None:
    """Names keep their dots, claims are recounted, and no other norm is taken for l2."""
    open_compare(app, tab="files")
    for name, (content, taken, said) in OTHERS.items():
        app.file_uploader[0].upload(name, content.encode()).run()
        assert not app.exception
        answers = app.success if taken else app.error
        assert any(said in answer.value for answer in answers), name
    titles = {log.title for log in open_store().logs(visitor())}
    assert titles == {"sigma_0.25", "named", "own", "votes"}
    (votes,) = [log for log in open_store().logs(visitor()) if log.title == "votes"]
    found = find_set(f"log.{votes.id}")
    assert found is not None
    assert found.radii == pytest.approx([2.463 * 0.25], abs=1e-4)


def test_published_figures_are_off_until_asked_for(app: AppTest) -> None:
    open_compare(app)
    assert not widget_of(app.toggle, VIEW.key("published")).value
    assert not widget_of(app.toggle, VIEW.key("envelope")).value


def test_a_chosen_image_leads_to_the_explorer(app: AppTest) -> None:
    open_compare(app, show=f"{FIXED},{DS}", image="10")
    (link,) = [part for part in app.get("page_link") if "image 10" in part.proto.label]
    text = link.proto.query_string
    assert "dataset=digits" in text
    assert "model=digits-gaussian-0.50" in text
    assert "image=10" in text


def test_points_carry_the_numbers_of_their_images(app: AppTest) -> None:
    open_compare(app, show=f"{FIXED},{DS}", tab="images")
    scatter = board(app, "compare_points")["figures"]["chart"]["data"]
    assert scatter[0]["name"] == "both right"
    assert all("customdata" in trace for trace in scatter)
    open_tab(app, "sigmas")
    tuning = board(app, "compare_tuning")["figures"]["chart"]["data"]
    assert tuning[0]["name"].startswith("ACR")  # on training images
    assert tuning[-1]["name"] == "σ* of images"
    widget_of(app.multiselect, VIEW.key("shown")).set_value([FIXED]).run()
    assert board(app, "compare_tuning")
    assert not drawn(app, "compare_points", "compare_sigma_points")


def test_the_radii_of_the_table_reach_the_largest_that_is_proved() -> None:
    sets = [reference_results(name) for name in (FIXED, DS)]
    radii = table_radii(sets)
    largest = max(float(s.radii[s.correct].max()) for s in sets)
    assert radii[:5] == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert radii[-1] <= max(1.0, largest) < radii[-1] + 0.25 + (largest < 1)


def test_what_comes_from_files_is_no_markup() -> None:
    table = Table(("log", "<b>"), (("<script>", "1"),))
    assert "<script>" not in table_html(table, '"><i>')
    assert "<i>" not in table_html(table, '"><i>')
    a, b = reference_results(FIXED), reference_results(DS)
    named = replace(a, title="<i>")
    assert "<i>" not in headline_html(named, b, compare(named, b))


def test_sets_of_the_same_title_are_compared_under_different_ones() -> None:
    store = open_store()
    names = []
    for image in range(2):
        row = f"{image}\t1\t1\t0.5\t1\t2\n"
        log = store.add_log((COHEN + row).encode(), title="same", owner=visitor())
        names.append(f"log.{log.id}")
    finished_run(visitor())
    assert len(compare_sets.offered_sets()) == len(reference_files()) + 4
    found, _ = compare_sets.find_sets(names)
    assert [results.title for results in found] == ["same", "same (2)"]


def test_links_and_views_are_each_others_inverse() -> None:
    view = CompareView((DS, FIXED), FIXED, DS, DS, 3, True, False)
    assert parse_query(view.to_query()) == (view, [])


def test_sigmas_are_read_from_text() -> None:
    assert read_sigmas(" 0.25,0.5; 1 ") == [0.25, 0.5, 1.0]
    with pytest.raises(InvalidParameterError):
        read_sigmas("0.1 0.2 0.3 0.4 0.5 0.6 0.7")


def test_what_is_proposed_is_over_in_minutes() -> None:
    size = compare_defaults.default_size("digits", "digits-gaussian-0.50", "cpu", "test")
    assert size.n == 100_000  # a small network
    assert size.limit is None or size.limit * size.skip <= 500


def test_the_table_has_a_badge_and_the_full_title_beside_the_short_name() -> None:
    results = replace(reference_results(DS), title="short")
    table = Table(
        ("log", "N", "ACR", "guarantee"), (("short", "5", "1", "x"),), frozenset({(0, 2)})
    )
    html = sets_table_html(table, [results], {DS: "the full title"})
    assert 'title="the full title">short<' in html
    assert 'data-grade="CONDITIONAL"' in html
    assert "<td><b>1</b></td><td>5</td>" in html


def test_sets_of_an_unfinished_run_are_compared_on_their_common_images() -> None:
    store = open_store()
    run = record_run(store, config(*SMALL), owner=visitor())
    names = [f"run.{run.id}.{i}" for i in range(2)]
    seen = set()
    for step in work_on(store, run.id):
        if step.step is not None and step.step.certificate is not None:
            shown = load_compared(names)
            counts = [len(s.rows) for s in shown.sets]
            seen.add((tuple(counts), shown.common))
    assert all(len(set(counts)) == 1 or not said.startswith("Compared") for counts, said in seen)
    assert any("that all sets have so far" in said for _, said in seen)
    assert load_compared(names).common == ""
