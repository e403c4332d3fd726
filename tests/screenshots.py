"""Pictures of every page, from a running dashboard: ``python -m tests.screenshots`` or
``make screenshots``.

The dashboard starts on a temporary data folder, without GPU, and each view is photographed once
it has finished: fixed example, fixed seed, both themes, 1280 pixels wide. ``--root`` photographs
another checkout and ``--whole`` whole pages, so that two states of the code can be compared.
"""

from __future__ import annotations

import argparse
import io
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import ROOT, open_browser, start_server, wait_until

WIDTH = 1280
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_SAME_LETTERS = ("--font-render-hinting=none",)  # whichever Chromium is here
_OPENED = 900  # pixels: height of the window in which a page opens
_TALLEST = 6000
_SETTLED = 60.0  # seconds until a page must have come to rest
_OWN_DATA = ("DDRS_DATA_DIR", "DDRS_ALLOWED_DIRS", "DDRS_DATABASE_URL", "CUDA_VISIBLE_DEVICES")
_FIGURE = "[data-figure] .main-svg"
_EXAMPLE = "?example=gains-most"
_SPEED_KNOWN = re.compile(r"\(measured ")
_LENGTHS = """() => ['stMain', 'stSidebarContent'].map((id) => {
  const part = document.querySelector(`[data-testid=${id}]`);
  return part ? part.scrollHeight : 0;
})"""
_TO_THE_TOP = """() => {
  document.activeElement?.blur();
  document.querySelector('[data-testid=stMain]')?.scrollTo(0, 0);
}"""
_SAME_DRAWS = """() => {  // a lesson draws votes in the browser
  let state = 7;
  Math.random = () => (state = (state * 48271) % 2147483647) / 2147483647;
}"""
_IMAGES_LOADED = "() => [...document.images].every((image) => image.complete)"


class View(NamedTuple):
    """One picture: where the page is, what finishes it, and which part is shown."""

    path: str
    heading: str
    finish: Callable[[Page], None]
    height: int = 900
    start: str = ""  # the heading at which the picture begins; default: the top of the page


def finish_home(page: Page) -> None:
    expect(page.get_by_role("heading", name="Your jobs and runs")).to_be_visible()
    expect(page.locator(".ddrs-mini svg")).to_be_visible()


def finish_explorer(page: Page) -> None:
    expect(page.locator(".ddrs-progress").first).to_contain_text("done · ")
    expect(page.locator(".ddrs-card")).to_have_count(2)
    expect(page.locator(".ddrs-copies canvas").first).to_be_visible()
    expect(page.locator(".ddrs-gallery img[src]").first).to_be_visible()


def finish_compare(page: Page) -> None:
    expect(page.locator(_FIGURE).first).to_be_visible()
    expect(page.locator(".ddrs-table").first).to_be_visible()
    expect(page.get_by_role("button", name="Certify", exact=True)).to_be_enabled()
    expect(page.get_by_text(_SPEED_KNOWN).first).to_be_visible()


def finish_failures(page: Page) -> None:
    expect(page.get_by_text("What to try", exact=True)).to_be_visible()
    expect(page.locator(".ddrs-gallery img[src]").first).to_be_visible()
    expect(page.locator("[data-figure='levels'] .main-svg").first).to_be_visible()


def finish_figures(page: Page) -> None:
    expect(page.locator(_FIGURE).first).to_be_visible()


def finish_query(page: Page) -> None:
    press(page, "Certify")
    expect(page.locator("[data-text='said']").first).to_contain_text("The certificate: ")
    expect(page.locator("[data-figure='plane'] .main-svg").first).to_be_visible()


def finish_walk(page: Page) -> None:
    press(page, "Walk")
    expect(page.locator("[data-text='points'] tbody tr")).to_have_count(13)
    expect(page.locator("[data-figure='walk'] .main-svg").first).to_be_visible()


def finish_training(page: Page) -> None:
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_enabled()
    expect(page.get_by_text(_SPEED_KNOWN).first).to_be_visible()
    finish_figures(page)


def finish_learn(page: Page) -> None:
    expect(page.locator(".ddrs-lesson svg text").first).to_be_visible()
    page.evaluate(_SAME_DRAWS)
    press(page, "Certify 100 times")
    expect(page.get_by_text("of 100 false")).to_be_visible()


def finish_library(page: Page) -> None:
    expect(page.get_by_role("heading", name="Add a model")).to_be_visible()
    expect(page.get_by_test_id("stDataFrame").last).to_be_visible()


VIEWS = {
    "home": View("", "Data-dependent randomized smoothing", finish_home),
    "explorer": View(f"explorer{_EXAMPLE}", "Explorer", finish_explorer, 720),
    "explorer-certify": View(
        f"explorer{_EXAMPLE}", "Explorer", finish_explorer, 800, "Certificates"
    ),
    "compare": View("compare", "Certify & compare", finish_compare, 720),
    "failures": View("failures", "Why did it fail?", finish_failures, 1100),
    "memory": View("memory", "Memory", finish_figures),
    "memory-query": View("memory?section=query&strategy=guarded", "Memory", finish_query, 1000),
    "memory-collisions": View(
        "memory?section=collisions&strategy=guarded",
        "Memory",
        finish_walk,
        1100,
        "Walk from one image to another",
    ),
    "memory-order": View("memory?section=order", "Memory", finish_figures, 1000),
    "learn": View("learn?lesson=samples", "4. We only have samples", finish_learn, 720),
    "training": View("training", "Training", finish_training, 1000),
    "library": View("library", "Library", finish_library, 1000),
}


def press(page: Page, name: str) -> None:
    """Press a button once the page stands still."""
    come_to_rest(page)
    page.get_by_role("button", name=name, exact=True).first.click()


def come_to_rest(page: Page) -> bytes:
    """The picture of a page whose script has ended and that no longer changes."""
    app, before, deadline = page.get_by_test_id("stApp"), b"", time.monotonic() + _SETTLED
    while time.monotonic() < deadline:
        expect(app).to_have_attribute("data-test-script-state", "notRunning")
        wait_until(page, _IMAGES_LOADED)
        shown = page.screenshot(animations="disabled")
        if shown == before:
            return shown
        before = shown
        page.wait_for_timeout(300)
    raise AssertionError(f"{page.url} does not come to rest")


def photograph(page: Page, url: str, view: View, *, whole: bool) -> Image.Image:
    """Open a view, let it finish, and cut the picture."""
    page.set_viewport_size({"width": WIDTH, "height": _OPENED})
    page.goto(f"{url}/{view.path}")
    expect(page.get_by_role("heading", name=view.heading, level=1)).to_be_visible()
    view.finish(page)
    come_to_rest(page)
    page.mouse.move(0, 0)
    page.evaluate(_TO_THE_TOP)
    tallest = min(_TALLEST, max(_OPENED, *page.evaluate(_LENGTHS)))
    if view.height < _OPENED and not (view.start or whole):
        tallest = view.height  # figures whose size depends on that of the window
    page.set_viewport_size({"width": WIDTH, "height": tallest})
    picture = Image.open(io.BytesIO(come_to_rest(page))).convert("RGB")
    if whole:
        return picture
    left, top = 0, 0
    if view.start:  # the sidebar has ended there
        box = page.get_by_role("heading", name=view.start, exact=True).first.bounding_box()
        assert box is not None
        left, top = max(0, int(box["x"]) - 40), max(0, int(box["y"]) - 10)
    return picture.crop((left, top, WIDTH, min(top + view.height, picture.height)))


@contextmanager
def dashboard(root: Path) -> Iterator[str]:
    """The address of a checkout's dashboard that knows nothing of this machine's user."""
    with tempfile.TemporaryDirectory(prefix="ddrs-screenshots-") as name:
        folder = Path(name)
        own = {"DDRS_HOME": str(folder / "home"), "TORCH_HOME": str(folder / "torch")}
        server, url = start_server(folder, {**own, **dict.fromkeys(_OWN_DATA, "")}, root)
        try:
            yield url
        finally:
            server.terminate()
            server.wait(20)


def photograph_all(browser: Browser, url: str, names: list[str], out: Path, *, whole: bool) -> None:
    """Write the pictures of the named views in both themes."""
    for scheme in SCHEMES:
        for name in names:
            context = browser.new_context(color_scheme=scheme, device_scale_factor=1)
            context.set_default_timeout(90_000)
            picture = photograph(context.new_page(), url, VIEWS[name], whole=whole)
            context.close()
            picture.save(out / f"{name}-{scheme}.webp", quality=75, method=6)
            print(f"{out / name}-{scheme}.webp {picture.width}x{picture.height}", flush=True)


def main() -> None:
    """Read the options and write the pictures."""
    parser = argparse.ArgumentParser(prog="python -m tests.screenshots", description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout to photograph")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--only", nargs="+", choices=VIEWS, default=list(VIEWS), metavar="VIEW")
    parser.add_argument("--whole", action="store_true", help="whole pages instead of their tops")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with dashboard(options.root.resolve()) as url, open_browser(*_SAME_LETTERS) as browser:
        photograph_all(browser, url, options.only, options.out, whole=options.whole)


if __name__ == "__main__":
    main()
