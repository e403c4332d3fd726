"""One sigma for all images: the level that all votes would choose, measured once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from ddrs_core.data import attach_dataset, load_dataset
from ddrs_core.errors import MismatchError
from ddrs_core.models import get_card
from ddrs_core.runs.argv import to_argv
from ddrs_core.runs.certify import tuned, tuning_files
from ddrs_core.runs.certify.config import CertifyConfig, Method
from ddrs_core.runs.certify.run import CertifyRun
from ddrs_core.runs.certify.tuned import best_level, find_training_images, tuning_levels
from ddrs_core.runs.certify.tuning import TUNING_RULE, tune_runs
from ddrs_core.runs.certify.tuning_files import find_tuning, read_scores
from ddrs_core.runs.cost import expected_votes, tuning_votes
from ddrs_core.runs.from_database import recorded_log, setting_results
from ddrs_core.runs.worker import record_run, work_on
from ddrs_core.smoothing import CertificationBudget, Grade, SmoothedClassifier, StopAtRadii
from ddrs_core.store import Store, open_store
from tests.data.layouts import digit_folders

CONFIG = CertifyConfig(
    "digits",
    "digits-gaussian-0.50",
    Method.TUNED,
    0.5,
    budget=CertificationBudget(n=200),
    limit=4,
    device="cpu",
)


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, one_thread: None) -> None:
    monkeypatch.setattr(tuned, "TUNING_IMAGES", 6)
    monkeypatch.setattr(tuning_files, "SHIPPED", tmp_path)
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "home"))


@pytest.fixture
def store(url: str) -> Store:
    return open_store(url)


@pytest.fixture
def votes(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The level of each image that votes are drawn for, from now on."""
    drawn: list[float] = []
    certify = SmoothedClassifier.certify_batch

    def counted(self, images, *, sigmas, **more):
        drawn.extend(sigmas)
        return certify(self, images, sigmas=sigmas, **more)

    monkeypatch.setattr(SmoothedClassifier, "certify_batch", counted)
    return drawn


def choose(config: CertifyConfig = CONFIG) -> float:
    run = CertifyRun(config)
    for _ in tune_runs([run]):
        pass
    assert run.config.tuned is not None
    return run.config.tuned


def exhaustive(config: CertifyConfig) -> float:
    """The best of all levels by runs over the training images, with all votes at each level."""
    _, indices = find_training_images(config)
    stop = None if config.budget.stop is None else TUNING_RULE
    budget = replace(config.budget, seed=-1, stop=stop)
    acr = []
    for level in tuning_levels(config.sigma):
        fixed = replace(config, method=Method.FIXED, sigma=level, budget=budget, limit=None)
        run = CertifyRun(replace(fixed, split="train", indices=tuple(indices)))
        found = [step.certificate for step in run.steps() if step.certificate is not None]
        acr.append(np.mean([c.radius if c.correct else 0.0 for c in found]))
    return tuning_levels(config.sigma)[int(np.argmax(acr))]


@pytest.mark.parametrize("n", [200, 1_500])
@pytest.mark.parametrize("stop", [None, StopAtRadii()], ids=["all", "adaptive"])
def test_the_level_is_that_of_an_exhaustive_run(n: int, stop: StopAtRadii | None) -> None:
    config = replace(CONFIG, budget=CertificationBudget(n=n, stop=stop))
    assert choose(config) == exhaustive(config)


def test_a_second_run_does_not_tune_again(votes: list[float]) -> None:
    level = choose()
    assert len(votes) == 12 * 6
    votes.clear()
    other_seed = replace(CONFIG, budget=replace(CONFIG.budget, seed=3), limit=2)
    assert choose() == choose(other_seed) == level
    assert not votes


@pytest.mark.parametrize(
    "change",
    [
        {"sigma": 0.4},
        {"model": "digits-macer-0.50"},
        *({"budget": replace(CONFIG.budget, **{k: v})} for k, v in [("n", 150), ("n0", 50)]),
        *({"budget": replace(CONFIG.budget, **{k: v})} for k, v in [("alpha", 0.01), ("seed", -1)]),
    ],
    ids=str,
)
def test_what_decides_the_level_is_measured_again(
    votes: list[float], change: dict[str, object]
) -> None:
    choose()
    votes.clear()
    choose(replace(CONFIG, **change))  # type: ignore[arg-type]
    assert len(votes) == 12 * 6


def test_other_pixels_are_measured_again(
    votes: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose()
    votes.clear()
    training = load_dataset("digits", "train")
    flipped = replace(training, images=[image.flip(-1) for image in training.tensors()[0]])
    monkeypatch.setattr(tuned, "open_for_model", lambda *_: flipped)
    choose()
    assert len(votes) == 12 * 6


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"acr": 0.', '"acr": 1.', 1),
        lambda text: "[]",
        lambda text: "\x00" + text,
    ],
    ids=["cut off", "a digit", "something else", "no text"],
)
def test_a_damaged_entry_is_measured_again(
    votes: list[float], tmp_path: Path, damage: Callable[[str], str]
) -> None:
    level = choose()
    (path,) = (tmp_path / "home" / "tuned").iterdir()
    whole = path.read_text()
    path.write_text(damage(whole))
    votes.clear()
    assert choose() == level
    assert len(votes) == 12 * 6
    assert path.read_text() == whole


def test_a_tuning_that_was_cut_off_goes_on(votes: list[float], tmp_path: Path) -> None:
    with closing(tune_runs([CertifyRun(CONFIG)])) as steps:
        next(step for _, step in steps if "6 of 16" in step.note)
    votes.clear()
    cut_off = choose()
    assert set(votes) == set(tuning_levels(0.5)[5:])
    (path,) = (tmp_path / "home" / "tuned").iterdir()
    path.unlink()
    assert choose() == cut_off


def test_a_kept_tuning_is_found_by_network_and_data_set(tmp_path: Path) -> None:
    level = choose()
    digest = get_card(CONFIG.model).digest
    found = find_tuning(digest, "digits")
    assert found is not None
    assert (found.tuned, found.images, found.n, found.n0) == (level, 6, 200, 100)
    assert best_level(found.scores) == level
    assert [score.sigma for score in found.of_votes(200)] == sorted(tuning_levels(0.5))
    for score in found.scores:
        shares = [share for _, share in score.certified]
        assert sorted(shares, reverse=True) == shares
        least = np.diff([r for r, _ in score.certified]) @ shares[1:]  # below the curve
        assert least <= score.acr
    assert find_tuning(digest, "cifar10") is None


def test_scores_of_an_earlier_version_are_used(votes: list[float], tmp_path: Path) -> None:
    level = choose()
    (path,) = (tmp_path / "home" / "tuned").iterdir()
    scores = [asdict(score) for score in read_scores(path)]
    for score in scores:
        del score["certified"]
    checksum = hashlib.sha256(json.dumps(scores).encode()).hexdigest()[:16]
    path.write_text(json.dumps({"scores": scores, "digest": checksum}))
    digest = get_card(CONFIG.model).digest
    assert find_tuning(digest, "digits") is None
    votes.clear()
    assert choose() == level
    assert not votes
    known = find_tuning(digest, "digits")
    assert known is not None
    assert known.tuned == level


def test_without_labelled_training_images_it_is_said(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = attach_dataset(str(digit_folders(tmp_path / "mine", 1))).name
    with pytest.raises(MismatchError, match="no training images, so no sigma can be tuned"):
        record_run(store, [replace(CONFIG, dataset=name)])
    unlabelled = replace(load_dataset("digits", "train"), labels=np.full(1297, -1))
    monkeypatch.setattr(tuned, "open_for_model", lambda *_: unlabelled)
    with pytest.raises(MismatchError, match="No training image of Handwritten digits has a label"):
        record_run(store, [CONFIG])


def test_the_cost_counts_the_tuning() -> None:
    fixed = replace(CONFIG, method=Method.FIXED)
    assert tuning_votes(CONFIG) == 200 * 16 * 300
    assert expected_votes(CONFIG, 4) == expected_votes(fixed, 4) + tuning_votes(CONFIG)
    assert tuning_votes(replace(CONFIG, tuned=0.3)) == tuning_votes(fixed) == 0


def test_a_recorded_run_keeps_its_level(
    store: Store, votes: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = record_run(store, [CONFIG, replace(CONFIG, method=Method.FIXED)])
    assert run.title == "digits-gaussian-0.50: tuned sigma from 0.5, fixed 0.5"
    with closing(work_on(store, run.id)) as steps:
        begun = list(takewhile(lambda step: step.done < 2, steps))
    said = [step.step.message.split(" ")[0] for step in begun if step.step and step.step.message]
    assert said == ["Tuning", "Tuned"]
    first, _ = (stored.certificate for stored in store.certificates(run.id))
    votes.clear()
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "elsewhere"))  # where nothing is remembered
    for _ in work_on(store, run.id):
        pass
    assert len(set(votes)) == 2  # the tuned sigma and that of the other setting
    found = [stored.certificate for stored in store.certificates(run.id, 0)]
    assert {(c.sigma, c.grade) for c in found} == {(first.sigma, Grade.UNCONDITIONAL)}
    results = setting_results(store.run(run.id), 0, found)
    assert results.title == f"{run.title} (tuned sigma {first.sigma:.4g})"
    assert (results.method, results.sigma, results.grade) == (
        "tuned",
        first.sigma,
        Grade.UNCONDITIONAL,
    )
    row = recorded_log(store, run).splitlines()[1].split("\t")
    assert {"0.5", "tuned", repr(first.sigma)} <= set(row)


def test_the_command_line_asks_for_the_tuning() -> None:
    argv = to_argv(replace(CONFIG, tuned=0.3))
    assert argv[argv.index("--method") + 1] == "tuned"
    assert argv[argv.index("--sigma") + 1] == "0.5"
    assert not any("0.3" in word for word in argv)
