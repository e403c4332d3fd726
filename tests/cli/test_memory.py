"""``memory``: images of a data set are certified, settled, looked up and checked."""

from __future__ import annotations

import json
import sqlite3
import zipfile

import pytest

from ddrs_core.smoothing import Certificate
from ddrs_core.store import MemoryBank

DIGITS = (
    "--dataset",
    "digits",
    "--model",
    "digits-gaussian-0.50",
    "--n",
    1000,
    "--device",
    "cpu",
)
ADD = ("memory", "add", "--bank", "mine", *DIGITS)


@pytest.fixture(autouse=True)
def database(tmp_path, monkeypatch):
    monkeypatch.setenv("DDRS_DATABASE_URL", f"sqlite:///{tmp_path}/banks.sqlite3")


def answer(outcome):
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def test_images_are_added_looked_up_and_checked(command, tmp_path):
    assert "No memory banks yet" in command("memory", "list").out
    added = answer(command(*ADD, "--index", 0, 5, 10, "--json"))
    assert [s["index"] for s in added["settlements"]] == [0, 5, 10]
    for s in added["settlements"]:
        assert s["certificate"]["grade"] == "for queries after x"
        assert s["certificate"]["radius"] == s["radius"] >= s["claimed_radius"] > 0
    bank = added["bank"]
    assert (bank["settled"], bank["stored"]) == (3, 3)
    assert bank["failure"] == bank["expected_wrong"] == pytest.approx(0.003)
    assert bank["kind"]["class_names"] == [str(d) for d in range(10)]
    looked = answer(
        command("memory", "lookup", "--bank", bank["id"], *DIGITS, "--index", 0, 1, "--json")
    )
    assert looked["bank"]["settled"] == 3
    first, second = looked["settlements"]
    assert first["inside"][0]["ball"] == 1
    assert first["inside"][0]["slack"] == -added["settlements"][0]["radius"]
    assert first["radius"] == added["settlements"][0]["radius"]
    assert second["serial"] is None
    text = command("memory", "lookup", "--bank", "mine", *DIGITS, "--index", 0)
    assert "inside 1 ball" in text.out
    more = command(*ADD, "--index", 20, "--method", "ds", "--preset", "fast", "--steps", 3)
    assert more.code == 0
    assert "4 balls" in more.out
    assert "20  " in more.out
    assert "no two of 4 balls" in command("memory", "check", "--bank", "mine").out
    check = answer(command("memory", "check", "--bank", "mine", "--json"))
    assert check["holds"]
    assert check["tightest"]["gap"] > 0
    assert "4 balls" in command("memory", "list").out
    (listed,) = answer(command("memory", "list", "--json"))
    assert listed["id"] == bank["id"]


def test_radii_are_printed_rounded_down(command):
    added = answer(command(*ADD, "--index", 0, "--json"))["settlements"][0]
    text = command("memory", "lookup", "--bank", "mine", *DIGITS, "--index", 0).out
    printed = text.split("radius ")[1].split()[0]
    assert len(printed) == len("0.123")
    assert 0 <= added["radius"] - float(printed) < 0.001


def test_a_bank_goes_into_a_file_and_back(command, tmp_path):
    bank = answer(command(*ADD, "--index", 0, 5, "--json"))["bank"]
    out = tmp_path / "bank.zip"
    assert "2 balls" in command("memory", "export", "--bank", "mine", "--out", out).out
    assert "--overwrite" in command("memory", "export", "--bank", "mine", "--out", out).err
    nowhere = tmp_path / "nowhere" / "bank.zip"
    err = command("memory", "export", "--bank", "mine", "--out", nowhere).err
    assert f"{nowhere} cannot be written: No such file or directory" in err
    assert command("memory", "export", "--bank", "mine", "--out", out, "--overwrite").code == 0
    assert "already" in command("memory", "import", out).err
    imported = answer(command("memory", "import", out, "--bank", "theirs", "--json"))
    assert imported["differing"] == 0
    assert imported["bank"]["fingerprint"] == bank["fingerprint"]
    assert command("memory", "delete", "--bank", "mine").code == 0
    (left,) = answer(command("memory", "list", "--json"))
    assert left["name"] == "theirs"


def test_a_decaying_budget_sets_alpha_image_by_image(command):
    words = (*ADD, "--budget", "decaying", "--total-alpha", 0.05, "--index", 0, 5, 10, "--json")
    added = answer(command(*words))
    alphas = [s["certificate"]["alpha"] for s in added["settlements"]]
    assert alphas == pytest.approx([0.0304, 0.0076, 0.00338], abs=1e-4)
    assert added["bank"]["next_alpha"] == pytest.approx(alphas[0] / 16)
    refused = command(*ADD, "--index", 15, "--alpha", 0.01)
    assert refused.code == 2
    assert "may spend an alpha of at most" in refused.err


def test_a_planned_number_is_all_that_comes(command):
    words = (*ADD, "--budget", "total", "--total-alpha", 0.02, "--planned", 2)
    outcome = command(*words, "--index", 0, 5, 10)
    assert outcome.code == 2
    assert "planned" in outcome.err
    (bank,) = answer(command("memory", "list", "--json"))
    assert (bank["settled"], bank["next_alpha"]) == (2, 0.0)


def test_a_broken_bank_is_code_2(command, tmp_path):
    answer(command(*ADD, "--index", 0, 5, "--json"))
    with sqlite3.connect(tmp_path / "banks.sqlite3") as file:
        file.execute("UPDATE balls SET radius = 5")
    outcome = command("memory", "check", "--bank", "mine")
    assert outcome.code == 2
    assert "balls 1 (class 6) and 2 (class 0) overlap" in outcome.err
    assert outcome.out == ""
    outcome = command("memory", "check", "--bank", "mine", "--json")
    assert outcome.code == 2
    assert not json.loads(outcome.out)["holds"]


def test_certificates_that_nothing_proves_are_refused_and_found(command, tmp_path):
    """Somebody gave a ball a radius: in a file that comes from elsewhere, or in the bank."""
    answer(command(*ADD, "--index", 0, 5, "--json"))
    out = tmp_path / "bank.zip"
    assert command("memory", "export", "--bank", "mine", "--out", out).code == 0
    with zipfile.ZipFile(out) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    first, second = (json.loads(line) for line in members["balls.jsonl"].splitlines())
    first["certificate"]["radius"] = first["radius"] = 50.0
    members["balls.jsonl"] = b"".join(json.dumps(e).encode() + b"\n" for e in (first, second))
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    refused = command("memory", "import", out, "--bank", "theirs")
    assert refused.code == 2
    assert "the certificate of ball 1 is not proved by its own votes" in refused.err
    assert "claims 50" in refused.err
    assert [bank["name"] for bank in answer(command("memory", "list", "--json"))] == ["mine"]

    bank = MemoryBank.find(None, "mine")
    certificate = Certificate.from_dict(
        {**bank.balls()[0].certificate.to_dict(), "prediction": 7, "candidate": 7, "radius": 9.0}
    )
    bank.settle(bank.image(1) * 0, certificate)
    assert command("memory", "check", "--bank", "mine").code == 2
    found = command("memory", "check", "--bank", "mine", "--json")
    assert found.code == 2
    assert not json.loads(found.out)["holds"]
    (said,) = json.loads(found.out)["unproved"]
    assert said.startswith("ball 3:")
    assert "ball 3:" in found.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("memory",), "ACTION"),
        (("memory", "check", "--bank", "nothing"), "no memory bank 'nothing'"),
        (("memory", "delete", "--bank", "nothing"), "no memory bank 'nothing'"),
        (("memory", "lookup", "--bank", "nothing", *DIGITS), "no memory bank 'nothing'"),
        (("memory", "export", "--bank", "nothing", "--out", "x.zip"), "no memory bank"),
        (("memory", "import", "nothing.zip"), "nothing.zip cannot be read"),
        (("memory", "add", "--bank", "x"), "--dataset"),
        ((*ADD, "--out", "x.tsv"), "--out does not go with memory"),
        ((*ADD, "--run", "x"), "--run does not go with memory"),
        ((*ADD, "--sigma", 0.25, 0.5), "one sigma at a time"),
        ((*ADD, "--planned", 3), "need --budget"),
        ((*ADD, "--budget", "lots"), "no alpha budget 'lots'"),
        ((*ADD, "--budget", "total"), "total alpha"),
        ((*ADD, "--bank", ""), "name"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(command, words, said):
    outcome = command(*words)
    assert outcome.code == 2
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1
    assert said in outcome.err


def test_a_bank_of_another_model_is_refused(command):
    answer(command(*ADD, "--index", 0, "--json"))
    other = ["digits-gaussian-0.25" if w == "digits-gaussian-0.50" else w for w in DIGITS]
    for action in ("add", "lookup"):
        outcome = command("memory", action, "--bank", "mine", *other, "--index", 0)
        assert outcome.code == 2
        assert "belongs to the model" in outcome.err
