"""Each example shows what its sentence says, by certificates that hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ddrs_core.dashboard.explorer.examples import EXAMPLES, Example, example_of, stored_run
from ddrs_core.dashboard.explorer.jobs import sigma_request
from ddrs_core.dashboard.explorer.link import parse_query
from ddrs_core.dashboard.explorer.plain import from_plain, to_plain
from ddrs_core.dashboard.explorer.view import default_view
from ddrs_core.models import get_card
from ddrs_core.smoothing import Certificate, Grade, VoteProgress

_SHOWS: dict[str, Callable[[Certificate, Certificate], bool]] = {
    "gains-most": lambda start, answer: (
        answer.sigma < start.sigma and answer.radius > 1.5 * start.radius > 0
    ),
    "easy": lambda start, answer: start.radius > 1 and answer.radius < 1.1 * start.radius,
    "too-little-noise": lambda start, answer: (
        max(start.counts) == start.n
        and start.radius == pytest.approx(start.radius_cap)
        and start.radius < 3.2 * start.sigma
        and answer.radius > 2 * start.radius
    ),
    "too-much-noise": lambda start, answer: (
        max(start.counts) < start.n / 2 and answer.radius > 1.5 * start.radius
    ),
    "abstains": lambda start, _: start.abstained,
    "misled": lambda start, answer: answer.radius < 0.9 * start.radius,
    "contradiction": lambda start, answer: (
        start.prediction != answer.prediction and min(start.radius, answer.radius) > 0.2
    ),
}


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=lambda example: example.name)
def test_an_example_shows_what_it_says(example: Example) -> None:
    view, run = example.view, stored_run(example.name)
    start, answer = run.at_start[-1].certificate, run.at_answer[-1].certificate
    assert start is not None
    assert answer is not None
    assert _SHOWS[example.name](start, answer)
    correct_at_start = example.name != "abstains"
    assert start.correct == correct_at_start
    for made, sigma, grade in (
        (start, view.sigma_0, Grade.UNCONDITIONAL),
        (answer, run.frames[-1].step.chosen, Grade.CONDITIONAL),
    ):
        assert made.radius == made.recompute_radius()
        assert (made.sigma, made.grade, made.bound) == (sigma, grade, view.budget.bound)
        assert (made.n, made.n0, made.alpha) == (view.budget.n, view.budget.n0, view.budget.alpha)
        assert (made.index, made.label) == (view.index, view.true_label)
        assert get_card(view.model).digest.startswith(made.model)
    assert run.curve.copies is not None
    assert run.curve.curve.n == run.curve.curve.target
    assert parse_query({"example": example.name}) == (view, [])
    assert example_of(view) is example


def test_the_explorer_opens_on_an_example_that_a_run_repeats() -> None:
    view = default_view()
    example = example_of(view)
    assert example is not None
    *_, last = sigma_request(view).start()
    assert last.step.chosen == pytest.approx(stored_run(example.name).frames[-1].step.chosen, 0.1)


def test_an_example_that_does_not_exist_is_a_problem_in_words() -> None:
    view, (said,) = parse_query({"example": "gains-mots"})
    assert view == default_view()
    assert "Did you mean 'gains-most'" in said


def test_stored_snapshots_come_back() -> None:
    last = stored_run("easy").at_start[-1]
    again = from_plain(VoteProgress, to_plain(last))
    assert again == last
