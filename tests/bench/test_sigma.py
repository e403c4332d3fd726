"""The regret of sigma strategies: on known radius curves, and from files that were cut off."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ddrs_core.bench import sigma as bench
from ddrs_core.bench import sigma_choices
from ddrs_core.bench.sigma import SigmaComparison, bench_sigma
from ddrs_core.bench.sigma_choices import choose_best, default_presets, level_range, strategies_at
from ddrs_core.bench.sigma_log import BenchLog, BenchSetup, ImageOutcomes, Outcome
from ddrs_core.bench.sigma_report import SigmaBench, holm, mean_regrets, summarize_bench
from ddrs_core.errors import DDRSError, InvalidParameterError
from ddrs_core.models import NoisyForward
from ddrs_core.parameters import values_of
from ddrs_core.runs.certify import tuned
from ddrs_core.runs.certify.config import CertifyConfig, Method
from ddrs_core.runs.certify.run import CertifyRun
from ddrs_core.runs.certify.tuned import LevelScore, best_level, tune_sigma, tuning_levels
from ddrs_core.runs.results.comparison import figures_of
from ddrs_core.runs.results.paired import compare
from ddrs_core.runs.results.results import ResultRow, ResultSet
from ddrs_core.smoothing import CertificationBudget, SmoothedClassifier, get_preset, list_presets
from ddrs_core.smoothing.confidence import lower_bound
from tests.smoothing.sigma.test_strategies import GRID, ORIGIN, Inside, Pocket
from tests.smoothing.sigma.test_surface import Walls

BUDGET = CertificationBudget(n=2_000)
CONFIG = CertifyConfig(
    "digits",
    "digits-gaussian-0.50",
    Method.FIXED,
    0.5,
    budget=CertificationBudget(n=1_100),
    skip=90,
    limit=5,
    device="cpu",
)
SETUP = BenchSetup(
    "d", "m", "0", 0.5, 0.05, 1.1, 100, 2_000, 0.001, "one-sided", 0, 1, "fp32", "cpu", {}
)


def make_small(patch: pytest.MonkeyPatch) -> None:
    """Two images a block, few votes for the oracle, few training images."""
    patch.setattr(bench, "BLOCK", 2)
    patch.setattr(sigma_choices, "ORACLE_VOTES", 40)
    patch.setattr(tuned, "TUNING_IMAGES", 3)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    make_small(monkeypatch)


def measured(config: CertifyConfig, *presets: str, **file) -> SigmaBench:
    *_, last = bench_sigma(config, presets, **file)
    assert isinstance(last, SigmaBench)
    return last


# ------------------------------------------------------------------------ known radius curves


def proved(kind: type[Walls] | type[Pocket], sigma: np.ndarray) -> np.ndarray:
    """What BUDGET proves at a level on average, nearly: the votes are those expected."""
    from scipy.stats import norm

    share = norm.cdf(kind.radius(sigma) / sigma) * BUDGET.n
    bound = lower_bound(share, BUDGET.n, BUDGET.alpha)
    return sigma * norm.ppf(np.minimum(bound, BUDGET.alpha ** (1 / BUDGET.n)))


def outcomes_of(network: nn.Module, x: Tensor, sigma_0: float, single: float, *presets: str):
    comparison = SigmaComparison(
        SmoothedClassifier(network, 2), strategies_at(sigma_0, presets), sigma_0, single, BUDGET
    )
    images = x.expand(20, 1, 1, 1)
    *_, found = comparison.measure(images, list(range(20)), [0] * 20)
    assert isinstance(found, list)
    return found


def summary_of(outcomes: list[ImageOutcomes]) -> SigmaBench:
    log = BenchLog(SETUP)
    log.add([LevelScore(0.3, BUDGET.n, 0.1)])
    log.add(outcomes)
    return summarize_bench(log)


@pytest.mark.parametrize("kind", [Walls, Pocket])
def test_regret_is_that_of_the_known_curve(kind: type[Walls] | type[Pocket]) -> None:
    low, high = level_range(0.5)
    best = proved(kind, GRID.clip(low, high)).max()
    result = summary_of(outcomes_of(kind(), ORIGIN, 0.5, 0.25, "surface"))
    methods = {m.name: m for m in result.methods}
    assert list(methods) == ["fixed", "tuned", "surface", "oracle"]
    assert methods["oracle"].regret == 0
    assert methods["oracle"].mean_radius == pytest.approx(best, rel=0.03)
    for name, level in (("fixed", 0.5), ("tuned", 0.25)):
        known = proved(kind, np.array([level]))[0]
        assert methods[name].mean_radius == pytest.approx(known, rel=0.02)
        assert methods[name].regret == pytest.approx(1 - known / best, abs=0.04)
        assert methods[name].passes == 0
    assert abs(methods["surface"].regret) < 0.06
    most = get_preset("surface").config.passes()
    assert most / 4 < methods["surface"].passes <= most


def test_the_oracle_draws_no_votes_that_cannot_matter_and_chooses_as_if_it_did() -> None:
    forward, images = NoisyForward(Pocket(), 2), ORIGIN.expand(4, 1, 1, 1)
    choice, leading = choose_best(forward, images, range(4), 0.5, BUDGET)
    levels = sigma_choices.sigma_grid(*level_range(0.5), 20)
    assert leading.tolist() == [0] * 4
    assert 3_000 < choice.passes < 60_000
    assert set(choice.sigmas.tolist()) <= set(levels.tolist())
    held = np.stack([oracle_votes(forward, images, level) for level in levels])  # [J, 4]
    promised = sigma_choices.expected_radius(held, 3_000 - held, 3_000, levels[:, None], BUDGET)
    assert choice.sigmas.tolist() == levels[promised.argmax(axis=0)].tolist()


def oracle_votes(forward: NoisyForward, images: Tensor, level: float) -> np.ndarray:
    noise = [sigma_choices.noise_generator(0, i, "oracle") for i in range(len(images))]
    return forward.votes(images, torch.full((len(images),), level), 3_000, noise)[:, 0].astype(
        float
    )


def test_the_oracle_keeps_the_class_at_sigma_0_and_its_level_where_nothing_is_promised() -> None:
    forward = NoisyForward(Inside(), 2)
    choice, leading = choose_best(forward, ORIGIN[None], [0], 0.12, BUDGET)
    assert leading.tolist() == [0]
    assert choice.sigmas[0] < 0.2  # far above, class 1 has a large radius
    even = torch.full((1, 1, 1, 1), 0.3)  # on the wall
    choice, _ = choose_best(forward, even, [0], 0.02, BUDGET)
    assert choice.sigmas[0] == pytest.approx(0.02, rel=0.1)


def test_the_same_level_of_an_image_is_certified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    certified: list[tuple[int, float]] = []
    certify = SmoothedClassifier.certify_batch

    def noting(self: SmoothedClassifier, images: Tensor, **details) -> Iterator:
        certified.extend(zip(details["indices"], details["sigmas"], strict=True))
        return certify(self, images, **details)

    monkeypatch.setattr(SmoothedClassifier, "certify_batch", noting)
    found = outcomes_of(Walls(), ORIGIN, 0.5, 0.5, "qcrs")
    asked = [(i.index, o.sigma) for i in found for o in i.methods.values()]
    assert len(certified) == len(set(certified)) == len(set(asked)) < len(asked)
    for image in found:
        fixed, single = image.methods["fixed"], image.methods["tuned"]
        assert fixed == single
        alone = SmoothedClassifier(Walls(), 2).certify(
            ORIGIN, sigma=0.5, n=BUDGET.n, index=image.index
        )
        assert (fixed.radius, fixed.prediction) == (alone.radius, alone.prediction)


def test_all_strategies_get_the_same_range_and_keep_the_rest() -> None:
    names = [preset.name for preset in list_presets()]
    for sigma_0 in (0.12, 0.5):
        found = strategies_at(sigma_0, names)
        assert {config.bounds for config in found.values()} == {level_range(sigma_0)}
        assert level_range(sigma_0) == get_preset("surface").at(sigma_0).bounds
        for name, config in found.items():
            own = get_preset(name).config
            assert replace(config, bounds=own.bounds) == own
            assert config.bounds[0] < sigma_0 < config.bounds[1]
    assert set(names) - set(default_presets()) == {"authors-package"}
    with pytest.raises(InvalidParameterError, match="more than once"):
        strategies_at(0.5, ["surface", "surface"])


# -------------------------------------------------------------------------------- the figures


def outcome(radius: float, prediction: int) -> Outcome:
    return Outcome(0.5, radius, prediction, passes=10.0, seconds=0.5)


def test_what_is_counted() -> None:
    """The mean radius follows the class at sigma_0, the ACR the label."""
    rows = [(0, 0, 0, 0.6), (1, 0, 0, 0.6), (0, 1, 1, 0.3), (0, 0, -1, 0.0)]
    images = [
        ImageOutcomes(i, label, leading, {"fixed": outcome(r, p), "oracle": outcome(1.0, leading)})
        for i, (label, leading, p, r) in enumerate(rows)
    ]
    fixed, oracle = summary_of(images).methods
    assert fixed.mean_radius == pytest.approx(1.5 / 4)
    assert fixed.regret == pytest.approx(1 - 1.5 / 4)
    assert fixed.acr == pytest.approx(0.6 / 4)
    assert fixed.abstention_rate == 0.25
    assert summary_of(images).radii == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert fixed.certified_accuracy == (0.25, 0.25, 0.25, 0, 0)
    assert oracle.certified_accuracy == (0.5,) * 5
    assert (fixed.passes, fixed.seconds) == (10.0, 0.5)


def test_the_figures_are_those_of_a_report_on_the_same_outcomes() -> None:
    rng = np.random.default_rng(5)
    images = []
    for i in range(60):
        label = int(rng.integers(3))
        answers = {n: (float(rng.gamma(2, 0.2)), int(rng.integers(-1, 3))) for n in ("fixed", "ds")}
        answers |= {"oracle": (1.0, label)}
        methods = {n: outcome(r * (p >= 0), p) for n, (r, p) in answers.items()}
        images.append(ImageOutcomes(i, label, label, methods))
    found = summary_of(images)
    logs = {}
    for method in found.methods:
        rows = []
        for image in images:
            got = image.methods[method.name]
            right = got.prediction == image.label
            rows.append(ResultRow(image.index, image.label, got.prediction, got.radius, right))
        logs[method.name] = ResultSet(method.name, method.name, tuple(rows))
        told = figures_of(logs[method.name], found.radii).summary
        assert method.certified_accuracy == pytest.approx(tuple(told.certified_accuracy.values()))
        assert method.acr == pytest.approx(told.average_certified_radius)
        assert method.abstention_rate == pytest.approx(told.abstention_rate)
    (own,) = next(m for m in found.methods if m.name == "ds").against
    told = compare(logs["ds"], logs["fixed"], found.radii)
    assert [(t.gained, t.lost) for t in own.radii] == [(d.gained, d.lost) for d in told.radii]
    assert [t.p_value for t in own.radii] == pytest.approx(holm([d.p_value for d in told.radii]))


def test_differences_are_said_only_beyond_the_noise() -> None:
    """Of 40 images 12 gain at .25 and .5: significant alone, and after Holm's correction."""

    def compared(gains: int) -> SigmaBench:
        better = [0.6] * gains + [0.2] * (40 - gains)
        return summary_of(
            [
                ImageOutcomes(
                    i,
                    0,
                    0,
                    {n: outcome(r if n != "fixed" else 0.2, 0) for n in ("fixed", "oracle")},
                )
                for i, r in enumerate(better)
            ]
        )

    (difference,) = compared(12).methods[1].against
    assert difference.baseline == "fixed"
    assert difference.difference == pytest.approx(12 * 0.4 / 40)
    assert difference.low is not None
    assert 0 < difference.low < difference.difference
    assert difference.verdict == "above"
    assert [t.verdict for t in difference.radii] == ["within the noise", "above", "above"]
    assert [t.gained for t in difference.radii] == [0, 12, 12]
    assert difference.radii[1].p_value == pytest.approx(3 * 2 * 0.5**12)
    (difference,) = compared(6).methods[1].against
    assert 2 * 0.5**6 < 0.05  # alone it would be significant
    assert {t.verdict for t in difference.radii} == {"within the noise"}
    assert (difference.low, difference.verdict) == (None, "within the noise")


def test_holm_and_the_mean_over_networks() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    one = summary_of([ImageOutcomes(0, 0, 0, {n: outcome(0.5, 0) for n in ("fixed", "oracle")})])
    half = replace(one.methods[0], regret=0.5)
    assert mean_regrets([one, replace(one, methods=(half,))]) == {"fixed": 0.25}


# --------------------------------------------------------------------------- tuning and files


def test_the_tuned_level_is_the_best_by_certificates_with_all_votes(small: None) -> None:
    run = CertifyRun(CONFIG)
    levels = tuning_levels(0.5)
    assert len(levels) == 12
    assert levels[0] == pytest.approx(0.15)
    assert levels[-1] == pytest.approx(1.0)
    assert 0.5 in levels
    scores = list(tune_sigma(run, levels))
    first, last = scores[:12], scores[12:]
    assert [s.sigma for s in first] == list(levels)
    assert {s.n for s in first} == {1_000}
    assert {s.n for s in last} == {1_100}
    kept = sorted(first, key=lambda s: -s.acr)[:4]
    assert {s.sigma for s in kept} == {s.sigma for s in last}
    assert best_level(scores) == max(last, key=lambda s: s.acr).sigma
    assert list(tune_sigma(run, levels, scores[:14])) == scores[14:]
    assert not list(tune_sigma(run, levels, scores))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SigmaBench]:
    """A finished file, and what it says."""
    path = tmp_path_factory.mktemp("bench") / "whole.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        return path, measured(CONFIG, "surface", out=path)


@pytest.mark.slow
@pytest.mark.parametrize("kept", [0.01, 0.3, 0.8, 0.999])
def test_a_cut_file_resumes_to_the_undisturbed_one(
    small: None, undisturbed: tuple[Path, SigmaBench], tmp_path: Path, kept: float
) -> None:
    cut, (whole, result) = tmp_path / "cut.jsonl", undisturbed
    data = whole.read_bytes()
    cut.write_bytes(data[: int(kept * len(data))])
    again = measured(CONFIG, "surface", out=cut, resume=True)
    one, other = BenchLog.read(whole), BenchLog.read(cut)
    assert list(one.images) == [0, 90, 180, 270, 360]
    assert (one.images, one.levels, one.setup) == (other.images, other.levels, other.setup)
    assert len(data.splitlines()) == len(cut.read_bytes().splitlines())
    assert without_seconds(result) == without_seconds(again)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.jsonl"]


def without_seconds(result: SigmaBench) -> SigmaBench:
    return replace(result, methods=tuple(replace(m, seconds=0.0) for m in result.methods))


def test_what_a_finished_file_holds_is_not_computed_again(
    small: None, undisturbed: tuple[Path, SigmaBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, result = undisturbed
    before = path.read_bytes()
    monkeypatch.setattr(NoisyForward, "vote_steps", None)
    assert measured(CONFIG, "surface", out=path, resume=True) == result
    assert summarize_bench(BenchLog.read(path)) == result
    assert path.read_bytes() == before


def test_a_packed_file_is_read_and_a_damaged_one_is_refused(
    undisturbed: tuple[Path, SigmaBench], tmp_path: Path
) -> None:
    path, result = undisturbed
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert summarize_bench(BenchLog.read(packed)) == result
    for data in (path.read_bytes(), packed.read_bytes()[:-20]):
        packed.write_bytes(data)
        with pytest.raises(DDRSError, match=r"packed.jsonl.gz cannot be read"):
            BenchLog.read(packed)


def test_a_file_grows_with_the_limit(small: None, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert measured(replace(CONFIG, limit=1), "surface", out=path).images == 1
    first = BenchLog.read(path).images[0]
    assert measured(replace(CONFIG, limit=2), "surface", out=path, resume=True).images == 2
    assert BenchLog.read(path).images[0] == first


def test_a_file_of_another_bench_is_refused_in_words(
    small: None, undisturbed: tuple[Path, SigmaBench], tmp_path: Path
) -> None:
    path, before = tmp_path / "a.jsonl", undisturbed[0].read_bytes()
    path.write_bytes(before)
    other = replace(CONFIG, budget=CertificationBudget(n=1_200))
    with pytest.raises(DDRSError, match=r"its n is 1100, not 1200.*another --out"):
        measured(other, "surface", out=path, resume=True)
    with pytest.raises(DDRSError, match=r"its sigma_0 is 0.5, not 0.25"):
        measured(replace(CONFIG, sigma=0.25), "surface", out=path, resume=True)
    with pytest.raises(DDRSError, match="its presets is 'surface', not 'qcrs'"):
        measured(CONFIG, "qcrs", out=path, resume=True)
    path.write_text(path.read_text().replace('"rounds":', '"rounds":1', 1))  # 14 for 4
    with pytest.raises(DDRSError, match=r"its preset surface is .*'rounds': 1\d"):
        measured(CONFIG, "surface", out=path, resume=True)
    path.write_bytes(before)
    with pytest.raises(DDRSError, match=r"there already.*--resume"):
        measured(CONFIG, "surface", out=path)
    path.write_bytes(before.replace(b'{"LevelScore"', b'{"LevelScor"', 1))
    with pytest.raises(DDRSError, match=r"Line 2 of .* is damaged"):
        measured(CONFIG, "surface", out=path, resume=True)
    for text in ("idx\tlabel\n", '{"format":"bench sigma 9"}\n', "[]\n"):
        path.write_text(text)
        with pytest.raises(DDRSError, match="holds no measurements"):
            measured(CONFIG, "surface", out=path, resume=True)
        assert path.read_text() == text


def test_a_file_that_another_run_writes_is_refused(small: None, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with (
        BenchLog(SETUP, path),
        pytest.raises(DDRSError, match="being written by another run"),
    ):
        BenchLog(SETUP, path, resume=True)
    with BenchLog(SETUP, path, resume=True) as log:
        log.add([LevelScore(0.5, 100, 0.25)])
    assert [json.loads(line).popitem()[0] for line in path.read_text().splitlines()] == [
        "setup",
        "LevelScore",
    ]


def test_the_parameters_in_a_header_are_those_that_were_used(
    undisturbed: tuple[Path, SigmaBench],
) -> None:
    setup = BenchLog.read(undisturbed[0]).setup
    assert setup.presets == {"surface": values_of(strategies_at(0.5, ["surface"])["surface"])}
    assert (setup.low, setup.high) == level_range(0.5)
    assert "threads=1" in setup.machine
