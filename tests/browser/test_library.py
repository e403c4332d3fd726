"""The library as a visitor uses it; ``tests/server/test_library.py`` has the rest of it."""

from __future__ import annotations

import csv
import re
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Locator, Page, expect

from ddrs_core.models import get_card
from tests.browser.conftest import DONE, Server, progress
from tests.browser.hostile_files import cohen_checkpoint
from tests.coroutines import run_in_thread
from tests.server.client import open_tab


def open_library(page: Page, server: Server) -> None:
    page.set_default_timeout(60_000)
    page.goto(f"{server.url}/library")
    expect(page.get_by_role("heading", name="Add a model")).to_be_visible()


def picker(page: Page, name: str) -> Locator:
    """The combobox of a label in the sidebar."""
    return page.get_by_test_id("stSidebar").get_by_role("combobox", name=name)


def rows(page: Page, number: int) -> list[dict[str, str]]:
    """What a table shows, as its own download says; the table itself is a painting."""
    table = page.get_by_test_id("stDataFrame").nth(number)
    table.hover()
    with page.expect_download() as download:
        table.locator("xpath=..").get_by_role("button", name="Download as CSV").click()
    return list(csv.DictReader(download.value.path().open(encoding="utf-8-sig")))


def test_data_sets_and_models_are_listed(page: Page, server: Server) -> None:
    page.add_init_script("window.showSaveFilePicker = undefined")  # it would ask where to
    open_library(page, server)
    datasets, models = rows(page, 0), rows(page, 1)
    assert datasets[0]["name"] == "digits"
    assert set(datasets[0]["images"].split(", ")) == {"1,297 train", "500 test"}
    found = {r["model"]: r for r in models}
    assert {"digits-gaussian-0.25", "digits-gaussian-0.50"} <= set(found)
    own_noise = get_card("digits-gaussian-0.50").own_noise_accuracy
    assert found["digits-gaussian-0.50"]["own noise"] == f"{own_noise:.1%}"
    assert found["digits-gaussian-0.50"]["certified"] == "49.0% at r = 0.5"
    assert found["digits-gaussian-0.50"]["with noise"] == "yes"
    expect(page.get_by_role("link", name="Explore Handwritten digits")).to_be_visible()


@pytest.mark.timeout(300)
def test_a_checkpoint_of_others_goes_all_the_way(page: Page, server: Server) -> None:
    open_library(page, server)
    name = "noise_0.50 checkpoint.pth.tar"
    page.get_by_test_id("stFileUploader").locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": cohen_checkpoint()}
    )
    lines = page.get_by_test_id("stCode")
    wanted = (
        "layout: Cohen / SmoothAdv",
        "epoch: 90",
        "architecture: digits_cnn",
        "not read: optimizer",
        "classes: 10; images: 1 x 8 x 8",
    )
    for text in wanted:
        expect(lines).to_contain_text(text)
    advice = page.get_by_test_id("stAlert").filter(has_text="'digits' gets")
    expect(advice).to_be_visible()
    share = re.search(r"gets (\d+)% of (\d+) images", advice.inner_text())
    assert share is not None
    assert int(share[1]) > 90
    assert int(share[2]) >= 24
    form = page.get_by_test_id("stForm").filter(has_text="Normalisation")
    expect(form.get_by_role("combobox", name="Normalisation")).to_have_value("digits")
    expect(form.get_by_label("Trained with noise sigma", exact=True)).to_have_value("0.50")
    page.get_by_role("button", name="Use this model").click()
    expect(page.get_by_text("Your pages offer the model now")).to_be_visible()
    page.get_by_role("link", name="Explore with it").click()
    expect(progress(page)).to_contain_text(DONE)
    shown = parse_qs(urlparse(page.url).query)
    assert shown["model"][0].startswith("upload-")
    assert shown["sigma0"] == ["0.5"]
    expect(picker(page, "Model")).to_have_value("your digits_cnn at 0.5")

    # It is this visitor's, and whoever has the link may use it too.
    stranger = f"?dataset=digits&model={shown['model'][0]}&image=4"

    async def visit() -> None:
        tab = await open_tab(server.url, "explorer")
        assert not any("your" in option for option in tab.options("Model"))
        await tab.close()
        tab = await open_tab(server.url, "explorer", stranger[1:])
        assert tab.value("Model") == "your digits_cnn at 0.5"
        await tab.close()

    run_in_thread(visit())
