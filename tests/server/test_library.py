"""The library: files and folders of the server, a download without a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddrs_core.data import load_dataset
from ddrs_core.data.images.thumbnails import thumbnail
from tests.browser.conftest import Server
from tests.browser.hostile_files import cohen_checkpoint
from tests.coroutines import run_in_thread
from tests.server.client import open_tab

pytestmark = pytest.mark.slow


def test_only_open_folders_can_be_read(server: Server) -> None:
    closed = server.folder / "closed"  # beside the open one
    closed.mkdir(exist_ok=True)
    for folder in (server.opened, closed):
        (folder / "noise_0.25").mkdir()
        (folder / "noise_0.25/checkpoint.pth.tar").write_bytes(cohen_checkpoint())
    link = server.opened / "link.pth"
    link.symlink_to(closed / "noise_0.25/checkpoint.pth.tar")
    (server.opened / "folder-link").symlink_to(closed)

    async def enter_paths() -> None:
        tab = await open_tab(server.url, "library")
        for path in (
            closed / "noise_0.25/checkpoint.pth.tar",
            server.opened / "../closed/noise_0.25/checkpoint.pth.tar",
            link,
            server.opened / "folder-link/noise_0.25/checkpoint.pth.tar",
            Path("/etc/passwd"),
            Path("~/.ssh/id_rsa"),
        ):
            await tab.enter("or a path on the server", str(path))
            words = f"{str(path)!r} does not lie in a folder that is open to visitors"
            assert len(tab.alerts(words)) == 1
            assert tab.shown("code") == []
        await tab.enter("or a path on the server", str(server.opened / "nothing.pth"))
        assert len(tab.alerts("There is nothing at")) == 1
        await tab.enter("or a path on the server", str(server.opened / "noise_0.25"))
        assert len(tab.alerts("noise_0.25 is a folder")) == 1
        good = server.opened / "noise_0.25/checkpoint.pth.tar"
        await tab.enter("or a path on the server", str(good))
        assert tab.says("file: checkpoint.pth.tar")
        assert tab.value("Trained with noise sigma") == 0.5  # measured; folders say nothing
        await tab.close()

    run_in_thread(enter_paths())


def test_a_folder_of_pictures_becomes_a_data_set(server: Server) -> None:
    digits = load_dataset("digits")
    folder = server.opened / "my digits"
    for index in range(30):
        into = folder / digits.info.class_names[digits.label(index) or 0]
        into.mkdir(parents=True, exist_ok=True)
        (into / f"{index}.png").write_bytes(thumbnail(digits, index))
    (server.folder / "closed").mkdir(exist_ok=True)
    (server.opened / "escape").symlink_to(server.folder / "closed")

    async def add_folders() -> None:
        tab = await open_tab(server.url, "library")
        for path, words in (
            (server.opened / "../closed", "does not lie in a folder that is open"),
            (server.opened / "escape", "does not lie in a folder that is open"),
            (server.opened / "nothing", "There is nothing at"),
        ):
            await tab.enter("Path on the server", str(path))
            await tab.press("Add")
            assert len(tab.alerts(words)) == 1
        await tab.enter("Path on the server", str(folder))
        await tab.enter("Name (optional)", "my-digits")
        await tab.press("Add")
        assert tab.alerts("Added my digits as 'my-digits'.")
        links = [e.page_link for e in tab.shown("page_link")]
        (link,) = (link for link in links if link.label == "Explore my digits")
        await tab.close()
        tab = await open_tab(server.url, link.page, link.query_string)
        assert tab.address["dataset"] == "my-digits"
        assert tab.shown("number_input")[0].number_input.label == "Image (0 to 29)"
        assert tab.is_moving or tab.says(r"done \S+ \d+ of \d+ rounds")
        await tab.close()

    run_in_thread(add_folders())


def test_without_a_network_a_download_says_so(server: Server) -> None:
    async def download() -> None:
        tab = await open_tab(server.url, "library")
        await tab.press("Download")
        await tab.watch()
        await tab.rerun()
        (message,) = tab.alerts("could not be fetched")
        assert "name a folder that has cifar10/*.parquet with DDRS_DATA_DIR" in message
        assert not any(
            e.button.disabled for e in tab.shown("button") if e.button.label == "Download"
        )
        await tab.close()

    run_in_thread(download())
