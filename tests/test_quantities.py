"""Counts with their nouns, and durations."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ddrs_core
from ddrs_core.quantities import counted, duration, noun

_SECONDS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
_LIMITS = {"s": 60, "min": 60, "h": 24}  # what the next larger unit holds


def _parts(text: str) -> list[tuple[int, str]]:
    return [(int(n.replace(",", "")), unit) for n, unit in re.findall(r"([\d,]+) ([a-z]+)", text)]


def _value(text: str) -> int:
    return sum(n * _SECONDS[unit] for n, unit in _parts(text))


near_borders = st.sampled_from([60, 600, 3_600, 86_400, 10 * 86_400]).flatmap(
    lambda border: st.floats(0.9 * border, 1.1 * border)
)
times = st.one_of(st.floats(0, 1e7), near_borders)


@given(times)
def test_a_duration_never_fills_a_unit_and_is_near_the_truth(seconds: float) -> None:
    said = duration(seconds)
    for n, unit in _parts(said):
        assert n < _LIMITS.get(unit, float("inf")), said
    finest = _SECONDS[_parts(said)[-1][1]]
    assert abs(_value(said) - seconds) <= finest / 2 + 0.5


@given(times, times)
def test_a_longer_time_is_never_said_to_be_shorter(a: float, b: float) -> None:
    assert _value(duration(min(a, b))) <= _value(duration(max(a, b)))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (120, "2 min"),
        (200, "3 min 20 s"),
        (599.7, "10 min"),
        (2_110, "35 min"),
        (3_599, "1 h 00 min"),
        (7_500, "2 h 05 min"),
        (86_399, "1 d 0 h"),
        (100_000, "1 d 4 h"),
    ],
)
def test_durations_for_people(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_noun_follows_its_count() -> None:
    assert counted(1, "image") == "1 image"
    assert counted(0, "image") == "0 images"
    assert counted(12_000, "forward pass") == "12,000 forward passes"
    assert [
        noun(2, word) for word in ("radius", "epoch", "batch", "noisy copy", "class", "day")
    ] == [
        "radii",
        "epochs",
        "batches",
        "noisy copies",
        "classes",
        "days",
    ]


_NOUNS = (
    "abstentions|answers|arrivals|attacks|attempts|balls|batches|bytes|cells|certificates|"
    "certifications|channels|classes|columns|computations|copies|ends|epochs|files|folders|hours|"
    "images|jobs|labels|levels|lines|losses|members|minutes|models|names|numbers|orders|pairs|"
    "parts|passes|places|points|processes|queries|radii|rows|runs|samples|seconds|sets|settings|"
    "sigmas|starts|steps|tensors|threads|tries|visitors|votes|weights|workers"
)
_ADJECTIVES = (
    "backward|certification|class|different|fixed|forward|fresh|memory|noise|noisy|of|other|radius|"
    "test|the|these|training"
)
_COUNT_AND_NOUN = re.compile(rf"(\*\*|</?b>)? (?:(?:{_ADJECTIVES}|and) )*(?:{_NOUNS})\b")
_FIXED_NAME = re.compile(r"_?[A-Z][A-Z0-9_]*( [-+*/>]+ \d+)?")  # a constant of several
_NO_COUNT = re.compile(  # what is known not to be one, or to be several
    r"num_classes|architecture|\bname\b|title|\bmodel\b|\bpath\b|shape|size\b|share|_WHY|PREFIX|"
    r"^counted\(|^noun\(|shown|html|normalization|torch|round_down|splits|files\[0\]|_SPECIAL|label_list|"
    r"^len\(only\)$|layout\.classes"
)


def _bare_counts(source: str) -> Iterator[str]:
    """f-strings that put a number before a plural noun without asking how many."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, after in zip(node.values, node.values[1:], strict=False):
            if not isinstance(value, ast.FormattedValue) or not isinstance(after, ast.Constant):
                continue
            expression = ast.unparse(value.value)
            fractional = ast.unparse(value.format_spec) if value.format_spec else ""
            if re.search(r"%|\.[1-9]f", fractional) or _FIXED_NAME.fullmatch(expression):
                continue
            if _COUNT_AND_NOUN.match(str(after.value)) and not _NO_COUNT.search(expression):
                yield f"line {value.lineno}: {{{expression}}}{str(after.value)[:40]}"


def _bare_counts_of_template(source: str) -> Iterator[str]:
    """The same in a template: ``{{ count }} images``."""
    for expression, after in re.findall(r"\{\{-?(.*?)-?\}\}([^{]*)", source):
        known = re.search(r"\| (counted|noun)\(|%|\.[1-9]f", expression)
        if not known and _COUNT_AND_NOUN.match(after) and not _NO_COUNT.search(expression):
            yield f"{{{{{expression}}}}}{after[:40]}"


def test_no_text_puts_a_count_before_a_plural_by_hand() -> None:
    """Else it says "1 images" some day: ``counted`` and ``noun`` know better."""
    package = Path(ddrs_core.__file__).parent
    files = [*package.rglob("*.py"), *(package.parent / "pages").glob("*.py")]
    found = [f"{path}: {text}" for path in files for text in _bare_counts(path.read_text("utf-8"))]
    for path in package.rglob("*.html"):
        found += [f"{path}: {text}" for text in _bare_counts_of_template(path.read_text("utf-8"))]
    assert not found, "\n".join(found)


def test_the_search_for_plurals_sees_them() -> None:
    assert list(_bare_counts("f'{count:,} noisy copies at {sigma:g}'"))
    assert list(_bare_counts("f'<b>{len(jobs)}</b> jobs of other visitors'"))
    assert not list(_bare_counts("f'{counted(count, \"noisy copy\")} at {sigma:g}'"))
    assert list(_bare_counts_of_template("<b>{{ count | number(',') }}</b> noisy copies"))
    assert not list(_bare_counts_of_template("{{ count | counted('noisy copy') }} of images"))
