"""Certifying and comparing as a visitor does: a run that is left, found again, cancelled, resumed
and compared with somebody else's log, down to one image in the explorer."""

from __future__ import annotations

import re
import sqlite3
import time

import psutil
from playwright.sync_api import Browser, Locator, Page, expect

from ddrs_core.data import load_dataset
from ddrs_core.models import NoisyForward, load_model
from ddrs_core.runs.cost import vote_rate
from ddrs_core.store import open_store
from tests.browser.conftest import Server, at_rest, button, progress, wait_until

MODEL = "digits-gaussian-0.50"
IMAGES, SECONDS = 16, 3.0  # of the run, about
FIXED, DS = (f"reference.study.{MODEL}-{end}-0.5" for end in ("fixed", "ds"))


def fill(page: Page, label: str, value: int) -> None:
    field = page.get_by_role("spinbutton", name=label, exact=True)
    field.fill(str(value))
    field.press("Enter")


def stand_still(page: Page, part: Locator) -> None:
    """Wait until the page is drawn, and bring a part of it into view."""
    at_rest(page)
    part.evaluate("part => part.scrollIntoView({block: 'center', behavior: 'instant'})")
    page.wait_for_timeout(500)


def choose(page: Page, label: str, option: str) -> None:
    """Pick from a list; scrolling would close it again, so it has to stand still before."""
    field = page.get_by_role("combobox", name=label, exact=True)
    stand_still(page, field)
    field.click()
    page.get_by_role("option", name=option).click()


def open_tab(page: Page, title: str) -> None:
    page.get_by_role("radio", name=title, exact=True).click()


def open_page(page: Page, server: Server, query: str = "") -> None:
    page.goto(f"{server.url}/compare{query}")
    expect(page.get_by_role("heading", name="Certify & compare", level=1)).to_be_visible()
    expect(page.locator("[data-figure] .main-svg").first).to_be_visible()
    expect(button(page, "Certify")).to_be_enabled()


def votes_for(seconds: float) -> int:
    """N with which the run takes about so long on this machine."""
    forward = NoisyForward(load_model(MODEL))
    assert forward.shape is not None
    return max(1000, int(vote_rate(forward, forward.shape) * seconds / (2 * IMAGES)))


def hold(server: Server, earlier: set[str]) -> psutil.Process:
    """The process of a new run, stopped in its midst, though not while it writes, which all others
    would wait for: pages and presses may take their time."""
    store, deadline = open_store(server.database), time.monotonic() + 60
    while time.monotonic() < deadline:
        run = next((run for run in store.runs() if run.id not in earlier), None)
        if run is not None and run.process is not None and run.stored:
            process = psutil.Process(run.process.pid)
            process.suspend()
            if can_be_written(server.database):
                return process
            process.resume()
        time.sleep(0.02)
    raise AssertionError("the run made no certificate")


def can_be_written(database: str) -> bool:
    """Whether nobody is in the midst of writing."""
    connection = sqlite3.connect(database.removeprefix("sqlite:///"), timeout=0)
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    else:
        return True
    finally:
        connection.close()


def cohens_log() -> bytes:
    """A log of the first images in the six columns of Cohen et al., with the data set's labels."""
    labels = load_dataset("digits").labels
    rows = [
        f"{i}\t{labels[i]}\t{labels[i]}\t{0.1 + 0.03 * (i % 9):.3}\t1\t0:00:14.{i:06d}"
        for i in range(IMAGES)
    ]
    return "\n".join(["idx\tlabel\tpredict\tradius\tcorrect\ttime", *rows, ""]).encode()


def click_a_point(page: Page) -> None:
    """Click on the point that is furthest up in the chart of radii against radii."""
    chart = page.locator(".st-key-compare_points [data-figure]")
    stand_still(page, chart)
    place = """gd => {
      const points = gd._fullData.flatMap(t => [...(t.y || [])].map((y, i) => [y, t.x[i]]));
      const [y, x] = points.sort((a, b) => b[0] - a[0])[0], l = gd._fullLayout;
      const box = gd.getBoundingClientRect();
      return [box.x + l.xaxis._offset + l.xaxis.c2p(x), box.y + l.yaxis._offset + l.yaxis.c2p(y)];
    }"""
    page.mouse.click(*chart.evaluate(place))


def test_a_run_from_its_start_to_one_image_in_the_explorer(
    page: Page, browser: Browser, server: Server
) -> None:
    n = votes_for(SECONDS)
    earlier = {run.id for run in open_store(server.database).runs()}
    open_page(page, server)
    expect(page.get_by_text(re.compile(r"a second, that is about .* \(measured "))).to_be_visible()
    fill(page, "Every K-th", 1)  # the form takes more of them on a faster machine
    fill(page, "At most (0: all)", IMAGES)
    page.get_by_text("Exactly N", exact=True).click()
    fill(page, "N", n)
    expect(page.get_by_text(re.compile(f"^{IMAGES} images in 2 settings"))).to_be_visible()
    button(page, "Certify").dblclick()  # an impatient visitor starts no second run
    process = hold(server, earlier)
    expect(page).to_have_url(re.compile("show=run"))
    expect(progress(page)).to_contain_text(re.compile(rf"[1-9]\d* of {2 * IMAGES} certificates"))
    points = "() => document.querySelector('[data-figure]')?._fullData?.[0]?._length || 0"
    wait_until(page, f"({points})() >= 1")  # the curve comes by itself

    page.reload()
    expect(progress(page)).to_contain_text(f"of {2 * IMAGES} certificates")
    button(page, "Cancel").click()
    expect(button(page, "Cancel")).to_be_disabled()
    process.resume()
    expect(progress(page)).to_contain_text("cancelled")
    other = browser.new_context().new_page()
    other.goto(page.url)  # somebody else may look at it, and no more
    expect(progress(other)).to_contain_text("cancelled")
    expect(other.get_by_text("Somebody else started this run")).to_be_visible()
    expect(button(other, "Resume")).to_have_count(0)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Home").click()
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Certify & compare").click()
    expect(progress(page)).to_contain_text("cancelled")
    button(page, "Resume").click()
    for tab in (page, other):  # without a reload
        open_tab(tab, "Runs")
        expect(progress(tab)).to_contain_text(f"{2 * IMAGES} of {2 * IMAGES} certificates")
        expect(progress(tab)).to_contain_text("finished")
    other.context.close()
    (run,) = (run for run in open_store(server.database).runs() if run.id not in earlier)
    assert run.stored == 2 * IMAGES

    open_tab(page, "Import & export")
    page.locator("input[type=file]").set_input_files(
        [
            {"name": "nonsense.tsv", "mimeType": "text/plain", "buffer": b"\x00\xff not a log"},
            {"name": "theirs.tsv", "mimeType": "text/plain", "buffer": cohens_log()},
        ]
    )
    expect(page.get_by_text("the six columns of Cohen et al.'s certify.py").last).to_be_visible()
    expect(page.get_by_text("nonsense.tsv is not a certification log")).to_be_visible()
    expect(page.locator(".ddrs-table").first).to_contain_text("theirs")
    fill(page, "At most (0: all)", 33)
    choose(page, "B", "theirs")
    expect(page.locator(".ddrs-headline + p")).to_contain_text(f"{IMAGES} images")
    open_tab(page, "Images")
    click_a_point(page)
    link = page.get_by_role("link", name=re.compile(r"Open image \d+ in the explorer"))
    expect(link).to_be_visible()
    image = re.search(r"image (\d+)", link.inner_text())
    assert image is not None
    expect(page).to_have_url(re.compile(f"image={image.group(1)}"))
    link.click()
    expect(page.get_by_role("heading", name="Explorer", level=1)).to_be_visible()
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_role("spinbutton", name="Image (0 to 499)")).to_have_value(image.group(1))
    expect(sidebar.get_by_role("combobox", name="Model")).to_have_value(MODEL)
    page.go_back(wait_until="commit")  # one step, and everything is as it was
    expect(page.get_by_role("heading", name="Certify & compare", level=1)).to_be_visible()
    expect(page.get_by_role("combobox", name="B", exact=True)).to_have_value("theirs")
    expect(page.get_by_label("Sigmas", exact=True)).to_have_value("0.5")
    expect(page.get_by_role("spinbutton", name="At most (0: all)", exact=True)).to_have_value("33")
    at_rest(page)  # a page that is still being drawn would take its address back
    page.go_forward(wait_until="commit")
    expect(page.get_by_role("heading", name="Explorer", level=1)).to_be_visible()
    expect(progress(page)).to_contain_text("done")


def test_a_shared_link_opens_the_same_view_in_a_fresh_browser(
    browser: Browser, server: Server
) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 2600})
    open_page(page, server, f"?show={DS},{FIXED}&pair=2-1&image=10&envelope=1")
    table = page.locator(".ddrs-table").first
    expect(table).to_contain_text("Gaussian .5 · data-dependent CONDITIONAL")
    first = page.get_by_role("combobox", name="A", exact=True)
    expect(first).to_have_value("Gaussian .5 · fixed")
    expect(page.get_by_role("spinbutton", name="Image", exact=True)).to_have_value("10")
    expect(page.locator(".ddrs-image img")).to_have_attribute("alt", re.compile("image 10,"))
    expect(page.get_by_text("envelope (not a classifier)").first).to_be_visible()
    size = page.locator(".ddrs-image img").evaluate("i => i.complete && i.naturalWidth")
    assert size == 8
    page.set_viewport_size({"width": 1280, "height": 720})
    page.wait_for_timeout(500)
    figure = page.locator("[data-figure='accuracy']").bounding_box()
    assert figure is not None
    assert figure["y"] + figure["height"] < 720
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollHeight") < 1800
    page.close()
