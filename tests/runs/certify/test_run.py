"""A run as a generator: what is missing is made, and comes out as if nothing had been missing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from torch import Tensor

from ddrs_core.data import attach_dataset, remove_dataset
from ddrs_core.errors import DDRSError, InvalidParameterError
from ddrs_core.models import Journal, NoisyForward
from ddrs_core.models.inference import journal
from ddrs_core.models.inference.journal import Answer
from ddrs_core.runs.certify.config import CertifyConfig, Method
from ddrs_core.runs.certify.run import BLOCK, CertifyRun, images_together, interleave
from ddrs_core.smoothing import (
    AscentConfig,
    Bound,
    Certificate,
    CertificationBudget,
    SearchConfig,
    StopAtRadii,
    StopAtRelativeWidth,
)
from tests.data.layouts import digit_folders

FIXED = CertifyConfig(
    "digits",
    "digits-gaussian-0.50",
    Method.FIXED,
    0.5,
    budget=CertificationBudget(n=300),
    limit=70,
)
SEARCH = SearchConfig(steps=2, samples=20, guard=30)
CONFIGS = [
    FIXED,
    replace(FIXED, method=Method.DS, strategy=SEARCH),
    replace(FIXED, method=Method.DS, strategy=AscentConfig(steps=2, samples=2), limit=40),
    replace(FIXED, budget=CertificationBudget(n=3000, stop=StopAtRadii((0.0, 0.5))), limit=40),
    replace(
        FIXED,
        budget=CertificationBudget(n=3000, stop=StopAtRelativeWidth(0.2)),
        indices=(5, 3, 400),
    ),
]


def certificates(
    run: CertifyRun, done: set[int] | None = None, kept: Journal | None = None
) -> dict[int, Certificate]:
    """By position in the plan, without the time it took."""
    found = {}
    for first in run.blocks:
        for step in run.block(first, done or set(), kept):
            if step.certificate is not None:
                assert step.position not in found
                found[step.position] = replace(step.certificate, seconds=0.0)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS)
def test_whatever_is_there_already_the_rest_is_the_same(config: CertifyConfig) -> None:
    run = CertifyRun(config)
    whole = certificates(run)
    assert sorted(whole) == list(range(len(run.plan)))
    assert [whole[position].index for position in sorted(whole)] == run.plan
    last = len(run.plan) - 1
    for done in ({0}, {last}, set(range(last)), set(range(0, last, 3)), set(range(BLOCK + 1))):
        rest = certificates(run, done)
        assert rest == {position: whole[position] for position in whole if position not in done}
    assert certificates(run, set(whole)) == {}


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Forty digits, of which numbers 9 and 33 cannot be read."""
    root = digit_folders(tmp_path_factory.mktemp("damaged"), damaged=("2/1.png", "8/1.png"))
    name = attach_dataset(root, name="damaged-digits").name
    yield name
    remove_dataset(name)


@pytest.mark.parametrize("config", CONFIGS[:4])
def test_an_image_that_cannot_be_read_is_a_result(config: CertifyConfig, damaged: str) -> None:
    run = CertifyRun(replace(config, dataset=damaged, limit=None))
    whole = certificates(run)
    assert sorted(whole) == list(range(40))
    failed = {position: c.failure for position, c in whole.items() if c.failure}
    assert sorted(failed) == [9, 33]
    assert "2/1.png" in failed[9]
    assert whole[9].correct is False
    assert not whole[9].abstained
    assert (whole[9].prediction, whole[9].n, whole[9].index, whole[9].label) == (-1, 0, 9, 2)
    assert sum(bool(c.correct) for c in whole.values()) > 20
    for done in ({9}, set(range(9)), set(whole) - {33}, set(range(33))):
        rest = certificates(run, done)
        assert rest == {position: whole[position] for position in whole if position not in done}


def test_a_run_of_nothing_but_damage_ends(tmp_path: Path) -> None:
    root = digit_folders(tmp_path / "wrecks", 1, [f"{digit}/0.png" for digit in range(1, 10)])
    name = attach_dataset(root).name
    config = replace(CONFIGS[1], dataset=name, indices=(1, 2, 3), limit=None)
    assert all(c.failure for c in certificates(CertifyRun(config)).values())
    remove_dataset(name)


class _KilledError(BaseException):
    """Ends a session as a kill does: nothing is written any more."""


@pytest.mark.parametrize(
    "change",
    [
        {"method": Method.DS, "strategy": SEARCH},
        {"method": Method.DS, "strategy": AscentConfig(steps=6, samples=2, guard=20, average=0.5)},
        {"budget": CertificationBudget(n=600)},
        {"budget": CertificationBudget(n=2000, stop=StopAtRadii((0.0, 0.5)))},
    ],
)
def test_a_run_that_is_always_killed_ends_and_asks_the_network_nothing_twice(
    change: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = 0
    evaluate = NoisyForward._evaluate

    def counted(self: NoisyForward, x: Tensor) -> Tensor:
        nonlocal passes
        passes += len(x) if self is run.smoothed.forward else 0  # not of an earlier test's job
        return evaluate(self, x)

    # Batches so small that one question takes several, of which some are under way at a kill.
    config = replace(FIXED, batch_size=64, limit=6, **change)  # type: ignore[arg-type]
    run = CertifyRun(config)
    monkeypatch.setattr(NoisyForward, "_evaluate", counted)
    monkeypatch.setattr(journal, "_WRITE_SECONDS", 0.0)
    monkeypatch.setattr(journal, "REPORT_SECONDS", 0.0)
    whole = certificates(run)
    undisturbed, passes = passes, 0
    assert undisturbed
    found: dict[int, Certificate] = {}
    put, alive, kills, path = Journal.put, 0, 0, tmp_path / "answers"

    def dying(self: Journal, name: str, answer: Answer) -> None:
        nonlocal alive
        put(self, name, answer)
        alive += 1
        if alive % 4 == 0:
            raise _KilledError

    monkeypatch.setattr(Journal, "put", dying)
    while len(found) < len(whole):
        try:
            for first in run.blocks:
                for step in run.block(first, set(found), Journal(path)):
                    if step.certificate is not None:
                        assert step.position not in found
                        found[step.position] = replace(step.certificate, seconds=0.0)
        except _KilledError:
            kills += 1
            assert kills < 200
    assert found == whole
    assert kills >= 3
    if config.strategy is not None:  # nothing is lost but batches that were under way
        assert passes <= undisturbed + kills * 64 * (2 + (os.cpu_count() or 1))
    assert not path.exists()


def test_answers_to_other_questions_and_damaged_ones_are_not_used(tmp_path: Path) -> None:
    config = replace(FIXED, method=Method.DS, strategy=SEARCH, limit=4)
    mine, other = (
        CertifyRun(config),
        CertifyRun(replace(config, budget=replace(config.budget, seed=1))),
    )
    path = tmp_path / "answers"
    kept = Journal(path)
    for _ in zip(range(2), mine.block(0, (), kept), strict=False):
        kept.write()
    text = path.read_bytes()
    assert text.count(b"\n") > 2
    assert certificates(other, kept=Journal(path)) == certificates(other)
    for damaged in (
        text[:-20],
        text[:-20] + b"\xff\x00{}\n[]\n",
        text.replace(b"int64", b"O"),
        b"",
    ):
        path.write_bytes(damaged)
        assert certificates(mine, kept=Journal(path)) == certificates(mine)


def test_where_answers_cannot_be_kept_a_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    run, kept = CertifyRun(replace(FIXED, limit=4)), Journal(tmp_path / "file" / "answers")
    kept.begin("x")
    kept.put("a", Answer("", 1, 1, ()))
    kept.write()
    assert len(certificates(run, kept=kept)) == 4


def test_several_settings_grow_together() -> None:
    runs = [CertifyRun(CONFIGS[0])]
    runs.append(CertifyRun(CONFIGS[1], like=runs[0]))
    assert runs[1].smoothed is runs[0].smoothed
    order = [
        (step.position // BLOCK, number)
        for number, step in interleave(runs, [(), ()])
        if step.certificate is not None
    ]
    assert order == sorted(order)
    assert len(order) == 140


def test_votes_are_counted_as_they_are_drawn() -> None:
    run = CertifyRun(replace(FIXED, limit=5))
    steps = list(run.steps())
    assert sum(step.votes for step in steps) == 5 * (300 + FIXED.budget.n0)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_configuration_survives_json(config: CertifyConfig) -> None:
    assert CertifyConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_configurations_of_earlier_versions_are_read_and_written_as_before() -> None:
    stored = {
        "dataset": "digits",
        "model": "digits-gaussian-0.50",
        "method": "ds",
        "sigma": 0.5,
        "strategy": {
            "steps": 6,
            "samples": 200,
            "ratio": 1.12,
            "bounds": [0.05, 0.75],
            "guard": 500,
        },
        "bank": "",
        "n0": 100,
        "n": 3000,
        "until": {"radii": [0.0, 0.5], "reach": 0.8},
        "alpha": 0.01,
        "bound": "two-sided",
        "split": "test",
        "skip": 1,
        "start": 0,
        "limit": 70,
        "indices": None,
        "precision": "auto",
        "device": "cpu",
        "seed": 3,
        "batch_size": None,
    }
    config = CertifyConfig.from_dict(stored)
    assert config.budget == CertificationBudget(
        100, 3000, 0.01, Bound.TWO_SIDED, StopAtRadii((0.0, 0.5), max_cap_share=0.8), seed=3
    )
    assert config.strategy == SearchConfig(bounds=(0.05, 0.75))
    assert json.loads(json.dumps(config.to_dict())) == stored
    before = {name: value for name, value in stored.items() if name != "bound"}
    assert CertifyConfig.from_dict(before).budget.bound is Bound.ONE_SIDED


@pytest.mark.parametrize(
    "change",
    [
        {"method": "fixd"},
        {"until": {"radii": []}},
        {"n": 3},
        {"sigma": -1},
        {"surprise": 1},
        {"strategy": {"bounds": [1, 2], "ratio": 1.1, "what": 2}},
    ],
)
def test_a_damaged_configuration_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(DDRSError):
        CertifyConfig.from_dict({**FIXED.to_dict(), **change})
    with pytest.raises(InvalidParameterError):
        CertifyConfig.from_dict({})


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_the_smaller_the_first_look_the_more_images_share_batches(kind: str) -> None:
    sizes = [images_together(CertificationBudget(n=n), kind) for n in (1, 100, 1000, 10_000, 10**6)]
    assert sizes == sorted(sizes, reverse=True)
    assert all(BLOCK % size == 0 for size in sizes)
    assert sizes[0] == BLOCK
    assert sizes[-1] == 1
    assert images_together(CertificationBudget(stop=StopAtRadii()), kind) >= 4
