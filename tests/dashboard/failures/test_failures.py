"""The failures page's script, run without a browser."""

from __future__ import annotations

import argparse
import io
import shlex
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from ddrs_core.cli import diagnose
from ddrs_core.cli.diagnose import _find as find_source
from ddrs_core.dashboard.common import result_sources
from ddrs_core.dashboard.failures import findings as findings_module
from ddrs_core.dashboard.failures import image as one_image
from ddrs_core.dashboard.failures.exports import report
from ddrs_core.dashboard.failures.filters import filtered
from ddrs_core.dashboard.failures.findings import Findings, find_findings
from ddrs_core.dashboard.failures.view import FORM, FailuresView, Shape, Sort, parse_query
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.data import load_dataset
from ddrs_core.figures.failure_kinds import KINDS
from ddrs_core.jobs import get_manager
from ddrs_core.models import get_card
from ddrs_core.runs.certify.config import CertifyConfig, Method
from ddrs_core.runs.diagnose.export import as_file
from ddrs_core.runs.diagnose.images import count_kinds, diagnose_results, diagnose_row
from ddrs_core.runs.results.references import reference_results
from ddrs_core.runs.worker import record_run, work_on
from ddrs_core.smoothing import CertificationBudget, round_down
from ddrs_core.smoothing.attack import Attack
from ddrs_core.smoothing.diagnosis import FailureKind
from ddrs_core.store import AnnotationKind, MemoryBank, RunState, open_store
from tests.dashboard.widgets import board, code_in, open_page, widget_of

STUDY = "reference.study.digits-gaussian-0.50"
FIXED, DS = f"{STUDY}-fixed-0.5", f"{STUDY}-ds-0.5"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DDRS_HOME", str(tmp_path))
    monkeypatch.setattr(one_image, "is_quick", lambda _: False)  # no votes unless asked for
    end_jobs()  # what other tests of this process have left
    yield
    end_jobs()


def end_jobs() -> None:
    for job in get_manager().jobs():
        job.cancel()


def open_failures(app: AppTest, **query: str) -> AppTest:
    """Open the page, and wait for the classes without noise."""
    open_page(app, "failures", **query)
    deadline = time.monotonic() + 60
    while any(job.state.is_moving for job in get_manager().jobs()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    app.run()
    assert not app.exception
    return app


def html_of(app: AppTest) -> str:
    return " ".join(part.proto.body for part in app.get("html"))


def query(app: AppTest, name: str) -> str:
    value = app.query_params[name]
    return value[0] if isinstance(value, list) else value


def bars(app: AppTest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = board(app, "failures_kinds")["figures"]["chart"]["data"]
    return found


def test_it_opens_on_the_study_and_tells_every_kind(app: AppTest) -> None:
    open_failures(app)
    results = reference_results(FIXED)
    certified = int((results.correct & (results.radii >= 0.5)).sum())
    shown = html_of(app)
    failed = 500 - certified
    assert f"{failed} of 500 images, not certified, r = 0.50, digits-gaussian-0.50, fixed" in shown
    assert sum(int(trace["text"][0]) for trace in bars(app)) == 500
    assert bars(app)[0]["text"] == [str(certified)]
    assert "wrong already without noise" in shown  # the network was asked
    counts = count_kinds(diagnose_results(results, 0.5))
    assert f"<b>{counts[FailureKind.TOO_CLOSE]}</b>" in shown
    assert query(app, "results") == FIXED


def test_each_part_of_a_bar_names_its_kind_and_that_keeps_its_images(app: AppTest) -> None:
    open_failures(app, against=DS)
    for trace in bars(app):
        assert [place // 100 for place in trace["customdata"]] == [0, 1]
        assert {KINDS[place % 100].heading for place in trace["customdata"]} == {trace["name"]}
    wrong = next(trace for trace in bars(app) if trace["name"] == "wrong already without noise")
    assert all(int(text or 0) for text in wrong["text"])  # both networks were asked
    few = next(trace for trace in bars(app) if trace["name"] == "too few samples")
    widget_of(app.selectbox, FORM.key("kind")).select("too-few-samples").run()
    assert query(app, "kind") == "too-few-samples"
    assert f"{few['text'][0]} of 500 images, too few samples" in html_of(app)


def test_filters_combine_and_the_link_restores_them(app: AppTest) -> None:
    link = {"kind": "too-close", "label": "1", "lost": "1", "against": DS, "sort": "margin"}
    link |= {"radius_from": "0.2"}
    open_failures(app, **link)
    fixed, own = reference_results(FIXED), reference_results(DS)
    images = diagnose_results(fixed, 0.5)
    there = {r.index for r in own.rows if r.correct and r.radius >= 0.5}
    kept = [
        image
        for image in images
        if image.kind is FailureKind.TOO_CLOSE
        and image.label == 1
        and image.index in there
        and image.radius >= 0.2
    ]
    assert kept
    assert f"{len(kept)} of 500 images, right but too close, label class 1, " in html_of(app)
    assert "certified radius from 0.2, certified in" in html_of(app)
    for name, value in link.items():
        assert query(app, name) == value
    first = max(kept, key=lambda image: image.margin or 0.0)
    assert f"image {first.index}, class 1" in html_of(app)
    (line,) = [code for code in code_in(app, "exports") if "diagnose" in code]
    words = shlex.split(line)
    assert words[:4] == ["python", "-m", "ddrs_core", "diagnose"]
    parser = argparse.ArgumentParser()
    diagnose.add_parser(parser.add_subparsers())
    options = parser.parse_args(words[3:])
    assert find_source(options.source).rows == fixed.rows
    assert find_source(options.against).rows == own.rows
    assert (options.radius, options.only) == (0.5, ["too-close"])


def test_an_image_leads_to_what_helps_it(app: AppTest) -> None:
    """Image 37 has too few samples: the link certifies it with as many as it needs. The training
    images and the stored balls that are nearest to it stand below."""
    images, card = load_dataset("digits"), get_card("digits-gaussian-0.50")
    kind = {"model": card.digest, "num_classes": 10, "shape": card.shape, "owner": visitor()}
    stored = [c for row in reference_results(FIXED).rows[:4] if (c := row.certificate) is not None]
    bank = MemoryBank.open(None, "mine", **kind)
    bank.settle_many([images[c.index or 0][0] for c in stored], stored)
    open_failures(app, image="37")
    near = html_of(app).partition("The nearest training images")[2]
    assert "Of the 10 nearest:" in near
    for label in {c.prediction for c in stored}:
        apart = min(
            float((images[c.index or 0][0] - images[37][0]).double().norm()) - c.radius
            for c in stored
            if c.prediction == label
        )
        assert f"<b>class {label}</b><br>{round_down(apart)} away" in near
    assert "too few samples" in html_of(app)
    (link,) = [part for part in app.get("page_link") if "Certify with N" in part.proto.label]
    found = parse_qs(link.proto.query_string)
    assert found["image"] == ["37"]
    assert found["model"] == ["digits-gaussian-0.50"]
    needed = next(i for i in diagnose_results(reference_results(FIXED), 0.5) if i.index == 37)
    assert int(found["n"][0]) >= (needed.samples_needed or 0) > 0


def test_a_log_without_model_says_what_is_missing(app: AppTest) -> None:
    rows = "".join(f"{i}\t{i % 10}\t{i % 10}\t0.{i}\t1\t0:00:14.2\n" for i in range(10))
    content = f"idx\tlabel\tpredict\tradius\tcorrect\ttime\n{rows}".encode()
    log = open_store().add_log(content, title="theirs", owner="somebody")
    open_failures(app, results=f"log.{log.id}")
    assert "5 of 10 images" in html_of(app)
    assert "reason not recorded" in html_of(app)
    assert any("does not name its model" in info.value.replace("\\", "") for info in app.info)


def test_a_run_that_goes_on_is_followed_and_keeps_its_image(app: AppTest) -> None:
    store = open_store()
    budget = CertificationBudget(n=200)
    config = CertifyConfig("digits", "digits-gaussian-0.50", Method.FIXED, 0.5, budget=budget)
    rows = reference_results(FIXED).rows[:18]
    ready = [(0, k, c) for k, row in enumerate(rows) if (c := row.certificate) is not None]
    made_so = replace(config, limit=20, device="cpu", precision=ready[0][2].precision)
    run = record_run(store, [made_so], owner=visitor())
    open_failures(app, results=f"run.{run.id}.0", sort="margin")
    assert "Waiting for the first certificate" in app.info[0].value
    assert not resume_links(app)
    shown = []
    for some in (ready[:8], ready[8:]):
        store.add_certificates(run.id, some)
        app.run()
        assert not app.exception
        shown.append(query(app, "image"))
        assert (
            f"{some[-1][1] + 1} of 20 certificates"
            in board(app, "failures_runs")["texts"]["progress"]
        )
    assert shown[0] == shown[1]
    assert "of 18 images, not certified" in html_of(app)
    for _ in work_on(store, run.id):
        pass
    app.run()
    assert "finished" in board(app, "failures_runs")["texts"]["progress"]
    assert "of 20 images, not certified" in html_of(app)


def resume_links(app: AppTest) -> list[str]:
    links = [link.proto for link in app.get("page_link") if link.proto.label.startswith("Resume")]
    return [link.query_string for link in links]


@pytest.mark.parametrize("made", [0, 8])
def test_a_run_that_was_stopped_says_so_and_where_it_goes_on(app: AppTest, made: int) -> None:
    store = open_store()
    config = CertifyConfig("digits", "digits-gaussian-0.50", Method.FIXED, 0.5)
    run = record_run(store, [replace(config, limit=20, device="cpu")], owner=visitor())
    rows = reference_results(FIXED).rows[:made]
    store.add_certificates(
        run.id, [(0, k, c) for k, row in enumerate(rows) if (c := row.certificate) is not None]
    )
    store.claim(run.id)
    store.release(run.id, RunState.FAILED, "The disk is full.")
    open_failures(app, results=f"run.{run.id}.0")
    assert not app.exception
    assert not app.error
    assert "The disk is full." in board(app, "failures_runs")["texts"]["progress"]
    assert resume_links(app) == [f"show=run.{run.id}.0"]
    if made:
        assert f"of {made} images, not certified" in html_of(app)
    else:
        assert "No certificate was made yet" in app.info[0].value


def test_results_on_other_images_are_not_set_against(app: AppTest) -> None:
    other = "reference.study.cifar10-resnet20-gaussian-0.25-fixed-0.25"
    open_page(app, "failures", against=other)
    assert not app.exception
    assert "images of cifar10, not of digits" in app.error[0].value
    widget_of(app.selectbox, FORM.key("against")).select("none").run()
    assert not app.error
    assert "235 of 500 images" in html_of(app)


@pytest.mark.parametrize(
    "link",
    [
        {"results": "../../etc/passwd"},
        {"results": "certificate.gone"},
        {"kind": "<script>", "radius": "nan", "image": "x"},
        {"against": "run.x.0", "label": "-99", "sort": "up", "shape": "cube", "radius": "-1"},
        {"sigma_from": "-0.1", "radius_to": "inf"},
    ],
)
def test_what_a_link_says_wrongly_gets_a_sentence_each(link: dict[str, str]) -> None:
    view, problems = parse_query(link)
    assert view == FailuresView()
    assert len(problems) == len(link)


def test_links_and_views_are_each_others_inverse() -> None:
    ranges = {"sigma_from": 1 / 3, "radius_to": 0.25}
    view = FailuresView(
        DS, FIXED, 0.25, "capped", 3, -1, True, Sort.REGRET, Shape.TABLE, 17, **ranges
    )
    assert parse_query(view.to_query()) == (view, [])
    assert parse_query(FailuresView().to_query()) == (FailuresView(), [])


def test_exports_hold_every_field_of_the_images_that_are_listed(app: AppTest) -> None:
    findings = find_findings_of(app, kind="too-few-samples")
    view = FailuresView(kind="too-few-samples")
    images = filtered(findings, view)
    frame = pd.read_csv(io.BytesIO(as_file(images, ".csv")))
    assert list(frame["index"]) == [image.index for image in images]
    assert set(frame["kind"]) == {"too-few-samples"}
    page = report(findings, images, "<some> images").decode()
    assert "&lt;some&gt; images" in page
    assert page.count("data:image/png") == len(images)
    assert "http" not in page  # nothing is loaded from elsewhere
    assert "Try: Certify with N = 270,000" in page


def test_a_contradiction_is_the_most_serious_message(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attack inside a certificate, as a broken program would report it."""
    certified = next(r for r in reference_results(FIXED).rows if r.radius > 0.5)
    sigma = certified.sigma or 0.0
    attack = Attack(certified.prediction, sigma, 0.1, None, 3, 10_000, 0.001, 1, 0.0)
    image = replace(diagnose_row(certified, 0.5), attack=attack)
    monkeypatch.setattr(findings_module, "known_evidence", lambda _: {image.index: image})
    open_failures(app)
    assert app.error[0].value.startswith("**Contradiction.**")
    assert f"Image {certified.index}" in app.error[0].value
    assert "the certificate or the program is wrong" in app.error[0].value


def find_findings_of(app: AppTest, **query: str) -> Findings:
    """What the page knows when it stands still."""
    found: list[Findings] = []

    def keep(view: FailuresView) -> Findings:
        found.append(find_findings(view))
        return found[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(findings_module, "find_findings", keep)
        open_failures(app, **query)
    return found[-1]


def test_a_certificate_of_the_explorer_is_a_set_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    c = reference_results(FIXED).rows[1].certificate
    jobs = {"x1": SimpleNamespace(latest=SimpleNamespace(certificate=c))}
    monkeypatch.setattr(result_sources, "get_manager", lambda: jobs)
    found = result_sources.find_set("certificate.x1")
    assert found is not None
    assert [row.certificate for row in found.rows] == [c]
    assert (found.dataset, found.model, found.method) == ("digits", "digits-gaussian-0.50", "fixed")
    (image,) = diagnose_results(found, 0.5)
    assert image == diagnose_results(reference_results(FIXED), 0.5)[1]


def test_marks_notes_and_filters_are_found_again(app: AppTest) -> None:
    open_failures(app, kind="too-few-samples", image="37")
    app.button(key="failures_seen").click().run()
    app.text_input(key=f"failures_note_{FIXED}|37").set_value("smudged").run()
    app.text_input(key="failures_save_as").set_value("few").run()
    app.button(key="failures_save").click().run()
    assert not app.exception
    widget_of(app.selectbox, FORM.key("kind")).select("all").run()
    widget_of(app.segmented_control, FORM.key("shape")).set_value(Shape.TABLE).run()
    table = app.dataframe[0].value
    assert list(table[table["seen"]]["image"]) == [37]
    app.button(key="failures_open_few").click().run()
    assert query(app, "kind") == "too-few-samples"
    assert query(app, "image") == "37"
    assert app.text_input(key=f"failures_note_{FIXED}|37").value == "smudged"
    app.button(key="failures_seen").click().run()
    app.button(key="failures_remove_few").click().run()
    assert not app.exception
    store, me = open_store(), visitor()
    kept = [found for kind in AnnotationKind if (found := store.annotations(me, kind))]
    assert kept == [{f"{FIXED}|37": "smudged"}]
