"""Tables of certified radii in the texts name the guarantee and bound that the logs have."""

from __future__ import annotations

import csv
import gzip
import re
from pathlib import Path

import pytest

from ddrs_core.bench.sigma_log import BenchLog
from ddrs_core.bench.sigma_report import SigmaBench, mean_regrets, summarize_bench
from ddrs_core.dashboard.learn.lessons import own_sigma
from ddrs_core.runs.logs.reading import read_log
from ddrs_core.runs.results.other_bound import under_bound
from ddrs_core.runs.results.paired import compare, pair, radius_difference
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.runs.results.summary import summarize_results
from ddrs_core.smoothing import Bound

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "assets/results"
ONE, TWO = "one-sided", "two-sided"
FIRST = "cifar10-resnet20-gaussian-0.25-fixed-0.25"  # also the name of a log of the study
CONDITIONAL, UNCONDITIONAL = "conditional on sigma_x", "unconditional"


def tables(text: str) -> list[list[dict[str, str]]]:
    """The Markdown tables of a text, a dictionary a row."""
    found: list[list[dict[str, str]]] = []
    head: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            head = []
        elif not head:
            head = cells
            found.append([])
        elif set(line) - set("|-: "):
            found[-1].append(dict(zip(head, cells, strict=True)))
    return found


def promised(path: Path) -> set[tuple[str, str]]:
    """Guarantee and bound of every row of a log."""
    with path.open(encoding="utf-8", newline="") as file:
        return {(row["grade"], row["bound"]) for row in csv.DictReader(file, delimiter="\t")}


def certified(path: Path, radius: float) -> float:
    """The share of images that are right with at least this radius."""
    with path.open(encoding="utf-8", newline="") as file:
        held = [
            row["correct"] == "1" and float(row["radius"]) >= radius
            for row in csv.DictReader(file, delimiter="\t")
        ]
    return sum(held) / len(held)


def rows(path: Path, first: str) -> list[dict[str, str]]:
    return [
        row for table in tables(path.read_text(encoding="utf-8")) for row in table if first in row
    ]


def test_every_log_in_the_results_has_its_guarantee_and_bound() -> None:
    found = rows(RESULTS / "README.md", "log")
    assert len(found) > 80
    for row, tight in zip(found[::2], found[1::2], strict=True):
        logs = list(RESULTS.glob(f"*/{row['log']}.tsv"))
        assert logs, row["log"]
        for log in logs:
            assert promised(log) == {(row["guarantee"], row["bound"])} == {(row["guarantee"], ONE)}
        assert (tight["log"], tight["guarantee"], tight["bound"]) == (
            f"{row['log']}, {TWO}",
            row["guarantee"],
            TWO,
        )


@pytest.mark.parametrize("name", ["study/digits-macer-0.50-ds-0.5", "first/" + FIRST])
def test_tight_rows_are_the_votes_of_their_logs_under_two_sided_bounds(name: str) -> None:
    folder, _, log = name.partition("/")
    n = {"study": "≤ 100,000", "first": "10,000"}[folder]
    found = rows(RESULTS / "README.md", "log")
    (row,) = (r for r in found if (r["log"], r["N"]) == (f"{log}, {TWO}", n))
    tight = summarize_results(under_bound(read_log(RESULTS / f"{name}.tsv"), Bound.TWO_SIDED))
    for radius, share in tight.certified_accuracy.items():
        assert float(row[f"r = {radius:g}"]) == pytest.approx(share, abs=5e-4)
    assert float(row["ACR"].removeprefix("≥ ")) <= tight.average_certified_radius
    assert float(row["abstained"]) == pytest.approx(tight.abstention_rate)


@pytest.mark.parametrize("first", ["difference", "training"])
def test_differences_say_what_they_compare(first: str) -> None:
    found = rows(RESULTS / "README.md", first)
    assert found
    for row in found:
        names = row[first].partition(",")[0].split(" minus ")
        grades = ["conditional" if "-DS" in name else "unconditional" for name in names]
        if first == "training":
            grades = ["conditional", "unconditional"]
        same = len(set(grades)) == 1
        assert row["guarantees"] == (f"both {grades[0]}" if same else " minus ".join(grades))


def test_the_methods_in_the_docs_have_the_figures_of_their_logs() -> None:
    found = rows(ROOT / "docs" / "results.md", "method")
    assert len(found) == 9
    for row in found:
        training, _, own = row["method"].lower().partition("-")
        stem = f"digits-{training}-{own}-0.50" if own == "ds2" else f"digits-{training}-0.50"
        log = RESULTS / f"study/{stem}-{'ds' if own else 'fixed'}-0.5.tsv"
        assert promised(log) == {(row["guarantee"], row["bound"])}
        for name, radius in (("certified at 0", 0.0), ("0.25", 0.25), ("0.5", 0.5), ("1", 1.0)):
            assert float(row[name]) == pytest.approx(certified(log, radius))


def test_the_networks_at_half_have_the_figures_of_their_logs() -> None:
    *found, published = rows(ROOT / "docs" / "results.md", "ResNet-20 trained at 0.5")
    assert "published" in published["ResNet-20 trained at 0.5"]
    for row in found:
        training = row["ResNet-20 trained at 0.5"].partition(":")[0]
        folder = "study" if training == "gaussian" else "first"
        log = RESULTS / f"{folder}/cifar10-resnet20-{training}-0.50-fixed-0.5.tsv"
        assert promised(log) == {(UNCONDITIONAL, ONE)}
        for radius in (0.0, 0.25, 0.5, 0.75, 1.0):
            name = f"{radius:g}" if radius else "certified at 0"
            assert float(row[name]) == pytest.approx(certified(log, radius), abs=6e-4)


def test_the_tuned_sigma_has_the_figures_of_its_log() -> None:
    (row,) = [r for r in rows(ROOT / "docs" / "results.md", "sigma") if "tuned" in r["sigma"]]
    log = RESULTS / "tuned/digits-gaussian-0.50-tuned-0.3.tsv"
    assert promised(log) == {(row["guarantee"], "one-sided")}
    for name, radius in (("certified at 0", 0.0), ("0.25", 0.25), ("0.5", 0.5), ("1", 1.0)):
        assert float(row[name]) == pytest.approx(certified(log, radius))


@pytest.fixture(scope="module")
def sigma_benches() -> dict[str, SigmaBench]:
    """By network, without the name of the data set."""
    logs = sorted((RESULTS / "sigma").glob("*.gz"))
    found = [summarize_bench(BenchLog.read(log)) for log in logs]
    return {bench.model.removeprefix(f"{bench.dataset}-"): bench for bench in found}


COLUMNS = {
    "fixed": "fixed",
    "tuned": "tuned",
    "guarded ascent": "guarded",
    "QCRS": "qcrs",
    "surface fit": "surface",
}


def test_the_table_of_strategies_is_what_the_logs_say(
    sigma_benches: dict[str, SigmaBench],
) -> None:
    *found, means = rows(ROOT / "docs/results.md", "oracle")
    assert [row["network"] for row in found] == [
        name for name in sorted(sigma_benches) if sigma_benches[name].dataset == "digits"
    ]
    for row in found:
        _check_strategies(row, sigma_benches[row["network"]], "oracle")
    regrets = mean_regrets([sigma_benches[row["network"]] for row in found])
    assert {title: means[title] for title in COLUMNS} == {
        title: _percent(regrets[name]) for title, name in COLUMNS.items()
    }


def test_the_row_of_strategies_on_cifar10_is_what_the_log_says(
    sigma_benches: dict[str, SigmaBench],
) -> None:
    oracle = "oracle (40 images)"
    (row,) = rows(ROOT / "docs/results.md", oracle)
    bench = sigma_benches[row["network"].removeprefix("cifar10-")]
    _check_strategies(row, bench, oracle)
    acr = {method.name: method.acr for method in bench.methods}
    text = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    said = re.search(r"alone, is (\S+) with one.*?([\d.]+) with\s+the surface", text, re.DOTALL)
    assert said is not None
    assert said.groups() == (f"{acr['fixed']:.3f}", f"{acr['surface']:.3f}")


def _check_strategies(row: dict[str, str], bench: SigmaBench, oracle: str) -> None:
    methods = {method.name: method for method in bench.methods}
    for title, name in COLUMNS.items():
        method = methods[name]
        tuned = f"{bench.tuned:.3f}: " if name == "tuned" else ""
        assert row[title] == f"{tuned}{method.mean_radius:.3f} ({_percent(method.regret)})"
    assert row[oracle] == f"{methods['oracle'].mean_radius:.3f}"
    (gain,) = (d for d in methods["surface"].against if d.baseline == "tuned")
    words = f"{gain.difference:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
    assert row["surface fit minus tuned (95 %)"] == words


def test_the_default_strategy_loses_to_no_other_beyond_chance(
    sigma_benches: dict[str, SigmaBench],
) -> None:
    for bench in sigma_benches.values():
        surface = next(method for method in bench.methods if method.name == "surface")
        for against in surface.against:
            if against.baseline != "oracle":
                assert against.verdict != "below", (bench.model, against.baseline)
            if against.baseline in ("fixed", "tuned"):
                assert all(test.verdict != "below" for test in against.radii), bench.model


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "ddrs_core/dashboard/components/templates/home/miniature.html",
        "ddrs_core/dashboard/learn/lessons/own_sigma.py",
        "ddrs_core/dashboard/learn/lessons/limits.py",
    ],
    ids=["readme", "home", "lesson-6", "lesson-9"],
)
def test_the_honest_number_is_that_of_the_log(
    sigma_benches: dict[str, SigmaBench], path: str
) -> None:
    methods = {method.name: method for method in sigma_benches["gaussian-0.50"].methods}
    text = (ROOT / path).read_text(encoding="utf-8")
    for name in ("surface", "tuned"):
        assert f"{methods[name].mean_radius:.3f}" in text


def test_the_lesson_says_by_how_much_a_sigma_for_every_digit_is_better(
    sigma_benches: dict[str, SigmaBench],
) -> None:
    means = {m.name: m.mean_radius for m in sigma_benches["gaussian-0.50"].methods}
    gain = f"{means['surface'] / means['tuned'] - 1:.0%}".replace("%", " %")
    assert f"by {gain} on the digits" in own_sigma.LESSON.take_home


def _unpacked(name: str, folder: Path, bound: str = ONE) -> ResultSet:
    log = folder / name
    log.write_bytes(gzip.decompress((RESULTS / "surface" / f"{name}.gz").read_bytes()))
    results = read_log(log)
    return results if bound == ONE else under_bound(results, Bound(bound))


def _gain(ours: ResultSet, theirs: ResultSet) -> str:
    found = compare(ours, theirs).acr
    return f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def surface_row(network: str, folder: Path) -> dict[str, str]:
    """A network's row of the table that sets own sigmas against the best single one."""
    sigma = f"{float(network[-4:]):g}"

    def logs(prefix: str, method: str, bound: str = ONE) -> ResultSet:
        return _unpacked(f"{prefix}digits-{network}-{method}-{sigma}.tsv", folder, bound)

    def gain(bound: str) -> str:
        return _gain(logs("n10000-", "ds", bound), logs("n10000-", "tuned", bound))

    means = {m: summarize_results(logs("n10000-", m)) for m in ("fixed", "tuned", "ds")}
    acr = {m: f"{mean.average_certified_radius:.3f}" for m, mean in means.items()}
    tuned = logs("n10000-", "tuned").sigmas[0]
    row = {
        "network": network,
        "fixed": acr["fixed"],
        "tuned": f"{tuned:.3f}: {acr['tuned']}",
        "surface fit": acr["ds"],
        "gain, one-sided": gain(ONE),
        "gain, tight": gain(TWO),
    }
    pairs = pair(logs("", "ds"), logs("", "tuned"))
    for radius in (0.25, 0.5, 0.75):
        found = radius_difference(pairs, radius)
        points = f"{100 * found.difference:+.1f}"
        clear = found.low * found.high > 0 and found.p_value < 0.05
        interval = f"({100 * found.low:+.1f} to {100 * found.high:+.1f})"
        row[f"r = {radius:g}"] = f"{f'**{points}**' if clear else points} {interval}"
    return row


def test_own_sigmas_against_the_best_single_one(tmp_path: Path) -> None:
    found = rows(ROOT / "docs/results.md", "gain, tight")
    logs = (RESULTS / "surface").glob("digits-*-tuned-*")
    assert {row["network"] for row in found} == {
        log.name.removeprefix("digits-").split("-tuned")[0] for log in logs
    }
    for row in found:
        assert row == surface_row(row["network"], tmp_path)


def training_row(network: str, folder: Path) -> dict[str, str]:
    """What a network trained with own sigmas adds, against one that was trained with one sigma."""
    method, sigma = network.rsplit("-", 1)

    def log(name: str, how: str) -> ResultSet:
        file = f"n10000-digits-{name}-{sigma}-{how}-{float(sigma):g}.tsv"
        return _unpacked(file, folder, ONE)

    def acr(name: str, how: str) -> str:
        return f"{summarize_results(log(name, how)).average_certified_radius:.3f}"

    both = log(f"{method}-ds2", "ds")
    return {
        "network": network,
        "tuned": acr(method, "tuned"),
        "own": acr(method, "ds"),
        "trained with own, tuned": acr(f"{method}-ds2", "tuned"),
        "own in both": acr(f"{method}-ds2", "ds"),
        "gain over tuned": _gain(both, log(method, "tuned")),
        "gain over own": _gain(both, log(method, "ds")),
    }


def test_what_training_with_own_sigmas_adds(tmp_path: Path) -> None:
    found = rows(ROOT / "docs/results.md", "gain over own")
    logs = (RESULTS / "surface").glob("n10000-digits-*-ds2-*-tuned-*")
    assert {row["network"] for row in found} == {
        log.name.removeprefix("n10000-digits-").split("-tuned")[0].replace("-ds2", "")
        for log in logs
    }
    for row in found:
        assert row == training_row(row["network"], tmp_path)


def _percent(share: float | None) -> str:
    assert share is not None
    return f"{100 * share:.1f} %"
