"""The explorer's view in the URL: everything travels, nothing hostile gets through."""

from __future__ import annotations

import math
import shlex
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddrs_core.cli import main
from ddrs_core.dashboard.compare.image import answer_text
from ddrs_core.dashboard.compare.texts import sets_html, table_html, table_note
from ddrs_core.dashboard.components.badge import grade_badge
from ddrs_core.dashboard.explorer import picture_picker
from ddrs_core.dashboard.explorer.beside import difference
from ddrs_core.dashboard.explorer.exports import command_line, python_snippet
from ddrs_core.dashboard.explorer.jobs import certify_request, sigma_request
from ddrs_core.dashboard.explorer.link import Pin, parse_pin, parse_query
from ddrs_core.dashboard.explorer.texts import abstention_text, certificate_html, comparison_text
from ddrs_core.dashboard.explorer.view import (
    AUTO_PACE,
    ExplorerView,
    default_view,
    started_at,
    with_parameters,
)
from ddrs_core.data import EXTENSIONS
from ddrs_core.runs.results.results import from_certificates
from ddrs_core.runs.results.tables import comparison_table
from ddrs_core.smoothing import (
    ABSTAIN,
    AscentConfig,
    Bound,
    Certificate,
    Grade,
    get_preset,
    list_presets,
)


def views() -> list[ExplorerView]:
    start = default_view()
    return [
        start,
        replace(start, index=17).with_budget(
            seed=5, n=1000, n0=50, alpha=0.05, bound=Bound.ONE_SIDED
        ),
        replace(start, sigma_0=0.1234567891, device="cpu", pace="1").with_budget(alpha=1e-7),
        replace(start, pace="max"),
        *(replace(start, preset=p.name, config=p.config, sigma_0=0.2) for p in list_presets()),
        replace(
            start,
            config=with_parameters(start.config, {"votes": 900, "rounds": 2, "sigma_max": 1}),
        ),
        parse_query({"preset": "guarded", "lr": "0.007", "steps": "9", "pace": "30"})[0],
        started_at(start, 2.0),
        replace(start, sigma_0=0.1, config=replace(start.config, bounds=(1.5, 2.5))),
        replace(start, sigma_0=2.0, config=replace(start.config, bounds=(0.001, 0.002))),
    ]


@pytest.mark.parametrize("view", views())
def test_a_view_survives_the_url(view: ExplorerView) -> None:
    again, problems = parse_query(view.to_query())
    assert problems == []
    assert again == view


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"dataset": "digit"}, "Did you mean 'digits'"),
        ({"dataset": "../../etc/passwd"}, "Available: digits"),
        ({"model": "<script>alert(1)</script>"}, "no model"),
        ({"image": "500"}, "0 to 499"),
        ({"image": "-1"}, "whole number"),
        ({"image": "1e999"}, "whole number"),
        ({"image": "x" * 10_000}, "not a number"),
        ({"sigma0": "0"}, "above 0"),
        ({"sigma0": "nan"}, "finite"),
        ({"alpha": "1"}, "below 1"),
        ({"n": "5"}, "too small"),
        ({"n": "99999999999"}, "whole number"),
        ({"device": "cuda:77"}, "GPU"),
        ({"device": "toaster"}, "device"),
        ({"preset": "gaurded"}, "Did you mean 'guarded'"),
        ({"bound": "three-sided"}, "bound"),
        ({"pace": "29"}, "no pace"),
        ({"rounds": "0"}, "at least 1"),
        ({"rounds": "2.5"}, "whole number"),
        ({"regret": "-1"}, "at least 0"),
        ({"sigma_min": "3"}, "Smallest sigma, 3, must be below"),
    ],
)
def test_bad_links_get_a_sentence_and_the_default(query: dict[str, str], words: str) -> None:
    view, problems = parse_query(query)
    assert view == default_view().with_budget(bound=view.budget.bound)
    assert len(problems) == 1
    assert words in problems[0]
    assert len(problems[0]) < 400


@pytest.mark.parametrize("pinned", views())
@pytest.mark.parametrize("shown", views()[:6:5])
def test_a_pinned_run_survives_the_url(pinned: ExplorerView, shown: ExplorerView) -> None:
    pin = Pin(replace(pinned, device=shown.device, pace=AUTO_PACE), certified=True)
    again = parse_pin({"pin": pin.text_beside(shown)}, shown)
    assert again is not None
    assert replace(again, view=replace(again.view, pace=AUTO_PACE)) == pin
    assert bool(difference(pin.view, shown)) == (pin.view != replace(shown, pace=AUTO_PACE))


def test_a_broken_pin_pins_nothing() -> None:
    assert parse_pin({"pin": "model=%00&image=-7"}, default_view()) is None


def test_a_link_from_before_bounds_had_another_default_keeps_the_one_of_its_time() -> None:
    assert default_view().budget.bound is Bound.TWO_SIDED
    assert parse_query({})[0] == default_view()
    assert parse_query({"job": "0"})[0] == default_view()
    view, problems = parse_query({"image": "58", "n": "1000"})
    assert problems == []
    assert view.budget.bound is Bound.ONE_SIDED


def test_the_largest_sigma_follows_the_start_until_somebody_chooses_it() -> None:
    view, _ = parse_query({"sigma0": "0.2"})
    assert view.config == get_preset("surface").at(0.2)
    assert view.config.bounds == (0.05, 0.44)
    assert "sigma_max" not in view.to_query()
    own, _ = parse_query({"sigma0": "0.2", "sigma_max": "0.8"})
    assert own.config.bounds == (0.05, 0.8)
    assert started_at(own, 0.4).config.bounds == (0.05, 0.8)
    assert started_at(view, 0.4).config.bounds == pytest.approx((0.05, 0.88))


def test_the_surface_fit_is_the_default_and_other_links_keep_their_strategy() -> None:
    assert parse_query({})[0].preset == default_view().preset == "surface"
    ascent, problems = parse_query({"preset": "guarded", "lr": "0.01"})
    assert problems == []
    assert isinstance(ascent.config, AscentConfig)
    assert ascent.config.lr == 0.01
    assert list_presets()[0].name == "surface"


def test_the_pace_suits_the_number_of_steps_unless_somebody_chooses_it() -> None:
    speeds = {
        preset: parse_query({"preset": preset})[0].speed
        for preset in ("surface", "guarded", "authors-package")
    }
    assert 1 < speeds["surface"] < 2.5  # a person sees each round
    assert speeds["guarded"] == 20
    assert speeds["authors-package"] == 30
    assert parse_query({"pace": "3"})[0].speed == 3
    assert parse_query({"pace": "max"})[0].speed == math.inf


def test_one_bad_part_does_not_spoil_the_others() -> None:
    view, problems = parse_query({"image": "12", "sigma0": "no", "seed": "9"})
    assert (view.index, view.budget.seed, view.sigma_0) == (12, 9, default_view().sigma_0)
    assert len(problems) == 1


def test_the_command_line_names_what_differs_from_the_preset() -> None:
    view, _ = parse_query({"preset": "guarded"})
    view = replace(view, config=with_parameters(view.config, {"lr": 0.5}), index=3)
    fixed, chosen = (shlex.split(line) for line in command_line(view).splitlines())
    assert fixed[:4] == chosen[:4] == ["python", "-m", "ddrs_core", "certify"]
    assert "--lr" not in fixed
    assert chosen[chosen.index("--lr") + 1] == "0.5"
    assert get_preset(view.preset).changes(view.config, view.sigma_0) == {"lr": 0.5}
    assert get_preset(view.preset).config != view.config


def test_the_python_snippet_runs_and_gives_the_certificate(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = replace(default_view(), index=4).with_budget(n=100, n0=10)
    view = replace(view, config=with_parameters(view.config, {"votes": 600, "rounds": 2}))
    exec(compile(python_snippet(view), "snippet", "exec"), {})
    printed = capsys.readouterr().out
    frames = list(sigma_request(view).start())
    chosen = frames[-1].step.chosen
    *_, last = certify_request(view, chosen, Grade.CONDITIONAL).start()
    shown = last.certificate
    assert f"radius={shown.radius!r}" in printed
    assert f"counts={shown.counts!r}" in printed
    assert f"grade={shown.grade!r}" in printed


def certificate(**changes: object) -> Certificate:
    made = Certificate(
        "digits",
        3,
        1,
        1,
        0.54321,
        0.5,
        Grade.CONDITIONAL,
        (10, 990),
        100,
        1000,
        0.001,
        Bound.ONE_SIDED,
        0.9789,
        0,
        "fp32",
        "abc",
        0.5,
        1,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_card_rounds_down_and_escapes() -> None:
    card = certificate_html(certificate(), "<b>", ("zero", "<i>one</i>"))
    assert "R = 0.543<" in card
    assert card.count(grade_badge(Grade.CONDITIONAL)) == 1
    assert "<b>" not in card.replace('<div class="ddrs', "")
    assert "<i>" not in card


def test_abstention_is_explained() -> None:
    close = certificate(prediction=ABSTAIN, radius=0.0, counts=(480, 520), p_lower=0.48)
    assert "More samples might settle it" in abstention_text(close, ("a", "b"))
    lost = certificate(prediction=ABSTAIN, radius=0.0, counts=(700, 300), p_lower=0.25)
    assert "fewer than class a (70.0%)" in abstention_text(lost, ("a", "b"))
    assert "No class" not in abstention_text(close, ("a", "b"))
    assert "first 100 samples" in abstention_text(lost, ("a", "b"))


@given(
    st.lists(st.integers(0, 400), min_size=3, max_size=3).filter(any),
    st.integers(0, 2),
    st.sampled_from(Bound),
)
def test_what_is_said_of_an_abstention_is_what_the_votes_say(
    counts: list[int], candidate: int, bound: Bound
) -> None:
    """Two-sided bounds certify a plurality, so one half has no meaning there; and another class
    than the one that was chosen beforehand may have most of the votes."""
    n = sum(counts)
    abstained = certificate(
        prediction=ABSTAIN,
        radius=0.0,
        counts=tuple(counts),
        candidate=candidate,
        n=n,
        n0=100,
        bound=bound,
        p_lower=0.0,
    )
    said = abstention_text(abstained, ("a", "b", "c"))
    if "No class has more than half" in said:
        assert max(counts) <= n / 2
    if "half" in said:
        assert bound is Bound.ONE_SIDED
    ahead = "abc"[int(np.argmax(counts))]
    if max(counts) > counts[candidate]:
        assert f"fewer than class {ahead}" in said or counts.count(max(counts)) > 1
    else:
        assert "fewer than" not in said


def test_the_comparison_page_counts_and_names_images_that_cannot_be_read() -> None:
    failed = certificate(
        prediction=ABSTAIN,
        radius=0.0,
        counts=(0, 0),
        n=0,
        failure="The picture '<b>/3.png' is bad.",
    )
    results = from_certificates([certificate(), failed], id="x", title="mine")
    page = sets_html([results]) + table_html(comparison_table([results]), "results")
    assert "1 of 2 images could not be read; it counts as not certified." in page
    assert "&lt;b&gt;/3.png" in page
    assert "2 (1 not readable)" in page
    assert "not as abstentions" in table_note(comparison_table([results]), [results])
    said = answer_text(results.rows[1], ())
    assert "could not be read" in said
    assert "abstains" not in said


def test_the_uploader_takes_what_the_command_line_reads() -> None:
    assert {f".{ending}" for ending in picture_picker._TYPES} == set(EXTENSIONS) >= {".pbm"}


def test_the_comparison_never_flatters() -> None:
    start, better = certificate(radius=0.25), certificate(radius=0.5)
    abstained = certificate(prediction=ABSTAIN, radius=0.0)
    assert "2.00 times" in comparison_text(start, better)
    assert "0.50 times" in comparison_text(better, start)
    assert "loses it" in comparison_text(start, abstained)
    assert "certifies nothing" in comparison_text(abstained, better)
    assert "different classes" in comparison_text(start, replace(better, prediction=0))


@pytest.mark.parametrize(
    ("preset", "changes"),
    [("guarded", {"steps": 5, "lr": 0.07}), ("surface", {"votes": 600, "rounds": 2})],
)
def test_the_command_lines_give_the_certificates_of_the_page(
    preset: str, changes: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    view, _ = parse_query({"preset": preset, "image": "11"})
    view = started_at(view, 0.37).with_budget(n=200, n0=10, seed=2)
    view = replace(view, config=with_parameters(view.config, changes))
    chosen = list(sigma_request(view).start())[-1].step.chosen
    expected = [
        list(certify_request(view, sigma, grade).start())[-1].certificate
        for sigma, grade in ((0.37, Grade.UNCONDITIONAL), (chosen, Grade.CONDITIONAL))
    ]
    for line, certificate in zip(command_line(view).splitlines(), expected, strict=True):
        assert main(shlex.split(line)[3:]) == 0
        header, row = capsys.readouterr().out.splitlines()[:2]
        found = dict(zip(header.split("\t"), row.split("\t"), strict=True))
        assert found["radius"] == repr(certificate.radius)
        assert float(found["sigma"]) == certificate.sigma
