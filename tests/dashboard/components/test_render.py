"""The HTML templates: whatever the values are, they stay text."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from jinja2 import UndefinedError, meta
from markupsafe import Markup

from ddrs_core.dashboard.components.progress import progress_bar
from ddrs_core.dashboard.components.render import ENVIRONMENT, render

HOSTILE = "\"'><script>alert(1)</script>"
TEMPLATES = ENVIRONMENT.list_templates()


class Hostile(str):
    """A value of whatever kind a template expects, which says the same in every place."""

    __slots__ = ("truth",)

    def __new__(cls, truth: bool) -> Hostile:
        made = super().__new__(cls, HOSTILE)
        made.truth = truth
        return made

    def __bool__(self) -> bool:
        return self.truth

    def __iter__(self) -> Iterator[Hostile]:  # type: ignore[override]
        yield from (self, self)

    def __getattr__(self, name: str) -> Hostile:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __contains__(self, part: object) -> bool:
        return self.truth

    def __call__(self, *args: object, **kwargs: object) -> Hostile:
        return self

    def __getitem__(self, key: object) -> Hostile:  # type: ignore[override]
        return self

    def __format__(self, spec: str) -> str:
        return HOSTILE

    def __lt__(self, other: object) -> bool:  # type: ignore[override]
        return self.truth

    __le__ = __gt__ = __ge__ = __lt__  # type: ignore[assignment]

    def __float__(self) -> float:
        return 0.5

    def __add__(self, other: object) -> Hostile:  # type: ignore[override]
        return self

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __add__  # type: ignore[assignment]


def variables(template: str) -> set[str]:
    """The values that a template asks for."""
    assert ENVIRONMENT.loader is not None
    source = ENVIRONMENT.loader.get_source(ENVIRONMENT, template)[0]
    return meta.find_undeclared_variables(ENVIRONMENT.parse(source))


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_escapes_every_value(template: str, truth: bool) -> None:
    values = {name: Hostile(truth) for name in variables(template)}
    shown = render(template, **values)
    assert "<script>" not in shown
    assert "\"'" not in shown  # else an attribute would end there
    if truth and values:
        assert "&lt;script&gt;" in shown


@pytest.mark.parametrize("template", TEMPLATES)
def test_no_template_switches_escaping_off(template: str) -> None:
    assert ENVIRONMENT.loader is not None
    source = ENVIRONMENT.loader.get_source(ENVIRONMENT, template)[0]
    assert "safe" not in source
    assert "autoescape" not in source
    assert "xmlattr" not in source  # escapes values but not names


def test_a_missing_value_is_an_error_and_markup_is_kept() -> None:
    with pytest.raises(UndefinedError, match="failed"):
        render("progress.html", title="", done=None)
    assert "<b>5</b>" in progress_bar([], title="5")
    assert "<b>&lt;b&gt;</b>" in progress_bar(["waiting"], title="<b>")
    assert "<b>bold</b>" in progress_bar([Markup("<b>bold</b>")])


def test_a_bar_says_how_far_it_is() -> None:
    assert "progressbar" not in progress_bar(["Press Run."])
    bar = progress_bar(["running", "", "3 s left"], 0.256, label="a job")
    assert "running · 3 s left" in bar
    assert 'aria-valuenow="26"' in bar
    assert "width:25.6%" in bar
