"""The memory page's script, run without a browser."""

from __future__ import annotations

import base64
import json
import math
import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from ddrs_core.dashboard.common import banks as memory_banks
from ddrs_core.dashboard.common.bank_content import read_content
from ddrs_core.dashboard.common.banks import DEMO, open_context
from ddrs_core.dashboard.memory import jobs as memory_jobs
from ddrs_core.dashboard.memory.bank_section import search_balls
from ddrs_core.dashboard.memory.order_section import replayed
from ddrs_core.dashboard.memory.settlement_board import settlement_figures
from ddrs_core.dashboard.memory.texts import place_text, settlement_text
from ddrs_core.dashboard.memory.view import FORM, MemoryView, Section, Way, parse_query
from ddrs_core.dashboard.shell.errors import literal
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.data import load_dataset
from ddrs_core.errors import DDRSError
from ddrs_core.jobs import JobState
from ddrs_core.smoothing import ABSTAIN
from ddrs_core.smoothing.memory.counterexample import Counterexample
from ddrs_core.smoothing.memory.distance import Distance, distance
from ddrs_core.smoothing.memory.rules import Ball, Outcome, settle
from ddrs_core.store import AlphaBudget, BudgetKind, MemoryBank, UnknownEntryError, list_banks
from ddrs_core.store.bank.rows import open_banks
from ddrs_core.store.schema import balls
from tests.dashboard.conftest import Browsers
from tests.dashboard.widgets import board, open_page, widget_of

ROOT = Path(__file__).resolve().parents[3]
NAMES = tuple(f"class {i}" for i in range(10))


@pytest.fixture(scope="module")
def home_with_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that somebody has visited: to store the demo bank takes a while."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("DDRS_HOME", str(folder))
        memory_banks._demo_template()
    return folder


@pytest.fixture(autouse=True)
def own_home(
    home_with_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    shutil.copytree(home_with_demo, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("DDRS_HOME", str(tmp_path))
    yield
    manager = memory_jobs.get_manager()
    for job in manager.jobs():
        manager.drop(job)


def open_memory(app: AppTest, **query: str) -> AppTest:
    open_page(app, "memory", **query)
    assert not app.exception
    return app


def query(app: AppTest) -> dict[str, str]:
    return {k: v[0] if isinstance(v, list) else v for k, v in app.query_params.items()}


def button(app: AppTest, label: str) -> Any:
    return next(b for b in app.button if b.label == label)


def finish(kind: str) -> Any:
    """Wait for this visitor's job of a kind."""
    deadline = time.monotonic() + 240
    while True:
        job = next(j for j in memory_jobs.get_manager().jobs(visitor()) if j.request.kind == kind)
        if job.state.is_over:
            assert job.state is JobState.DONE, job.error
            return job
        assert time.monotonic() < deadline, "the job did not end"
        job.touch()  # as an open page does
        time.sleep(0.05)


def numbers(packed: dict[str, str]) -> np.ndarray:
    """An array as a figure carries it."""
    kind = {"f4": "<f4", "i4": "<i4"}[packed["dtype"]]
    return np.frombuffer(base64.b64decode(packed["bdata"]), kind).astype(np.float64)


def test_the_demo_bank_holds_the_test_digits_and_many_that_collide() -> None:
    context = open_context(DEMO)
    record = context.record
    assert record.settled == 500
    assert record.alpha_sum == pytest.approx(0.5)
    assert record.tallies[Outcome.TRIMMED] > 40  # else there would be nothing to see
    assert context.card is not None
    assert context.card.name == "digits-smoothadv-ds2-0.50"
    content = read_content(context.bank, record.fingerprint)
    data = load_dataset("digits")
    for ball, image in zip(content.balls, content.images, strict=True):
        assert ball.certificate.index is not None
        np.testing.assert_array_equal(image, data[ball.certificate.index][0].numpy())
    assert context.bank.check().holds


def test_two_servers_may_open_the_demo_bank_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "new"))
    with ThreadPoolExecutor(4) as pool:
        found = {context.bank.id for context in pool.map(open_context, [DEMO] * 4)}
    assert len(found) == len(list_banks(owner="the dashboard")) == 1


def test_everybody_works_on_a_copy(browsers: Browsers) -> None:
    demo = open_context(DEMO)
    assert list_banks(owner=visitor()) == []  # looking makes no copy
    demo.own_bank().settle(demo.bank.image(1), demo.bank.balls(limit=1)[0].certificate)
    mine = open_context(DEMO)
    assert mine.bank.owner == visitor()
    assert mine.own_bank().id == mine.bank.id
    assert mine.record.stored == demo.record.stored + 1
    assert demo.bank.record() == demo.record
    browsers.used = "yours"
    yours = open_context(DEMO)
    assert yours.record == demo.record
    copied = open_context(mine.bank.id)  # somebody else's link
    assert copied.bank.owner == visitor()
    assert copied.record.stored == mine.record.stored
    assert open_context(mine.bank.id).bank.id == copied.bank.id  # once is enough
    with pytest.raises(UnknownEntryError):  # by name one would learn of others
        open_context(mine.bank.name)
    copied.bank.delete()
    assert MemoryBank.find(None, mine.bank.id).record() == mine.record
    memory_banks.start_over()
    browsers.used = "mine"
    assert open_context(DEMO).bank.id == mine.bank.id
    memory_banks.start_over()
    assert open_context(DEMO).record == demo.record


def test_a_visitor_cannot_fill_the_database_with_copies(browsers: Browsers) -> None:
    bank = open_context(DEMO).bank
    for number in range(20):
        memory_banks.copy_bank(bank, f"copy {number}")
    with pytest.raises(Exception, match="delete one first"):
        memory_banks.copy_bank(bank, "one more")
    assert len(list_banks(owner=visitor())) == 20


def test_the_bank_in_figures_and_words(app: AppTest) -> None:
    open_memory(app)
    record = open_context(DEMO).record
    shown = board(app, "memory_bank_board")
    assert f"<b>{record.stored}</b>" in shown["texts"]["record"]
    assert f"{record.tallies['trimmed']} trimmed" in shown["texts"]["record"]
    assert "at most 0.5" in shown["texts"]["confidence"]
    last = {t["name"]: numbers(t["y"])[-1] for t in shown["figures"]["growth"]["data"]}
    assert last == {k: v for k, v in record.tallies.items() if v and k != "abstained"}
    settled = next(t for t in shown["figures"]["radii"]["data"] if t["name"] == "settled")
    assert numbers(settled["y"]).sum() == record.stored
    meeting = board(app, "memory_meeting_board")
    assert "contradict each other" in meeting["texts"]["said"]
    pair = read_content(open_context(DEMO).bank, record.fingerprint).collisions[0]
    assert f"{pair.distance.high:.3f} apart" in meeting["texts"]["said"]
    gaps = {t["name"]: numbers(t["x"]) for t in shown["figures"]["gaps"]["data"]}
    assert gaps["claimed"].min() < -0.5  # how deep the claimed balls overlap
    button(app, "Check").click().run()
    finish("memory-check")
    app.run()
    assert "no two of 481 balls" in app.success[0].value
    widget_of(app.text_input, FORM.key("search")).set_value("trimmed 9").run()
    assert not app.exception


@pytest.mark.slow
def test_every_press_of_check_reads_the_bank(app: AppTest) -> None:
    open_memory(app)
    button(app, "Check").click().run()
    finish("memory-check")
    assert "no two of 481 balls" in app.run().success[0].value
    bank = open_context(DEMO).bank
    with open_banks().writing() as connection:
        connection.execute(
            update(balls).where(balls.c.bank_id == bank.id).values(radius=balls.c.radius + 1.0)
        )
    button(app, "Check").click().run()
    deadline = time.monotonic() + 60
    while not app.run().error:
        assert time.monotonic() < deadline
    assert "overlap" in app.error[0].value


def test_searching_balls() -> None:
    context = open_context(DEMO)
    content = read_content(context.bank, context.record.fingerprint)

    def found(asked: str) -> list[int]:
        return [b.serial for b in search_balls(content, asked, context.class_names)]

    everything = [b.serial for b in content.balls]
    assert found("") == everything
    assert found("trimmed") == [b.serial for b in content.balls if b.outcome is Outcome.TRIMMED]
    assert found("9, untouched") == [
        b.serial for b in content.balls if b.prediction == 9 and b.outcome is Outcome.UNTOUCHED
    ]
    assert found("class 9") == found("9")
    assert found("ball 12") == [12]
    assert found("Image 45") == [b.serial for b in content.balls if b.certificate.index == 45]
    assert found("by 9") == [b.serial for b in content.balls if b.decided_by == 9]
    assert found("no such thing") == []


def test_a_query_is_charged_when_it_is_certified_and_stored_on_demand(app: AppTest) -> None:
    usual = MemoryView()
    open_memory(app, section="query", n="100")
    before = open_context(DEMO).record
    shown = board(app, "memory_query_board")
    said = shown["texts"]["said"]
    inside = re.search(r"ball (\d+) of class (\d): ([\d.]+) below", said)
    assert inside is not None, said
    ball = next(b for b in open_context(DEMO).bank.balls() if b.serial == int(inside[1]))
    data = load_dataset("digits")
    near, other = data[usual.image][0].double(), data[usual.target][0].double()
    x = near + usual.far / 100 * (other - near)
    depth = ball.radius - float(
        np.linalg.norm(x.numpy() - open_context(DEMO).bank.image(ball.serial))
    )
    assert float(inside[3]) == pytest.approx(depth, abs=2e-3)
    assert ball.prediction == int(inside[2])
    # Nothing has been certified, so that nothing was rescued.
    assert "rescued" not in json.dumps(shown)
    assert "the memory answers" in json.dumps(shown["figures"]["plane"])
    assert open_context(DEMO).record == before

    button(app, "Certify").click().run()
    charged = open_context(DEMO).record  # a copy of the visitor's, whatever becomes of the job
    assert (charged.owner, charged.tried) == (visitor(), 1)
    assert charged.alpha_sum == pytest.approx(before.alpha_sum + 0.001)
    certificate = finish("memory-certify").latest.certificate
    app.run()
    assert open_context(DEMO).record == charged  # looking changes nothing
    found = open_context(DEMO).bank.lookup(x.numpy().astype(np.float32), certificate).settlement
    said = board(app, "memory_query_board")["texts"]["said"]
    assert settlement_text(found, NAMES).split(":")[0] in said
    button(app, "Store it in my copy").click().run()
    assert not app.exception
    after = open_context(DEMO).record
    assert after.settled == before.settled + 1
    assert after.stored == before.stored + found.is_stored
    assert (after.tried, after.alpha_sum) == (0, charged.alpha_sum)
    assert button(app, "Store it in my copy").disabled
    assert any("Stored: your copy" in c.value for c in app.caption)


def test_whoever_stores_the_best_of_several_certificates_is_charged_for_all(app: AppTest) -> None:
    """Other numbers of votes, and another sigma: the bank counts each, and says so."""
    open_memory(app, section="query", n="100", image="0", far="0")
    before = open_context(DEMO).record.alpha_sum
    for number, (field, value) in enumerate([("n", 100), ("n", 1000), ("strategy", "fixed")], 1):
        widget_of(app.selectbox, FORM.key(field)).set_value(value).run()
        button(app, "Certify").click().run()
        finish("memory-certify")
        app.run()
        assert not button(app, "Store it in my copy").disabled
        assert open_context(DEMO).record.tried == number
    button(app, "Store it in my copy").click().run()
    record = open_context(DEMO).record
    assert (record.tried, record.settled) == (2, 501)
    assert record.alpha_sum == pytest.approx(before + 0.003)
    widget_of(app.selectbox, FORM.key("strategy")).set_value(MemoryView().strategy).run()
    button(app, "Certify").click().run()  # the same votes once more reveal nothing new
    finish("memory-certify")
    assert open_context(DEMO).record == record
    widget_of(app.button_group, FORM.key("section")).set_value(Section.BANK).run()
    said = board(app, "memory_bank_board")["texts"]["confidence"]
    assert "2 more were tried and not stored" in said
    assert "at most 0.503" in said


def test_a_copy_that_is_given_up_tells_nothing_of_the_next_ones_noise(app: AppTest) -> None:
    """Else one could try with one copy, and store what was best in another."""
    open_memory(app, section="query", n="1000", image="364", far="30")
    votes = []
    for _ in range(2):
        button(app, "Certify").click().run()
        certificate = finish("memory-certify").latest.certificate
        votes.append((certificate.seed, certificate.counts))
        assert certificate.sigma == pytest.approx(finish("memory-certify").latest.sigma)
        app.run()
        button(app, "Start over").click().run()
        assert button(app, "Store it in my copy").disabled  # it was not charged here
    assert votes[0] != votes[1]
    assert votes[0][0] != votes[1][0]


@pytest.mark.parametrize("way", list(Way))
def test_every_way_leads_from_the_image(way: Way, app: AppTest) -> None:
    open_memory(app, section="query", way=way.value, far="0")
    assert "not moved" in html_of(app)
    widget_of(app.slider, FORM.key("far")).set_value(50).run()
    assert not app.exception
    moved = re.search(rf"([\d.]+) from image {MemoryView().image}", html_of(app))
    assert moved is not None
    assert 0.2 < float(moved[1]) < 2.1
    assert query(app)["far"] == "50"


def html_of(app: AppTest) -> str:
    return " ".join(part.proto.body for part in app.get("html"))


def test_the_plane_shows_true_distances() -> None:
    rng = np.random.default_rng(0)
    images = {i: rng.random((1, 4, 4)) for i in range(5)}
    x = rng.random((1, 4, 4))
    near = [
        (Ball(i, i % 2, 0.9 * distance(x, image).low), distance(x, image))
        for i, image in images.items()
    ]
    settlement = settle(0, 1.0, near)
    figures = settlement_figures(settlement, x, images.__getitem__, (), NAMES)
    named = {t["name"]: t for t in figures["plane"]["data"] if t.get("name", "").startswith("ball")}
    assert len(named) == 2
    for name, trace in named.items():
        serial = int(name.split(":")[0].removeprefix("ball "))
        xs, ys = np.asarray(trace["x"]), np.asarray(trace["y"])
        centre = (xs.max() + xs.min()) / 2, (ys.max() + ys.min()) / 2
        assert math.hypot(*centre) == pytest.approx(np.linalg.norm(images[serial] - x), abs=1e-6)
        assert (xs.max() - xs.min()) / 2 == pytest.approx(near[serial][0].radius, abs=1e-6)
    assert len(figures["ruler"]["data"]) >= len(settlement.parts)


def test_a_replay_leads_to_what_is_stored() -> None:
    context = open_context(DEMO)
    content = read_content(context.bank, context.record.fingerprint)
    settlements = replayed(context.record.fingerprint, content)
    assert len(settlements) == len(content.balls)
    for ball, settlement in zip(content.balls, settlements, strict=True):
        assert settlement.outcome is ball.outcome
        assert (settlement.prediction, settlement.radius) == (ball.prediction, ball.radius)
        assert (settlement.by.id if settlement.by else None) == ball.decided_by


def test_replay_and_shuffles(app: AppTest) -> None:
    open_memory(app, section="order", shuffles="5", arrival="1")
    assert "Arrival 1 of 481: image 0." in board(app, "memory_replay_board")["texts"]["said"]
    button(app, "Next that changed").click().run()
    at = widget_of(app.slider, FORM.key("arrival")).value
    first = next(b for b in open_context(DEMO).bank.balls() if b.outcome is not Outcome.UNTOUCHED)
    assert at == first.serial
    assert query(app)["arrival"] == str(at)
    said = board(app, "memory_replay_board")["texts"]["said"]
    assert f"ball {first.decided_by}" in said
    button(app, "Shuffle").click().run()
    finish("memory-orders")
    app.run()
    assert "In 6 orders" in board(app, "memory_orders_board")["texts"]["said"]


def test_a_walk_meets_in_the_middle(app: AppTest) -> None:
    open_memory(app, section="collisions", points="5", walk_n="100")
    captions = " ".join(c.value for c in app.caption)
    assert "331 pairs" in captions  # counted on its own
    assert "seldom" not in captions
    balls = open_context(DEMO).bank.balls()
    claimed = [ball.claimed for ball in balls if ball.claimed != ABSTAIN]
    different = sum(a != b for a, b in combinations(claimed, 2))
    assert f"{100 * 331 / different:.2g} % of the {different:,} pairs" in captions
    button(app, "Walk").click().run()
    job = finish("memory-walk")
    app.run()
    assert not app.exception
    points = [p.point for p in job.history if p.point is not None]
    assert [p.t for p in points] == [0, 1, 0.25, 0.75, 0.5]
    assert parse_query(dict(parse_qsl(job.request.link.partition("?")[2])))[0].points == 5
    texts = board(app, "memory_walk_board")["texts"]
    assert "of 5 points stand as claimed" in texts["said"]
    for point in points:
        assert f"{point.certificate.sigma:.3f}" in texts["points"]


def test_outcomes_in_words() -> None:
    nine = Ball(7, 9, 1.0)
    near, inside = Distance(1.5, 1.5), Distance(0.25, 0.25)
    said = {
        Outcome.UNTOUCHED: settle(3, 0.25, [(nine, near)]),
        Outcome.TRIMMED: settle(3, 0.75, [(nine, near)]),
        Outcome.ADOPTED: settle(3, 0.75, [(nine, inside)]),
        Outcome.ENLARGED: settle(9, 0.25, [(nine, inside)]),
        Outcome.RESCUED: settle(ABSTAIN, 0.0, [(nine, inside)]),
    }
    for outcome, settlement in said.items():
        assert settlement.outcome is outcome
        text = settlement_text(settlement, NAMES)
        assert text.lower().startswith(outcome.value)
        if outcome is not Outcome.UNTOUCHED:
            assert "ball 7 (class 9)" in text
    assert "begins 0.5" in settlement_text(said[Outcome.TRIMMED], NAMES)
    assert "class 9 within 0.75" in settlement_text(said[Outcome.ADOPTED], NAMES)
    assert "no ball" in place_text([], [], NAMES)


@pytest.mark.parametrize(
    "view",
    [
        MemoryView(),
        MemoryView(
            section=Section.QUERY, image=7, way=Way.NOISE, far=3, noise=12, sigma=0.3, n=100
        ),
        MemoryView(section=Section.QUERY, bound="one-sided"),
        MemoryView(section=Section.COLLISIONS, first=1, second=2, points=5, walk_n=100, hunted=9),
        MemoryView(section=Section.ORDER, arrival=12, shuffles=5),
    ],
)
def test_a_link_restores_the_view(view: MemoryView, app: AppTest) -> None:
    assert parse_query(view.to_query()) == (view, [])
    if "bound" in view.to_query():  # links of the time before named none, and were one-sided
        old = {name: text for name, text in view.to_query().items() if name != "bound"}
        assert parse_query(old) == (replace(view, bound="one-sided"), [])
    open_memory(app, **view.to_query())
    assert {k: v for k, v in query(app).items() if k != "arrival"} == {
        k: v for k, v in view.to_query().items() if k != "arrival"
    }


@pytest.mark.parametrize(
    "link",
    [
        {"bank": "../../etc/passwd"},
        {"bank": "' OR 1=1 --", "section": "query"},
        {"bank": "0123456789abcdef", "section": "<b>"},
        {"section": "query", "image": "-3", "far": "101", "n": "7", "sigma": "nan"},
        {"section": "query", "image": "9999999", "target": "8888888"},
        {"section": "order", "arrival": "999999", "shuffles": "1e9"},
        {"section": "collisions", "first": "9999", "hunted": "x", "points": "3"},
    ],
)
def test_a_hostile_link_gets_a_sentence_and_a_working_page(
    link: dict[str, str], app: AppTest
) -> None:
    open_memory(app, **link)
    assert not app.error
    view, problems = parse_query(link)
    assert [w.value for w in app.warning] == [literal(p) for p in problems]
    assert query(app)["bank"] == DEMO
    assert view.bank == DEMO


def test_choices_outlive_other_sections_and_pages(app: AppTest) -> None:
    open_memory(app, section="query", far="70", image="3")
    widget_of(app.button_group, FORM.key("section")).set_value(Section.ORDER).run()
    assert query(app)["section"] == "order"
    app.switch_page(str(ROOT / "pages/home.py")).run()
    app.query_params.clear()
    app.switch_page(str(ROOT / "pages/memory.py")).run()
    assert not app.exception
    assert query(app)["section"] == "order"
    widget_of(app.button_group, FORM.key("section")).set_value(Section.QUERY).run()
    assert widget_of(app.slider, FORM.key("far")).value == 70


def test_copying_deleting_and_starting_over(app: AppTest) -> None:
    open_memory(app)
    widget_of(app.text_input, FORM.key("name")).set_value("mine").run()
    button(app, "Make a copy").click().run()
    copied = widget_of(app.selectbox, FORM.key("bank")).value
    assert MemoryBank.find(None, copied).name == "mine"
    assert query(app)["bank"] == copied
    widget_of(app.text_input, FORM.key("name")).set_value("mine").run()
    button(app, "Make a copy").click().run()
    assert "already" in app.error[0].value
    button(app, "Delete").click().run()
    assert not app.exception
    assert widget_of(app.selectbox, FORM.key("bank")).value == DEMO
    assert "mine" not in {b.name for b in list_banks(owner=visitor())}


def test_a_bank_whose_model_is_not_here_can_still_be_looked_into(app: AppTest) -> None:
    other = MemoryBank.open(
        None, "foreign", model="e3b0c442", num_classes=4, shape=(1, 4, 4), owner=visitor()
    )
    for section in Section:
        open_memory(app, bank=other.id, section=section.value)
        assert not app.exception
        if section in (Section.QUERY, Section.COLLISIONS):
            assert "is not here" in app.error[0].value
        app.switch_page(str(ROOT / "pages/home.py")).run()


def test_a_bank_file_makes_the_same_bank_again(browsers: Browsers) -> None:
    context = open_context(DEMO)
    content = memory_banks.export_bytes(context.bank)
    browsers.used = "yours"
    again = open_context(memory_banks.import_own(content, "theirs"))
    assert (again.record.name, again.bank.owner) == ("theirs", visitor())
    assert again.record.stored == context.record.stored
    for one, other in zip(context.bank.balls(), again.bank.balls(), strict=True):
        assert (one.prediction, one.radius, one.outcome) == (
            other.prediction,
            other.radius,
            other.outcome,
        )
    with pytest.raises(DDRSError):
        memory_banks.import_own(content[:1000], "broken")
    assert len(list_banks(owner=visitor())) == 1


def test_a_bank_that_vanishes_gets_a_sentence_and_the_demo_bank(app: AppTest) -> None:
    copied = memory_banks.copy_bank(open_context(DEMO).bank, "mine")
    open_memory(app, bank=copied)
    MemoryBank.find(None, copied).delete()
    app.run()
    assert not app.exception
    assert len(app.error) == 1
    assert query(app)["bank"] == DEMO


def test_an_empty_bank_is_shown_and_takes_its_first_ball(app: AppTest) -> None:
    kind = open_context(DEMO).record.kind
    empty = MemoryBank.open(
        None, "empty", model=kind.model, num_classes=10, shape=kind.shape, owner=visitor()
    )
    for section in Section:
        open_memory(app, bank=empty.id, section=section.value, n="100")
        assert not app.exception
        assert not app.error
        app.switch_page(str(ROOT / "pages/home.py")).run()
    open_memory(app, bank=empty.id, section="query", n="100", image="0", far="0")
    assert "The bank is empty" in board(app, "memory_query_board")["texts"]["said"]
    button(app, "Certify").click().run()
    finish("memory-certify")
    app.run()
    button(app, "Store it in my copy").click().run()
    assert empty.record().settled == 1


def test_a_search_without_a_gap_is_not_offered(app: AppTest) -> None:
    open_memory(app, section="collisions", strategy="fixed", hunted="45")
    assert any("there is no gap to find" in i.value for i in app.info)
    assert "Search" not in {b.label for b in app.button}
    assert open_context(DEMO).record.tried == 0


def test_a_search_that_cannot_be_says_why(app: AppTest) -> None:
    query = {"hunted": "15", "strategy": "guarded"}  # it abstains, as in the shipped log
    open_memory(app, section="collisions", **query)
    button(app, "Search").click().run()
    deadline = time.monotonic() + 240
    while not any(j.state.is_over for j in memory_jobs.get_manager().jobs(visitor())):
        assert time.monotonic() < deadline
        for job in memory_jobs.get_manager().jobs(visitor()):
            job.touch()
        time.sleep(0.05)
    app.run()
    assert not app.exception
    said = board(app, "memory_search_progress")["texts"]["progress"]
    assert "this image abstained" in said
    assert button(app, "Store x and x'").disabled


@pytest.mark.slow
def test_a_counterexample_is_stored_as_fresh_noise_certified_it(app: AppTest) -> None:
    """Not as it was selected; and every certificate with fresh noise is charged."""
    open_memory(app, section="collisions", hunted="45")
    before = open_context(DEMO).record
    button(app, "Search").click().run()
    charged = open_context(DEMO).record
    most = 1 + memory_jobs.SEARCH.tries
    assert charged.tried == most
    assert charged.alpha_sum == pytest.approx(before.alpha_sum + most * 0.001)
    found = finish("memory-search").latest.result
    assert isinstance(found, Counterexample)
    assert 1 <= found.confirmations < most
    app.run()
    assert not app.exception
    stated = f"at least {1 - (1 + found.confirmations) * 0.001:g}"
    assert stated in html_of(app)
    button(app, "Store x and x'").click().run()
    bank = open_context(DEMO).bank
    record, last = bank.record(), bank.balls()[-1]
    # x is one of the images of the demo bank, and was there before.
    assert (record.settled, record.tried) == (before.settled + 1, most - 1)
    assert record.alpha_sum == charged.alpha_sum
    assert last.certificate == found.other_fresh
    assert last.certificate != found.other_certificate
    assert last.certificate.seed not in (0, found.other_certificate.seed)
    np.testing.assert_array_equal(bank.image(last.serial), found.other.numpy())


def test_certificates_keep_to_the_budget_of_their_bank(app: AppTest) -> None:
    kind = open_context(DEMO).record.kind
    bank = MemoryBank.open(
        None,
        "decaying",
        model=kind.model,
        num_classes=10,
        shape=kind.shape,
        owner=visitor(),
        budget=AlphaBudget(BudgetKind.DECAYING, 0.001),
    )
    open_memory(app, bank=bank.id, section="query", n="100", image="0", far="0")
    button(app, "Certify").click().run()
    certificate = finish("memory-certify").latest.certificate
    assert certificate.alpha == pytest.approx(0.006 / math.pi**2)
    app.run()
    button(app, "Store it in my copy").click().run()
    assert not app.error
    assert bank.record().alpha_sum == pytest.approx(certificate.alpha)
    assert not button(app, "Certify").disabled  # the next one has another alpha
    assert bank.confidence().next_alpha == pytest.approx(certificate.alpha / 4)
