"""Folders outside the program, and the one door that visitors have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ddrs_core import paths as places
from ddrs_core.paths import ForbiddenPathError, check_allowed


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DDRS_HOME", "DDRS_DATA_DIR", "DDRS_ALLOWED_DIRS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is open to visitors, beside one that is not."""
    for folder in ("open/inner", "closed", "open-too"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "closed" / "secret").write_text("x")
    monkeypatch.setenv("DDRS_ALLOWED_DIRS", str(tmp_path / "open"))
    return tmp_path / "open"


def test_home_is_named_or_usual(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert places.home().name == "ddrs"
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "mine"))
    assert places.home() == tmp_path / "mine"
    assert not places.home().exists()  # looking makes nothing
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DDRS_HOME", "~/mine")
    assert places.home() == tmp_path / "mine"


def test_the_data_folder_must_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert places.data_dir() is None
    monkeypatch.setenv("DDRS_DATA_DIR", str(tmp_path / "no"))
    assert places.data_dir() is None
    monkeypatch.setenv("DDRS_DATA_DIR", str(tmp_path))
    assert places.data_dir() == tmp_path


def test_several_folders_and_the_data_folder_are_open(
    opened: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "DDRS_ALLOWED_DIRS", os.pathsep.join([str(opened), "", str(tmp_path / "no")])
    )
    monkeypatch.setenv("DDRS_DATA_DIR", str(tmp_path / "open-too"))
    assert places.allowed_dirs() == [opened, tmp_path / "open-too"]


def test_paths_inside_are_open(opened: Path) -> None:
    assert check_allowed(str(opened)) == opened
    assert check_allowed(f"  {opened}/inner/../inner \n") == opened / "inner"


def test_links_are_followed_before_they_are_judged(opened: Path, tmp_path: Path) -> None:
    (opened / "out").symlink_to(tmp_path / "closed")
    (opened / "in").symlink_to(opened / "inner")
    assert check_allowed(str(opened / "in")) == opened / "inner"
    with pytest.raises(ForbiddenPathError, match="does not lie"):
        check_allowed(str(opened / "out" / "secret"))


@pytest.mark.parametrize(
    "path",
    [
        "../closed/secret",
        "../open-too",
        "..",
        "inner/../../closed/secret",
        "loop/a",
        "/etc/passwd",
        "/",
        "~nobody-x/y",
        "a\0b",
        "x" * 9999,
    ],
)
def test_paths_outside_are_refused(
    opened: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (opened / "loop").symlink_to(opened / "loop")
    monkeypatch.chdir(opened)
    with pytest.raises(ForbiddenPathError):
        check_allowed(path)


def test_what_is_missing_is_said_only_of_open_folders(opened: Path, tmp_path: Path) -> None:
    with pytest.raises(ForbiddenPathError, match="nothing at"):
        check_allowed(str(opened / "missing"))
    for name in ("secret", "missing"):  # no way to tell which files exist elsewhere
        with pytest.raises(ForbiddenPathError, match="does not lie"):
            check_allowed(str(tmp_path / "closed" / name))


def test_without_open_folders_the_variable_is_named() -> None:
    with pytest.raises(ForbiddenPathError, match="DDRS_ALLOWED_DIRS"):
        check_allowed("/tmp")
