"""``datasets``: list, add, show, remove, download. The parser is tried on its own."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ddrs_core.cli import datasets
from ddrs_core.data import DownloadProgress, get_dataset_info, list_datasets, registry
from ddrs_core.errors import DDRSError, InvalidParameterError, UnknownNameError

Run = Callable[..., str]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DDRS_DATA_DIR", raising=False)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``datasets`` with some words and return what it prints."""

    def run(*words: object) -> str:
        parser = argparse.ArgumentParser()
        datasets.add_parser(parser.add_subparsers())
        options = parser.parse_args(["datasets", *map(str, words)])
        options.run(options)
        return capsys.readouterr().out

    return run


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    for name in ("cat", "dog"):
        (tmp_path / "animals" / name).mkdir(parents=True)
        Image.new("RGB", (50, 40)).save(tmp_path / "animals" / name / "a.png")
    return tmp_path / "animals"


def test_json_keeps_its_keys(run: Run) -> None:
    (digits,) = json.loads(run("--json"))
    assert digits["name"] == "digits"
    assert digits["shape"] == [1, 8, 8]
    assert digits["num_classes"] == len(digits["class_names"]) == 10
    assert {"title", "description", "origin", "resizable", "splits"} <= digits.keys()


def test_the_list_names_what_can_be_downloaded(run: Run) -> None:
    text = run()
    assert "1 x 8 x 8, 10 classes" in text
    assert "python -m ddrs_core datasets download cifar10" in text


def test_add_show_remove(run: Run, animals: Path) -> None:
    assert "Added pets" in run("add", animals, "--name", "pets", "--title", "My pets", "--size", 64)
    info = get_dataset_info("pets")
    assert (info.title, info.shape) == ("My pets", (3, 64, 64))
    shown = run("show", "pets")
    for text in ("My pets", "2 test", "3 x 64 x 64", "2: cat, dog", str(animals)):
        assert text in shown
    assert json.loads(run("show", "pets", "--json"))["counts"] == {"test": 2}
    assert "its files stay" in run("remove", "pets")
    assert [info.name for info in list_datasets()] == ["digits"]
    assert (animals / "cat" / "a.png").exists()


@pytest.mark.parametrize("words", [("add", "{}", "--json"), ("--json", "add", "{}")])
def test_json_before_or_after_the_action(run: Run, animals: Path, words: tuple[str, ...]) -> None:
    assert json.loads(run(*(word.format(animals) for word in words)))["name"] == "animals"


def test_show_digits(run: Run) -> None:
    assert "500 test, 1,297 train" in run("show", "digits")


def test_download_reports_and_ends_with_the_place(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def steps(name: str) -> object:
        asked.append(name)
        yield DownloadProgress("waiting", 0, None)
        yield DownloadProgress("downloading", 5, 10)

    monkeypatch.setattr("ddrs_core.data.download_dataset", steps)
    assert "scikit-learn" in run("download", "digits")
    assert asked == ["digits"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("show", "digitz"), UnknownNameError),
        (("show", "cifar10"), registry.NotDownloadedError),
        (("remove", "digits"), UnknownNameError),
        (("download", "digits"), UnknownNameError),
        (("add", "/nowhere"), DDRSError),
        (("add", "{}", "--name", "../x"), InvalidParameterError),
        (("add", "{}", "--size", "0"), InvalidParameterError),
    ],
)
def test_wrong_input(run: Run, animals: Path, words: tuple[str, ...], error: type) -> None:
    with pytest.raises(error):
        run(*(word.format(animals) for word in words))
