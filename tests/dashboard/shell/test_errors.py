"""What comes from outside is shown as it is, and names no place but its own."""

from __future__ import annotations

import pytest

from ddrs_core.dashboard.library.import_checkpoint import file_name
from ddrs_core.dashboard.shell.errors import literal


@pytest.mark.parametrize(
    "text",
    ["![x](http://elsewhere/x.png)", "$a^2$", ":red[b]", "<b>c</b>", "# d", "- e", "_f_ `g`", "\\"],
)
def test_markup_is_escaped_and_nothing_is_lost(text: str) -> None:
    shown = literal(text)
    assert shown != text
    assert shown.replace("\\", "") == text.replace("\\", "")
    for place, sign in enumerate(shown):
        if sign in "![]()$:<>#_`":
            assert shown[place - 1] == "\\"


def test_a_line_end_in_a_name_begins_nothing() -> None:
    for end in ("\n\n", "\r", "\r\n  "):
        assert literal(f"a{end}1. b") == "a 1. b"


def test_plain_words_stay_as_they_are() -> None:
    sentence = "The picture 'my cat.png' is empty; at most 20 MB are read, 50 % of it."
    assert literal(sentence) == sentence


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("model.pth", "model.pth"),
        ("noise_0.50 (copy).pth.tar", "noise_0.50 (copy).pth.tar"),
        ("../../etc/passwd", "passwd"),
        ("C:\\models\\mine.pt", "mine.pt"),
        ("..", "upload"),
        ("a/", "upload"),
        ("", "upload"),
        ("\0\n.pth", "__.pth"),
        (".hidden", "hidden"),
    ],
)
def test_an_uploads_name_becomes_a_files_name(given: str, kept: str) -> None:
    assert file_name(given) == kept


def test_a_long_name_fits_every_file_system_and_keeps_its_end() -> None:
    kept = file_name("😀" * 300 + "ü.safetensors")
    assert len(kept.encode()) <= 255
    assert kept.endswith("ü.safetensors")
