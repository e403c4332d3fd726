"""The documentation describes what is there: links resolve, commands and options exist, every
command is mentioned, and the examples of the command line run."""

from __future__ import annotations

import argparse
import doctest
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from ddrs_core import cli
from ddrs_core.cli.options import LazyParser

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("**/*.md")])
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_IN_CODE = re.compile(r"`([^`\n]+)`")
_FILE = re.compile(r"^(?:\.\./)*[\w.-]+(?:/[\w.*-]+)*/?$")
_LABEL = re.compile(r"(?<![*\w\\])\*([A-Z](?:[^*\n\\]|\\\*|\n(?!\n))*)\*(?![*\w])")
_TOPS = ("ddrs_core", "tests", "docs", "assets", "pages", ".ci", ".streamlit")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
_OTHER_PROGRAMS = (
    "torchrun",
    "tensorboard",
    "ray ",
    "pip ",
    "git ",
    "source ",
    "make ",
    "streamlit",
)
_OTHER_OPTIONS = {"--server.allowedHosts"}
_RUN = "python -m ddrs_core "


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def anchors(page: Path) -> frozenset[str]:
    """The names under which a code host finds the headings of a page."""
    titles = _HEADING.findall(_FENCE.sub("", page.read_text()))
    return frozenset(re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_and_pictures_resolve(page: Path) -> None:
    missing = []
    for found in _LINK.finditer(_FENCE.sub("", page.read_text())):
        target, _, anchor = (found[1] or found[2]).partition("#")
        if target.startswith(("http://", "https://")):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            missing.append(found[0])
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_files_that_are_named_exist(page: Path) -> None:
    gone = []
    for text in _IN_CODE.findall(_FENCE.sub("", page.read_text())):
        name = text.strip()
        if _FILE.match(name) and name.split("/")[0] in _TOPS and not list(ROOT.glob(name)):
            gone.append(name)
    assert gone == []


def test_the_index_has_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    others = {page.name for page in index.parent.glob("*.md")} - {index.name}
    assert {name for name in others if f"({name})" not in index.read_text()} == set()


def test_every_picture_is_shown_somewhere() -> None:
    texts = "".join(page.read_text() for page in PAGES)
    shown = [p.name for p in (ROOT / "docs" / "images").iterdir() if p.name not in texts]
    assert shown == []


@pytest.mark.parametrize(
    ("path", "start"),
    [
        ("ddrs_core/data/registry.py", '    "digits": '),
        ("ddrs_core/models/architectures/__init__.py", '        Architecture("lenet"'),
        ("ddrs_core/training/methods/registry.py", '    "gaussian": '),
        ("ddrs_core/smoothing/sigma/strategies.py", '    "search": '),
        ("ddrs_core/dashboard/navigation.py", "        explorer_page()"),
        ("ddrs_core/cli/__init__.py", '    "report": '),
    ],
)
def test_the_registration_lines_are_the_real_ones(path: str, start: str) -> None:
    lines = (ROOT / path).read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(start)]
    assert f"```python\n{line}\n```" in (ROOT / "CONTRIBUTING.md").read_text()


def test_the_drawing_has_the_packages_in_the_order_of_the_layers() -> None:
    (layers,) = [
        contract["layers"]
        for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"][
            "importlinter"
        ]["contracts"]
        if contract.get("containers") == ["ddrs_core"]
    ]
    names = [layer.strip("()") for layer in layers]
    packages = [name for name in names if (ROOT / "ddrs_core" / name).is_dir()]
    drawing = (ROOT / "docs" / "images" / "architecture.svg").read_text()
    assert re.findall(r'class="name"[^>]*>(\w+)<', drawing) == packages


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_buttons_and_fields_are_called_as_on_the_pages(page: Path) -> None:
    """What stands in italics with a capital is a label of the dashboard."""
    text = _FENCE.sub("", page.read_text())
    labels = {found.replace("\\*", "*").replace("\n", " ") for found in _LABEL.findall(text)}
    sources = dashboard_sources()
    assert {
        label for label in labels if not re.search(f'["|>]{re.escape(label)}', sources)
    } == set()


@cache
def dashboard_sources() -> str:
    folders = (ROOT / "pages", ROOT / "ddrs_core" / "dashboard")
    return "".join(
        path.read_text()
        for folder in folders
        for path in folder.rglob("*.*")
        if path.is_file() and path.suffix in (".py", ".html")
    )


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """The long options of a parser and of all parsers below it."""
    if isinstance(parser, LazyParser) and parser.fill is not None:
        fill, parser.fill = parser.fill, None
        fill(parser)
    own = {name for action in parser._actions for name in action.option_strings}
    below = [options_of(child) for child in subcommands(parser).values()]
    return {name for name in own.union(*below) if name.startswith("--")}


@pytest.fixture(scope="module")
def parser() -> argparse.ArgumentParser:
    return cli._parser()


def commands_in(page: Path) -> Iterator[tuple[str, list[str]]]:
    """The command lines of this program in a page's fenced blocks, with each block's language."""
    for language, block in _FENCE.findall(page.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            if _RUN in line and "COMMAND" not in line:
                argv = shlex.split(line.split(_RUN, 1)[1], comments=True)
                yield language, argv


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_command_lines_parse(page: Path, parser: argparse.ArgumentParser) -> None:
    for _, argv in commands_in(page):
        parser.parse_args(argv)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_options_in_the_text_exist(page: Path, parser: argparse.ArgumentParser) -> None:
    known = options_of(parser) | _OTHER_OPTIONS
    known |= {"--times", "--root", "--out", "--whole", "--only"}  # of the tests' own programs
    text = _FENCE.sub("", page.read_text())
    mentioned = {
        m
        for code in _IN_CODE.findall(text)
        for m in _OPTION.findall(code)
        if not code.startswith(_OTHER_PROGRAMS)
    }
    assert sorted(mentioned - known) == []


def test_the_page_on_the_command_line_mentions_every_command_and_option(
    parser: argparse.ArgumentParser,
) -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    for name, child in subcommands(parser).items():
        assert f"`{name}`" in text
        for action in subcommands(child):
            assert re.search(rf"{name} {action}\b|`{action}`", text), f"{name} {action}"
    assert sorted(o for o in options_of(parser) if o not in text and o != "--help") == []


@pytest.mark.slow
def test_the_examples_of_the_command_line_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "home"))
    for language, argv in commands_in(ROOT / "docs" / "cli.md"):
        if language == "bash":
            assert cli.main(argv) == 0, shlex.join(argv)


def test_the_examples_in_python_run(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    monkeypatch.chdir(ROOT)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    page = str(ROOT / "docs" / "python-api.md")
    assert doctest.testfile(page, module_relative=False, optionflags=flags).failed == 0


def test_the_example_in_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = [
        b
        for language, b in _FENCE.findall((ROOT / "README.md").read_text())
        if language == "python"
    ]
    exec(code, {})
    assert capsys.readouterr().out.count("Certificate(") == 2
