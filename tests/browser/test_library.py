"""The library as a visitor uses it: somebody's checkpoint, a folder of pictures, a download."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from ddrs_core.data import load_dataset
from ddrs_core.data.images.thumbnails import thumbnail
from ddrs_core.models import get_card
from tests.browser.conftest import DONE, Server, progress
from tests.browser.hostile_files import cohen_checkpoint


@pytest.fixture
def closed(server: Server) -> Path:
    """A folder beside the open one, which visitors may not read."""
    folder = server.folder / "closed"
    folder.mkdir(exist_ok=True)
    return folder


def open_library(page: Page, server: Server) -> None:
    page.set_default_timeout(60_000)
    page.goto(f"{server.url}/library")
    expect(page.get_by_role("heading", name="Add a model")).to_be_visible()


def picker(page: Page, name: str) -> Locator:
    """The combobox of a label in the sidebar."""
    return page.get_by_test_id("stSidebar").get_by_role("combobox", name=name)


def options(page: Page, name: str) -> list[str]:
    """What a picker offers."""
    picker(page, name).click()
    expect(page.get_by_role("option").first).to_be_visible()
    offered = page.get_by_role("option").all_inner_texts()
    page.keyboard.press("Escape")
    return offered


def rows(page: Page, number: int) -> list[dict[str, str]]:
    """What a table shows, as its own download says; the table itself is a painting."""
    table = page.get_by_test_id("stDataFrame").nth(number)
    table.hover()
    with page.expect_download() as download:
        table.locator("xpath=..").get_by_role("button", name="Download as CSV").click()
    return list(csv.DictReader(download.value.path().open(encoding="utf-8-sig")))


def enter_path(page: Page, label: str, path: Path | str) -> None:
    field = page.get_by_label(label, exact=True)
    field.fill(str(path))
    field.press("Enter")


def expect_error(page: Page, words: str) -> None:
    expect(page.get_by_test_id("stAlert").filter(has_text=words)).to_have_count(1)


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
    assert found["digits-gaussian-0.50"]["with noise"] == "yes"
    expect(page.get_by_role("link", name="Explore Handwritten digits")).to_be_visible()


@pytest.mark.timeout(300)
def test_a_checkpoint_of_others_goes_all_the_way(
    page: Page, browser: Browser, server: Server
) -> None:
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

    page.reload()
    expect(progress(page)).to_contain_text(DONE)
    expect(picker(page, "Model")).to_have_value("your digits_cnn at 0.5")
    page.goto(f"{server.url}/explorer")
    assert "your digits_cnn at 0.5" in options(page, "Model")

    context = browser.new_context(viewport={"width": 1440, "height": 1800})
    other = context.new_page()
    other.goto(f"{server.url}/explorer")
    expect(picker(other, "Model")).to_be_visible()
    assert not any("your" in option for option in options(other, "Model"))
    link = f"{server.url}/explorer?dataset=digits&model={shown['model'][0]}&image=4"
    other.goto(link)
    expect(progress(other)).to_contain_text(DONE)
    expect(picker(other, "Model")).to_have_value("your digits_cnn at 0.5")
    context.close()


def test_only_open_folders_can_be_read(page: Page, server: Server, closed: Path) -> None:
    for folder in (server.opened, closed):
        (folder / "noise_0.25").mkdir()
        (folder / "noise_0.25/checkpoint.pth.tar").write_bytes(cohen_checkpoint())
    link = server.opened / "link.pth"
    link.symlink_to(closed / "noise_0.25/checkpoint.pth.tar")
    (server.opened / "folder-link").symlink_to(closed)
    open_library(page, server)
    for path in (
        closed / "noise_0.25/checkpoint.pth.tar",
        server.opened / "../closed/noise_0.25/checkpoint.pth.tar",
        link,
        server.opened / "folder-link/noise_0.25/checkpoint.pth.tar",
        Path("/etc/passwd"),
        Path("~/.ssh/id_rsa"),
    ):
        enter_path(page, "or a path on the server", path)
        expect_error(page, f"{str(path)!r} does not lie in a folder that is open to visitors")
        expect(page.get_by_test_id("stCode")).to_have_count(0)
    enter_path(page, "or a path on the server", server.opened / "nothing.pth")
    expect_error(page, "There is nothing at")
    enter_path(page, "or a path on the server", server.opened / "noise_0.25")
    expect_error(page, "noise_0.25 is a folder")
    enter_path(page, "or a path on the server", server.opened / "noise_0.25/checkpoint.pth.tar")
    expect(page.get_by_test_id("stCode")).to_contain_text("file: checkpoint.pth.tar")
    expect(page.get_by_label("Trained with noise sigma", exact=True)).to_have_value(
        "0.50"
    )  # measured; folders say nothing


def test_a_folder_of_pictures_becomes_a_data_set(page: Page, server: Server, closed: Path) -> None:
    digits = load_dataset("digits")
    folder = server.opened / "my digits"
    for index in range(30):
        into = folder / digits.info.class_names[digits.label(index) or 0]
        into.mkdir(parents=True, exist_ok=True)
        (into / f"{index}.png").write_bytes(thumbnail(digits, index))
    (server.opened / "escape").symlink_to(closed)
    open_library(page, server)
    page.get_by_text("Add a data set that lies on this server").click()
    for path, words in (
        (server.opened / "../closed", "does not lie in a folder that is open"),
        (server.opened / "escape", "does not lie in a folder that is open"),
        (server.opened / "nothing", "There is nothing at"),
    ):
        page.get_by_label("Path on the server", exact=True).fill(str(path))
        page.get_by_role("button", name="Add", exact=True).click()
        expect_error(page, words)
    page.get_by_label("Path on the server", exact=True).fill(str(folder))
    page.get_by_label("Name (optional)").fill("my-digits")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("Added my digits as 'my-digits'.")).to_be_visible()
    page.get_by_role("link", name="Explore my digits").click()
    expect(progress(page)).to_contain_text(re.compile("running|done"))
    expect(page.locator(".ddrs-gallery button")).to_have_count(30)
    assert parse_qs(urlparse(page.url).query)["dataset"] == ["my-digits"]


def test_without_a_network_a_download_says_so(page: Page, server: Server) -> None:
    open_library(page, server)
    page.get_by_role("button", name="Download", exact=True).click()
    message = page.get_by_test_id("stAlert").filter(has_text="could not be fetched")
    expect(message).to_contain_text("name a folder that has cifar10/*.parquet with DDRS_DATA_DIR")
    expect(page.get_by_role("button", name="Download", exact=True)).to_be_enabled()
    page.get_by_role("link", name="Explore Handwritten digits").click()
    expect(progress(page)).to_contain_text(DONE)
