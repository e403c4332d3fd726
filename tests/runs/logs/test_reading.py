"""Logs of every known dialect, damaged ones, and files that are no logs."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ddrs_core.runs.logs.columns import HEADER, LogError
from ddrs_core.runs.logs.reading import parse_log, read_log
from ddrs_core.runs.results.comparison import certified_accuracy
from ddrs_core.runs.results.rows import RowFormat, rows_bytes
from ddrs_core.runs.results.summary import summarize_results
from ddrs_core.smoothing import Bound, Grade
from ddrs_core.smoothing.alpha_spending import LookSchedule
from ddrs_core.smoothing.certificate import prove_radius

ROOT = Path(__file__).resolve().parents[3]
PUBLISHED = ROOT.parent / "shared" / "data" / "logs"
OURS = sorted((ROOT / "assets" / "results").glob("*/*.tsv"))
COHEN = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"


def rows_of(text: str) -> list[tuple[object, ...]]:
    return [
        (r.index, r.label, r.prediction, r.radius, r.correct, r.seconds, r.sigma)
        for r in parse_log(text.encode(), "some.tsv").rows
    ]


def notes_of(text: str) -> str:
    return " ".join(parse_log(text.encode(), "some.tsv").notes)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published logs are not here")
@pytest.mark.parametrize(
    ("training", "acr", "abstained", "accuracy"),
    [
        ("cohen", 0.5242, 1498, (0.670, 0.554, 0.428, 0.314, 0.220, 0.139, 0.081)),
        ("smoothadv", 0.6821, 503, (0.508, 0.470, 0.431, 0.390, 0.351, 0.316, 0.272)),
    ],
)
def test_published_logs_give_their_published_figures(training, acr, abstained, accuracy) -> None:
    results = read_log(PUBLISHED / f"cifar10_{training}_resnet20_noise_0.50.tsv")
    summary = summarize_results(results)
    assert summary.images == 10_000
    assert round(summary.average_certified_radius, 4) == acr
    assert results.abstained.sum() == abstained
    found = certified_accuracy(results, np.arange(7) / 4)
    np.testing.assert_allclose(found, accuracy, atol=0.00051)
    assert results.dialect == "cohen"
    assert results.notes == ()


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published logs are not here")
def test_a_published_log_without_rows_is_no_error() -> None:
    results = read_log(PUBLISHED / "imagenet_header_only.tsv")
    assert results.rows == ()
    assert "no row" in " ".join(results.notes)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_our_logs_keep_their_certificates(path: Path) -> None:
    results = read_log(path)
    model, method, sigma = path.stem.rsplit("-", 2)
    adaptive = path.parent.name in ("study", "tuned")
    if path.parent.name == "tuned":
        method = "fixed"  # says the log: the level had been chosen before
    assert len(results.rows) >= 100
    assert results.notes == ()
    assert (results.method, results.sigma) == (method, float(sigma))
    assert f"-{results.training}-" in model
    assert (results.n, results.alpha) == (100_000 if adaptive else 10_000, 0.001)
    assert results.acr_is_floor == adaptive
    assert results.data_dependent_training == ("ds2" in model)
    for row in results.rows:
        assert row.certificate is not None
        assert row.certificate.recompute_radius() == pytest.approx(row.radius, abs=1e-9)


def own_log(count: int, **changes: str) -> str:
    """The first rows of an adaptive log of this program, with other cells in the first."""
    lines = next(path for path in OURS if "study/" in str(path)).read_text().splitlines()
    names = lines[0].split("\t")
    cells = {**dict(zip(names, lines[1].split("\t"), strict=True)), **changes}
    return "\n".join([lines[0], "\t".join(cells.values()), *lines[2 : count + 1], ""])


def cells_of(text: str) -> dict[str, str]:
    head, first, *_ = text.splitlines()
    return dict(zip(head.split("\t"), first.split("\t"), strict=True))


@pytest.mark.parametrize("p_lower", ["", "0.9999"], ids=["radius alone", "and its bound"])
def test_a_radius_that_its_own_votes_do_not_prove_is_lowered(p_lower: str) -> None:
    cells = cells_of(own_log(8))
    proved = float(cells["radius"])
    changes = {"radius": repr(proved + 0.01), "p_lower": p_lower or cells["p_lower"]}
    results = parse_log(own_log(8, **changes).encode(), "some.tsv")
    certificate = results.rows[0].certificate
    assert certificate is not None
    assert results.rows[0].radius == pytest.approx(proved, abs=1e-9)
    assert certificate.radius == results.rows[0].radius
    assert certificate.p_lower == pytest.approx(float(cells["p_lower"]), abs=1e-9)
    (said,) = results.notes
    assert "1 of 8 rows claims more than its own votes prove and was lowered to that" in said
    assert "line 2: " in said


def test_every_kind_of_claim_is_recounted() -> None:
    """A plausible bound does not save a radius; a class that was not counted proves nothing."""
    cells = cells_of(own_log(1))
    votes, n = [int(v) for v in cells["counts"].split(",")], int(cells["n"])
    few = ",".join(str(v) for v in [n // 2 + 1, n - n // 2 - 1, *([0] * (len(votes) - 2))])
    abstains = {"candidate": "0", "predict": "0", "counts": few, "p_lower": "0.501"}
    for changes in (
        {**abstains, "radius": "0.0001"},
        {**abstains, "radius": "0"},
        {"predict": str(1 - int(cells["predict"] == "1"))},
        {"candidate": str(votes.index(min(votes)))},
        {"candidate": "-1", "predict": "1" if cells["predict"] != "1" else "2"},
    ):
        results = parse_log(own_log(3, **changes).encode(), "some.tsv")
        row = results.rows[0]
        assert (row.prediction, row.radius, row.correct) == (-1, 0.0, False)
        assert row.certificate is not None
        assert row.certificate.abstained
        assert "line 2" in " ".join(results.notes)


def test_random_claims_never_exceed_what_the_votes_prove() -> None:
    rng = np.random.default_rng(0)
    looks = LookSchedule(1000, first=128, growth=50)
    for schedule in ("", looks.to_text()):
        for bound in Bound:
            n = int(rng.choice(looks.looks)) if schedule else 1000
            counts = rng.multinomial(n, rng.dirichlet([1, 0.2, 0.2]))
            radius, p_lower = float(rng.uniform(0, 3)), float(rng.uniform(0.5, 1))
            changes = {
                "counts": ",".join(map(str, counts)),
                "n": str(n),
                "candidate": "0",
                "predict": "0",
                "radius": repr(radius),
                "p_lower": repr(p_lower),
                "bound": bound.value,
                "schedule": schedule,
            }
            (row, *_) = parse_log(own_log(1, **changes).encode(), "x").rows
            c = row.certificate
            assert c is not None
            proof = prove_radius(counts.tolist(), 0, c.sigma, c.spent, bound)
            assert row.radius <= proof.radius * (1 + 1e-9)
            assert c.p_lower <= proof.p_lower + 1e-9
            assert row.abstained or proof.radius > 0


VOTES = "idx\tlabel\tpredict\tradius\tcorrect\ttime\tsigma\tcount\tn\tp_lower\n"


def test_votes_of_other_programs_are_recounted_too() -> None:
    """1,000 of 1,000 at alpha = .001 prove 2.463 sigma (Cohen et al.); 520 of 1,000 nothing."""
    text = VOTES + "0\t3\t3\t1.300\t1\t1\t.25\t1000\t1000\t.9999999\n"
    text += "1\t3\t3\t0.0125\t1\t1\t.25\t520\t1000\t.52\n2\t3\t3\t.3\t1\t1\t.25\t990\t1000\t.97\n"
    results = parse_log(text.encode(), "x.tsv")
    assert results.radii == pytest.approx([2.463 * 0.25, 0.0, 0.3], abs=1e-4)
    assert results.abstained.tolist() == [False, True, False]
    assert results.correct.tolist() == [True, False, True]
    assert results.n == 1000
    said = " ".join(results.notes)
    assert "2 of 3 rows claim more" in said
    assert "line 2: 1,000 of 1,000 votes" in said
    assert "0.001 was assumed" in said


def test_a_log_whose_columns_an_editor_moved_is_recounted() -> None:
    rows = [line.split("\t") for line in own_log(4, radius="9.9").splitlines()]
    moved = "\n".join("\t".join([*reversed(row), ""]) for row in rows) + "\n"
    moved = moved.replace("idx\t\n", "idx\tremark\n", 1)
    results = parse_log(moved.encode(), "x.tsv")
    assert results.dialect == "ddrs"
    assert results.radii[0] < 3
    assert results.radii[1:].tolist() == parse_log(own_log(4).encode(), "x").radii[1:].tolist()


def test_rows_that_were_exported_are_recounted() -> None:
    results = parse_log(own_log(3).encode(), "x")
    certificate = replace(results.rows[0].certificate, radius=9.9)
    forged = replace(results, rows=(replace(results.rows[0], radius=9.9, certificate=certificate),))
    again = parse_log(rows_bytes([forged], RowFormat.TSV), "again.tsv")
    assert again.radii[0] == pytest.approx(results.radii[0], rel=1e-9)
    assert "lowered" in " ".join(again.notes)


def test_an_answer_of_a_memory_rests_on_more_than_its_votes() -> None:
    """It may be larger than the votes prove; that this file cannot show it is said."""
    cells = cells_of(own_log(1))
    enlarged = {"radius": "2.5", "grade": "for queries after x"}
    trimmed = {**enlarged, "radius": repr(float(cells["radius"]) / 2)}
    results = parse_log(own_log(1, **enlarged).encode(), "x")
    assert results.radii[0] == 2.5
    assert "stored balls that are not in this file" in " ".join(results.notes)
    assert parse_log(own_log(1, **trimmed).encode(), "x").notes == ()


def test_ten_thousand_rows_are_recounted_within_seconds() -> None:
    head, row, _ = own_log(1, radius="9.9").split("\n")
    rows = [row.replace("0\t", f"{i}\t", 1) for i in range(10_000)]
    text = "\n".join([head, *rows, ""]).encode()
    started = time.process_time()
    results = parse_log(text, "x")
    assert time.process_time() - started < 5  # 0.6 on a quiet machine
    assert len(results.rows) == 10_000
    assert (results.radii < 3).all()


@pytest.mark.parametrize(
    ("name", "radii", "said"),
    [
        ("noise_0.25/test/sigma_0.25", "0.952 0.953", ""),  # 3.811 sigma, printed
        ("noise_0.50/test/sigma_0.25", "1.3 0.2", "1 radius is above"),
        ("noise_0.25/log.tsv", "1.3 1.2", "2 radii are above"),
        ("sigma=0.50.tsv", "1.906 1.91", ""),
        ("log.tsv", "9 9", ""),
    ],
)
def test_a_radius_above_the_cap_is_named_where_sigma_is_known(
    name: str, radii: str, said: str
) -> None:
    rows = "".join(f"{i}\t1\t1\t{radius}\t1\t2\n" for i, radius in enumerate(radii.split()))
    results = parse_log((COHEN + rows).encode(), name)
    assert results.radii.tolist() == [float(radius) for radius in radii.split()]
    assert (said in results.notes[0]) if said else results.notes == ()
    if said:
        assert "line 2 claims 1.3 at sigma 0.25 (from the name of the file)" in results.notes[0]
        assert "prove 0.952 at alpha 0.001" in results.notes[0]


def test_the_cap_follows_the_row_where_it_says_sigma_and_n() -> None:
    """Cohen et al.: 3.199 sigma for N = 10,000, 3.811 sigma for N = 100,000."""
    head = "idx\tlabel\tpredict\tradius\tcorrect\tsigma\ttime"
    row = "0\t1\t1\t1.7\t1\t.5\t1"
    assert parse_log(f"{head}\n{row}\n".encode(), "sigma_0.1").notes == ()
    with_n = parse_log(f"{head}\tn\n{row}\t10000\n".encode(), "x")
    assert "N = 10,000 unanimous votes prove 1.599" in with_n.notes[-1]


def test_names_are_not_cut_at_a_dot() -> None:
    names = ["sigma_0.25", "noise_0.5/sigma_0.50", "a.b.tsv", "log.TXT", "x.tsv.txt", ".tsv"]
    text = (COHEN + "3\t1\t1\t.5\t1\t2\n").encode()
    titles = [parse_log(text, name).title for name in names]
    assert titles == ["sigma_0.25", "sigma_0.50", "a.b", "log", "x", ".tsv"]


@pytest.mark.parametrize("column", ["exact_radius", "l2_radius", "certified_radius"])
def test_l2_radii_under_another_name_are_read_and_said(column: str) -> None:
    text = f"idx\tlabel\tpredict\tcount\tsome_bound\t{column}\tcorrect\ttime\n"
    text += "80\t8\t8\t74832\t1.4\t0.65591\t1\t0:00:16.6\n"
    results = parse_log(text.encode(), "x.tsv")
    assert results.radii.tolist() == [0.65591]
    assert f"read from the column {column}" in " ".join(results.notes)
    assert "some_bound" in " ".join(results.notes)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("linf_radius prob_lb", "another norm than l2 .*linf_radius"),
        ("radius_l1", "another norm"),
        ("L_inf_radius", "another norm"),
        ("R", "one of its other columns may hold the radii .*'R'"),
        ("some_bound margin", "'some_bound', 'margin'"),
        ("exact_radius l2_radius", "'exact_radius', 'l2_radius'"),
    ],
)
def test_no_unknown_column_is_taken_for_no_radius(columns: str, said: str) -> None:
    head = "\t".join(["idx", "label", "predict", *columns.split(), "correct", "time"])
    row = "\t".join(["0", "3", "3", *(["0.5"] * len(columns.split())), "1", "0:00:01"])
    with pytest.raises(LogError, match=said):
        parse_log(f"{head}\n{row}\n".encode(), "x.tsv")


def test_a_sigma_for_each_image_makes_radii_conditional() -> None:
    text = "idx\tlabel\tpredict\tradius\tcorrect\tbest_sigma\tpABar\ttime\n"
    text += "0\t3\t3\t.4935\t1\t.3\t.95\t5\n20\t7\t7\t.4935\t1\t.3\t.95\t5\n"
    results = parse_log(text.encode(), "sigma_0.01.tsv")
    assert results.dialect == "chosen-sigma"
    assert results.sigmas.tolist() == [0.3, 0.3]
    assert (results.method, results.guarantee) == ("ds", "conditional on sigma_x")
    assert "conditional on sigma_x" in " ".join(results.notes)
    assert "0.3 in all rows" in " ".join(results.notes)


@pytest.mark.parametrize(
    ("columns", "dialect"),
    [
        ("radius correct best_sigma pABar time", "chosen-sigma"),  # QCRS
        ("radius correct sigma time", "ddrs-authors"),
        ("radius radius_proxy correct min_sigma time", "ancer"),
        ("radius proxyradius correct sigmamin timeel_elapsed", "ancer"),
        ("radius volume proxyvol correct sigma product time", "ancer"),
    ],
)
def test_the_sigmas_of_others_are_kept_and_shown(columns: str, dialect: str) -> None:
    names = columns.split()
    head = "\t".join(["idx", "label", "predict", *names])
    known = {"radius": ".4", "correct": "1"}

    def row(index: int, sigma: str) -> str:
        cells = [known.get(n, sigma if "sigma" in n else "1") for n in names]
        return "\t".join([str(index), "3", "3", *cells])

    text = f"{head}\n{row(0, '.3')}\n{row(20, '.5')}\n"
    results = parse_log(text.encode(), "log.tsv")
    assert results.dialect == dialect
    assert [r.sigma for r in results.rows] == [0.3, 0.5]
    assert (results.method, results.grade, results.sigma) == ("ds", Grade.CONDITIONAL, None)
    said = " ".join(results.notes)
    assert "0.3 to 0.5, so the radii are conditional on sigma_x" in said
    assert ("ellipsoid" in said) == (dialect == "ancer")


def test_answers_that_are_all_wrong_are_said() -> None:
    def log(rows: int, predict: int = 2, label: int = 1) -> str:
        wrong = "".join(f"{i}\t{label}\t{predict}\t.3\t0\t1\n" for i in range(rows))
        return COHEN + wrong

    hint = "None of 10 images is right, and none abstains: the order of the classes"
    assert hint in notes_of(log(10))
    for other in (
        log(9),
        log(10, predict=-1),
        log(10) + "10\t1\t1\t.3\t1\t1\n",
        log(10) + "10\t1\t-1\t0\t0\t1\n",
    ):
        assert "None of" not in notes_of(other)
    votes = ",".join(cells_of(own_log(1))["n"] if i == 1 else "0" for i in range(10))
    wrong = {"label": "0", "predict": "1", "candidate": "1", "counts": votes, "radius": ".1"}
    ours = [own_log(1, idx=str(i), **wrong) for i in range(10)]
    text = "\n".join([ours[0].splitlines()[0], *(log.splitlines()[1] for log in ours), ""])
    assert hint in notes_of(text)


@pytest.mark.parametrize(
    ("header", "row", "dialect", "expected"),
    [
        (
            "idx label predict radius correct time",
            "4 6 6 0.339 1 0:00:14.2",
            "cohen",
            (4, 6, 6, 0.339, True, 14.2, None),
        ),
        (
            "idx label predict radius correct sigma time",
            "4 6 2 7.11e-05 0 0.31 0:00:15",
            "ddrs-authors",
            (4, 6, 2, 7.11e-05, False, 15.0, 0.31),
        ),
        (
            "idx label predict correct time",
            "4 6 6 1 15.4",
            "predict",
            (4, 6, 6, 0.0, True, 15.4, None),
        ),
        (
            "idx label predict basePredict correct time",
            "4 6 -1 6 0 0:01:00",
            "base-predict",
            (4, 6, -1, 0.0, False, 60.0, None),
        ),
        (
            "idx label predict radius radius_proxy correct min_sigma time",
            "4 6 6 0.5 0.8 1 0.12 1:00:00.5",
            "ancer",
            (4, 6, 6, 0.5, True, 3600.5, 0.12),
        ),
        (
            "original_idx label predict radius correct time",
            "4999 6 6 1.2 1 3",
            "original-idx",
            (4999, 6, 6, 1.2, True, 3.0, None),
        ),
        (
            "idx label predict radius good correct time",
            "4 6 6 0.1 1 1 2",
            "relative",
            (4, 6, 6, 0.1, True, 2.0, None),
        ),
        ("idx predict radius correct", "4 6 .1 1", "relative", (4, None, 6, 0.1, True, None, None)),
        ("idx label predict radius", "4 6 6 0.1", "relative", (4, 6, 6, 0.1, True, None, None)),
    ],
)
def test_dialects(header: str, row: str, dialect: str, expected: tuple[object, ...]) -> None:
    text = f"{header}\n{row}\n".replace(" ", "\t")
    assert rows_of(text) == [expected]
    assert parse_log(text.encode(), "x.tsv").dialect == dialect


def test_what_columns_mean_is_said() -> None:
    assert "without radii" in notes_of("idx\tlabel\tpredict\tcorrect\ttime\n1\t2\t2\t1\t3\n")
    assert "ellipsoid" in notes_of("idx\tlabel\tpredict\tradius\tradius_proxy\n1\t2\t2\t1\t3\n")
    assert "good" in notes_of("idx\tlabel\tpredict\tradius\tgood\n1\t2\t2\t1\t3\n")


def test_a_sigma_that_differs_means_a_data_dependent_method() -> None:
    head = "idx\tlabel\tpredict\tradius\tcorrect\tsigma\ttime\n"
    same = parse_log(f"{head}0\t1\t1\t.3\t1\t.25\t1\n1\t1\t1\t.3\t1\t.25\t1\n".encode(), "x")
    assert (same.method, same.sigma) == ("fixed", 0.25)
    other = parse_log(f"{head}0\t1\t1\t.3\t1\t.25\t1\n1\t1\t1\t.3\t1\t.5\t1\n".encode(), "x")
    assert (other.method, other.sigma) == ("ds", None)


@pytest.mark.parametrize(
    ("text", "expected", "said"),
    [
        ("idx \t label\tpredict\t radius \tcorrect\ttime\n3\t1\t1\t0.5\t1\t2\n", 0.5, "padded"),
        ("\ufeff" + COHEN + "3\t1\t1\t0.5\t1\t2\n", 0.5, "byte order mark"),
        (COHEN.replace("\n", "\r") + "3\t1\t1\t0.5\t1\t2\r", 0.5, "CR alone"),
        (COHEN.replace("\n", "\r\n") + "3\t1\t1\t0.5\t1\t2\r\n", 0.5, "Windows"),
        (COHEN + "3\t1\t1\t0.5\t1\t2\n\n", 0.5, "Empty lines"),
        (COHEN + "3\t1\t1\t0.5\t1\t2\n4\t1\t1\t0.", 0.5, "line 3) is cut off"),
        (COHEN + "3\t1\t1\t0.5\t1\t2", 0.5, "has no end"),
        (COHEN + "3\t1\t-1\t-0.3\t0\t2\n", 0.0, "Negative radii"),
        (COHEN + "3\t1\t1\t-0.3\t1\t2\n", 0.0, "Negative radii"),
        (COHEN + "3\t1\t-1\tnan\t0\t2\n", 0.0, "no number"),
        (COHEN + "3\t1\t-1\t0.5\t0\t2\n", 0.0, "Abstentions with a radius"),
        (COHEN + "3\t1\t1\t0.5\t0\t2\n", 0.5, "correct contradicts"),
        (COHEN + "3\t1\t1\t0.5\t1\t2\n3\t1\t1\t0.5\t1\t9\n", 0.5, "Repeated images"),
        (COHEN + "3\t1\t1\t0.5\t1\t2\n" + COHEN, 0.5, "header is repeated"),
        (COHEN + "3\t\t1\t0.5\t0\t2\n", 0.5, "has a label"),
    ],
)
def test_nothing_is_repaired_silently(text: str, expected: float, said: str) -> None:
    (row,) = rows_of(text)
    assert row[3] == expected
    assert said in notes_of(text)


def test_a_negative_radius_certifies_nothing() -> None:
    results = parse_log((COHEN + "3\t1\t1\t-0.3\t1\t2\n").encode(), "x")
    assert results.abstained.all()
    assert certified_accuracy(results, [0.0]) == [0.0]


def test_notes_name_the_first_line_and_count() -> None:
    rows = "".join(f"{i}\t1\t-1\t-0.1\t0\t2\n" for i in range(12))
    assert "12 lines (the first is line 2)" in notes_of(COHEN + rows)


@pytest.mark.parametrize("path", OURS[:1], ids=lambda path: path.stem)
def test_a_file_cut_anywhere_keeps_its_whole_lines(path: Path) -> None:
    data = path.read_bytes()
    whole = read_log(path).rows
    for size in range(len(HEADER), len(data), 1009):
        found = parse_log(data[:size], "cut.tsv").rows
        assert found == whole[: max(0, data[:size].count(b"\n") - 1)]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ("3\t1\t1\t0.5\t1\n", 2),
        ("3\t1\t1\t0.5\t1\t2\t7\n", 2),
        ("3\t1\t1\tnan\t1\t2\n", 2),
        ("3\t1\t1\tinf\t1\t2\n", 2),
        ("3\t1\t1\t1e300\t1\t2\n", 2),
        ("3\t1\t1\t0.5\t7\t2\n", 2),
        ("3\t1\t-2\t0.5\t0\t2\n", 2),
        ("-3\t1\t1\t0.5\t1\t2\n", 2),
        ("3\t1.5\t1\t0.5\t1\t2\n", 2),
        ("3\t1\t1\t0.5\t1\t-2\n", 2),
        ("3\t1\t1\t0.5\t1\tsoon\n", 2),
        ("3\t1\t1\t0.5\t1\t2\n" + "9" * 5000 + "\t1\t1\t0.5\t1\t2\n", 3),
        ("3\t1\t1\t0.5\t1\t2\n3\t1\t1\t0.7\t1\t2\n", 3),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line(rows: str, line: int) -> None:
    with pytest.raises(LogError, match=f"Line {line} of some.tsv") as error:
        rows_of(COHEN + rows)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"something else\n", "not a certification log"),
        (b"a\tb\n1\t2\n", "not a certification log"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not a certification log"),
        (b"\xff\xfei\x00d\x00x\x00", "not a certification log"),
        (b"\xe9t\xe9\n", "not a certification log"),
        (b"idx\tidx\tlabel\tpredict\n", "twice"),
        (b"idx\toriginal_idx\tlabel\tpredict\n", "twice"),
        (b"x" * 300_000, "too long"),
        (b"\n" * 300_000, "too many"),
        (COHEN.encode() + b"\t" * 200_001, "too long"),
        (b"x" * (64 * 2**20 + 1), "larger than 64 MB"),
        (b"\r" * 300_000, "too many"),
    ],
)
def test_what_is_no_log_is_refused_in_words(data: bytes, said: str) -> None:
    started = time.process_time()
    tracemalloc.start()
    with pytest.raises(LogError, match=said) as error:
        parse_log(data, "x.tsv")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(str(error.value)) < 400
    assert peak < 16 * 2**20 + 4 * len(data)
    assert time.process_time() - started < 20


def test_votes_of_very_many_classes_do_not_fill_the_memory() -> None:
    line = next(line for line in OURS[0].read_text().splitlines()[1:])
    cells = line.split("\t")
    cells[HEADER.split("\t").index("counts")] = "100000 classes,3:10000"
    head = OURS[0].read_text().splitlines()[0]
    rows = ["\t".join([str(i), *cells[1:]]) for i in range(3000)]
    tracemalloc.start()
    with pytest.raises(LogError, match="too many vote counts"):
        parse_log("\n".join([head, *rows, ""]).encode(), "x.tsv")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 700 * 2**20


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="cannot be read"):
        read_log(tmp_path / "nowhere.tsv")


def test_random_damage_is_read_or_refused_in_words() -> None:
    rng = np.random.default_rng(0)
    good = (COHEN + "".join(f"{i}\t1\t1\t0.5\t1\t0:00:01\n" for i in range(20))).encode()
    for _ in range(500):
        data = bytearray(good)
        for at in rng.integers(0, len(data), size=3):
            data[at] = rng.integers(0, 256)
        try:
            results = parse_log(bytes(data), "x.tsv")
        except LogError:
            continue
        assert np.isfinite(results.radii).all()
        assert (results.radii >= 0).all()
