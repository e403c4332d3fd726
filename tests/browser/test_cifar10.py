"""The explorer with a data set of ten thousand images: all of them can be reached at once."""

from __future__ import annotations

import base64
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect

from ddrs_core.data import load_dataset
from ddrs_core.models import ModelCard, add_model, build_classifier
from tests.browser.conftest import address_says, own_server, wait_until
from tests.conftest import SHARED_DATA

pytestmark = [
    pytest.mark.skipif(
        not (SHARED_DATA / "cifar10").is_dir(), reason="the shared CIFAR-10 files are not here"
    ),
    pytest.mark.xdist_group("cifar10"),  # one server for all of them
]

_SIZE = 10_000
_STOPS = 12
_PATIENCE = 15_000  # milliseconds for the thumbnails in view, on a busy machine; usually 200
_STALL = 4000  # milliseconds that nothing may hold up the page, on a busy machine; usually 100
_MOST_BUTTONS = 200

_WATCH_STALLS = """() => {
  window.__stalls = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.__stalls.push(entry.duration);
  }).observe({ type: 'longtask' });
  const box = document.querySelector('.ddrs-gallery');
  window.__most = 0;
  new MutationObserver(() => {
    window.__most = Math.max(window.__most, box.querySelectorAll('button').length);
  }).observe(box, { childList: true, subtree: true });
}"""
_IN_VIEW = """() => {
  const box = document.querySelector('.ddrs-gallery'), frame = box.getBoundingClientRect();
  return [...box.querySelectorAll('button')].filter((button) => {
    const own = button.getBoundingClientRect();
    return own.bottom > frame.top + 1 && own.top < frame.bottom - 1;
  });
}"""
_LOADED = f"""(least) => {{
  const shown = ({_IN_VIEW})();
  return shown.length >= least && shown.every((button) => {{
    const image = button.querySelector('img');
    return image.src && image.complete && image.naturalWidth > 0;
  }});
}}"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with CIFAR-10 and an untrained network for it."""
    folder = tmp_path_factory.mktemp("cifar10")
    home, outer = folder / "home", os.environ["DDRS_HOME"]
    card = ModelCard(
        name="untrained",
        architecture="cifar_resnet20",
        dataset="cifar10",
        num_classes=10,
        shape=(3, 32, 32),
        sigma=0.5,
        licence="MIT",
    )
    os.environ["DDRS_HOME"] = str(home)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            add_model(build_classifier(card))
    finally:
        os.environ["DDRS_HOME"] = outer
    with own_server(folder, {"DDRS_DATA_DIR": str(SHARED_DATA)}) as server:
        yield server.url


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    """The classes of the test images."""
    outer = os.environ.get("DDRS_DATA_DIR")
    os.environ["DDRS_DATA_DIR"] = str(SHARED_DATA)
    try:
        return np.array(load_dataset("cifar10").labels)
    finally:
        del os.environ["DDRS_DATA_DIR"]
        if outer is not None:
            os.environ["DDRS_DATA_DIR"] = outer


def open_gallery(page: Page, url: str, query: str = "") -> None:
    page.set_default_timeout(60_000)
    page.goto(f"{url}/explorer?dataset=cifar10&model=untrained&preset=guarded&steps=2&n=100{query}")
    expect(page.locator("[data-figure] .main-svg").first).to_be_visible()
    expect(page.locator(".ddrs-gallery-note")).to_contain_text("images")
    wait_until(page, _LOADED, 20)


def images_in_view(page: Page) -> list[int]:
    script = f"() => ({_IN_VIEW})().map((button) => Number(button.dataset.index))"
    return list(page.evaluate(script))


def scroll_to(page: Page, share: float) -> None:
    """Move the gallery to a share of its height, as by dragging the bar."""
    page.evaluate(
        "(share) => { const box = document.querySelector('.ddrs-gallery');"
        "box.scrollTop = share * (box.scrollHeight - box.clientHeight); }",
        share,
    )
    page.evaluate("() => new Promise((next) => requestAnimationFrame(() => setTimeout(next)))")


def test_it_opens_at_the_first_image(page: Page, url: str) -> None:
    open_gallery(page, url)
    address_says(page, image="0")
    expect(page.locator(".ddrs-gallery-note")).to_have_text("10,000 images")
    assert images_in_view(page)[0] == 0
    pressed = page.locator(".ddrs-gallery button[aria-pressed=true]")
    expect(pressed).to_have_attribute("data-index", "0")
    expect(pressed).to_have_attribute("aria-label", "image 0, class cat")


@pytest.mark.timeout(400)
def test_every_thumbnail_is_there_when_it_is_scrolled_to(
    page: Page, url: str, labels: np.ndarray
) -> None:
    failed: list[str] = []
    page.on(
        "response",
        lambda r: failed.append(r.url) if "/ddrs/" in r.url and r.status >= 400 else None,
    )
    open_gallery(page, url)
    page.evaluate(_WATCH_STALLS)
    slowest = 0.0
    for stop in range(_STOPS + 1):
        scroll_to(page, stop / _STOPS)
        started = time.monotonic()
        wait_until(page, _LOADED, 20, timeout=_PATIENCE)
        slowest = max(slowest, time.monotonic() - started)
        shown = images_in_view(page)
        assert shown == sorted(shown)
        expected = stop / _STOPS * _SIZE
        assert min(shown) - 60 <= expected <= max(shown) + 60
    assert max(shown) == _SIZE - 1
    stalls = page.evaluate("() => window.__stalls")
    assert max(stalls, default=0) < _STALL
    assert page.evaluate("() => window.__most") < _MOST_BUTTONS
    assert failed == []
    wanted = shown[-3]
    page.locator(f".ddrs-gallery button[data-index='{wanted}']").click()
    expect(
        page.get_by_text(f"image {wanted:,}").or_(page.get_by_text(f"image {wanted}")).first
    ).to_be_visible()
    page.wait_for_url(f"**image={wanted}&**")
    pressed = page.locator(f".ddrs-gallery button[data-index='{wanted}']")
    expect(pressed).to_have_attribute("aria-pressed", "true")
    assert wanted in images_in_view(page)  # it was not scrolled away
    print(f"slowest stop {slowest:.2f} s, longest task {max(stalls, default=0):.0f} ms")  # noqa: T201


def test_whole_rows_are_passed_without_a_gap(page: Page, url: str) -> None:
    open_gallery(page, url)
    seen: set[int] = set()
    for _ in range(6):  # screen by screen
        wait_until(page, _LOADED, 20, timeout=_PATIENCE)
        seen.update(images_in_view(page))
        page.evaluate(
            "() => { const box = document.querySelector('.ddrs-gallery');"
            "box.scrollTop += box.clientHeight; }"
        )
        page.evaluate("() => new Promise((next) => requestAnimationFrame(() => setTimeout(next)))")
    assert seen == set(range(max(seen) + 1))
    assert len(seen) > 150


def test_a_class_filter_shows_that_class_alone(page: Page, url: str, labels: np.ndarray) -> None:
    open_gallery(page, url)
    page.get_by_role("combobox", name="Show").click()
    page.get_by_role("option", name="ship", exact=True).click()
    expect(page.locator(".ddrs-gallery-note")).to_have_text("1,000 images of class ship")
    ships = set(np.flatnonzero(labels == 8).tolist())
    found: set[int] = set()
    for stop in range(5):
        scroll_to(page, stop / 4)
        wait_until(page, _LOADED, 20, timeout=_PATIENCE)
        found.update(images_in_view(page))
    assert found <= ships
    assert {min(ships), max(ships)} <= found
    page.get_by_role("button", name="Surprise me").click()
    wait_until(
        page, "() => new URLSearchParams(location.search).get('image') !== '0'", timeout=_PATIENCE
    )
    assert int(parse_qs(urlparse(page.url).query)["image"][0]) in ships


def test_a_link_to_a_late_image_scrolls_to_it(page: Page, url: str) -> None:
    open_gallery(page, url, "&image=9876")
    pressed = page.locator(".ddrs-gallery button[aria-pressed=true]")
    expect(pressed).to_have_attribute("data-index", "9876")
    assert 9876 in images_in_view(page)


@pytest.mark.parametrize(
    "path",
    [
        "nothing/index.json",
        "nothing/0.png",
        "cifar10/10000.png",
        f"cifar10/{10**18}.png",
        "cifar10/x.png",
        "cifar10/-1.png",
        "cifar10",
        "",
        "picture-0123456789abcdef/0.png",
        "picture-..%2f/0.png",
        f"{'x' * 5000}/index.json",
        "<script>/index.json",
    ],
)
def test_foreign_addresses_are_answered_in_words(path: str, url: str) -> None:
    request = urllib.request.Request(f"{url}/ddrs/gallery/{path}")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    assert caught.value.code == 404
    words = json.load(caught.value)["error"]
    assert 10 < len(words) < 500
    assert "Traceback" not in words


@pytest.mark.parametrize(
    "path",
    [
        "..%2f..%2fetc%2fpasswd/index.json",
        "../cifar10/index.json",
        "%2e%2e/index.json",
        "cifar10%00/index.json",
    ],
)
def test_addresses_that_climb_are_refused(path: str, url: str) -> None:
    request = urllib.request.Request(f"{url}/ddrs/gallery/{path}")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    assert caught.value.code in (400, 404)  # Streamlit itself refuses some
    assert len(caught.value.read()) < 500


def test_an_index_is_small_and_true(url: str, labels: np.ndarray) -> None:
    with urllib.request.urlopen(f"{url}/ddrs/gallery/cifar10/index.json", timeout=30) as answer:
        index = json.load(answer)
    found = np.frombuffer(base64.b64decode(index["labels"]), np.int32)
    np.testing.assert_array_equal(found, labels)
    assert index["names"][8] == "ship"
