"""From a point of the comparison to the reason why an image fails, to what helps, and back."""

from __future__ import annotations

import io
import re

import pandas as pd
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Server, at_rest, button, expand, query_of

STUDY = "reference.study.digits-gaussian-0.50"
FIXED, DS = (f"{STUDY}-{end}-0.5" for end in ("fixed", "ds"))


def click_part(page: Page, kind: str) -> None:
    """Click the part of the first bar that stands for a kind."""
    chart = page.locator(".st-key-failures_kinds [data-figure]")
    expect(chart.locator(".main-svg").first).to_be_visible()
    at_rest(page)
    place = """(gd, kind) => {
      const at = gd._fullData.findIndex((trace) => trace.name === kind);
      const bar = gd.calcdata[at][0], { xaxis, yaxis } = gd._fullLayout;
      const box = gd.getBoundingClientRect();
      return [box.x + xaxis._offset + xaxis.c2p(bar.b + bar.s / 2),
        box.y + yaxis._offset + yaxis.c2p(bar.p)];
    }"""
    page.mouse.click(*chart.evaluate(place, kind))


def test_from_a_point_to_its_reason_and_on_to_what_helps(
    page: Page, browser: Browser, server: Server
) -> None:
    page.goto(f"{server.url}/compare?show={DS},{FIXED}&image=11")
    page.get_by_role("link", name="Why no more in B?").click()
    expect(page.get_by_role("heading", name="Why did it fail?", level=1)).to_be_visible()
    card = page.locator(".ddrs-why")
    expect(card).to_contain_text("image 11, class 1")
    expect(card).to_contain_text("right but too close")
    expect(card).to_contain_text("lost")
    helps = page.get_by_role("link", name=re.compile(r"Certify it at σ = "))
    expect(helps).to_be_visible()  # after fresh votes at other levels
    button(page, "Attack the image").click()
    expect(page.get_by_text(re.compile(r"At distance 0\.\d+ an image gets class "))).to_be_visible()
    expect(page.locator(".ddrs-pictures:not(.ddrs-near) img")).to_have_count(3)
    expect(page.locator(".ddrs-near .ddrs-own")).to_contain_text("class 1")  # of training images

    click_part(page, "too few samples")
    note = page.get_by_text(re.compile(r"^5 of 500 images, too few samples, r = 0\.50, "))
    expect(note).to_be_visible()
    expect(card).to_contain_text("image 37")
    expect(page).to_have_url(re.compile("kind=too-few-samples"))
    expect(page.locator(".ddrs-gallery button")).to_have_count(5)
    page.locator(".ddrs-gallery button").nth(1).click()
    expect(page).to_have_url(re.compile("image="))
    at_rest(page)
    expand(page, "Export")
    with page.expect_download() as download:
        button(page, "5 images as CSV").click()
    frame = pd.read_csv(download.value.path())
    assert len(frame) == 5
    assert set(frame["kind"]) == {"too-few-samples"}
    assert (frame["samples_needed"] > 0).all()

    other = browser.new_context().new_page()  # the link of a filter, in a fresh browser
    other.goto(page.url)
    expect(other.get_by_text(note.inner_text())).to_be_visible()
    shown = query_of(page)["image"]
    expect(other.locator(".ddrs-why")).to_contain_text(f"image {shown},")
    with other.expect_download() as download:
        at_rest(other)
        expand(other, "Export")
        button(other, "500 images as JSON").click()
    assert len(pd.read_json(io.BytesIO(download.value.path().read_bytes()))) == 500
    other.context.close()

    view = page.url
    # The query of the next page may be there before its path.
    page.get_by_role("link", name=re.compile("^Certify with N = ")).evaluate(
        "a => { a.click(); history.pushState({}, '', location.pathname + '?image=0'); }"
    )
    expect(page.get_by_role("heading", name="Explorer", level=1)).to_be_visible()
    expect(page).to_have_url(re.compile(f"image={shown}&"))
    at_rest(page)
    page.go_back(wait_until="commit")
    expect(page).to_have_url(view)
    expect(page.get_by_role("heading", name="Why did it fail?", level=1)).to_be_visible()
    expect(page.locator(".ddrs-why")).to_contain_text(f"image {shown},")
