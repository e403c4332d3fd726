"""``train``: its contracts, its options, and the road of wrong input."""

from __future__ import annotations

import dataclasses
import json
import shlex

import pytest

from ddrs_core.cli import _parser
from ddrs_core.cli.train import train_config
from ddrs_core.models import load_checkpoint
from ddrs_core.parameters import option, prefixed, values_of
from ddrs_core.runs.argv import command_lines
from ddrs_core.runs.training.log import log_digest
from ddrs_core.training import METHODS, SigmaTraining, SmoothAdv, TrainConfig

pytestmark = pytest.mark.usefixtures("one_thread")

BASE = ("train", "--dataset", "digits", "--device", "cpu")
GAUSSIAN = (*BASE, "--method", "gaussian", "--sigma", 0.25)
QUICK = ("--epochs", 1, "--batch-size", 432)


def config_of(*words: object) -> TrainConfig:
    """The run that some options describe."""
    given = [*map(str, words), "--out", "/tmp/nowhere"]
    return train_config(_parser().parse_args(given))


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("--method", "gaussian", "--sigma", 0.5), "digits-gaussian-0.50"),
        (("--method", "gaussian", "--sigma", 0.5, "--data-dependent"), "digits-gaussian-ds2-0.50"),
        (("--method", "macer", "--sigma", 0.25, "--copies", 2), "digits-macer-0.25"),
        (
            ("--method", "smoothadv", "--sigma", 1, "--data-dependent", "--attack-steps", 1),
            "digits-smoothadv-ds2-1.00",
        ),
        (("--method", "gaussian", "--sigma", 0.5, "--name", "mine-1.0"), "mine-1.0"),
    ],
)
def test_exactly_one_model_of_the_right_name_with_its_card(command, tmp_path, words, name):
    outcome = command(*BASE, *words, *QUICK, "--out", tmp_path / "new", "--json")
    assert outcome.code == 0, outcome.err
    (path,) = (tmp_path / "new").glob("*.safetensors")
    assert path.stem == name
    assert path.with_suffix(".json").exists()
    card = load_checkpoint(path).card
    told = json.loads(outcome.out)
    assert told.pop("path") == str(path)
    assert told == json.loads(json.dumps(card.to_dict()))
    assert card.name == name
    assert {"clean", "noise 0.12", "noise 0.25", "noise 0.50"} <= set(card.accuracy)
    assert card.own_noise_accuracy is not None
    assert card.log_digest == log_digest(path.with_name(f"{name}.log.jsonl"))
    assert card.command.endswith(f"--out {tmp_path / 'new'}")
    assert outcome.err == ""


def test_for_people_it_says_what_was_saved(command, tmp_path):
    outcome = command(*GAUSSIAN, *QUICK, "--out", tmp_path)
    assert outcome.out.startswith(f"Saved {tmp_path}/digits-gaussian-0.25.safetensors (89,658")
    assert "accuracy, noise 0.25:" in outcome.out
    outcome = command(*GAUSSIAN, *QUICK, "--out", tmp_path)
    assert outcome.code == 2
    assert "--resume" in outcome.err
    assert "--overwrite" in outcome.err
    resumed = command(*GAUSSIAN, *QUICK, "--out", tmp_path, "--resume")
    assert (resumed.code, resumed.out[:5]) == (0, "Saved")
    other = command(*GAUSSIAN, *QUICK, "--seed", 1, "--out", tmp_path, "--resume")
    assert other.code == 2
    assert "seed = 0, not 1" in other.err
    assert command(*GAUSSIAN, *QUICK, "--seed", 1, "--out", tmp_path, "--overwrite").code == 0


def test_resume_without_a_run_starts_afresh(command, tmp_path):
    assert command(*GAUSSIAN, *QUICK, "--out", tmp_path / "new", "--resume").code == 0
    assert (tmp_path / "new" / "digits-gaussian-0.25.safetensors").exists()


DS = ("--data-dependent",)
WRONG = [
    (("--dataset", "digitz"), "'digits'"),
    (("--method", "gausian"), "'gaussian'"),
    (("--sigma", "nan"), "finite"),
    (("--sigma", 0), "above 0"),
    (("--sigma", "wide"), "--sigma"),
    (("--epochs", 0), "epochs"),
    (("--epochs", 1.5), "--epochs"),
    (("--batch-size", 1), "batch size"),
    (("--batch-size", 2000), "batch size"),
    (("--lr", -1), "learning rate"),
    (("--momentum", 1), "momentum"),
    (("--ema", 1), "moving average"),
    (("--clip", -1), "clip"),
    (("--warmup", 1000), "warm-up"),
    (("--schedule", "cosin"), "'cosine'"),
    (("--augmentation", "flipp"), "'flip'"),
    (("--precision", "fp8"), "fp32"),
    (("--seed", -1), "seed"),
    (("--name", "../escape"), "letters"),
    (("--architecture", "digit_cnn"), "'digits_cnn'"),
    (("--architecture", "cifar_resnet20"), "digits_cnn"),
    (("--init", "digits-gausian-0.25"), "'digits-gaussian-0.25'"),
    (("--init", "cifar10-resnet20-gaussian-0.25"), "cifar_resnet20"),
    (("--device", "cuda:99"), "GPU"),
    (("--out", "/proc/models"), "/proc/models"),
    (("--copies", 2), "--copies means nothing to method 'gaussian'"),
    (("--beta", 2), "--beta means nothing"),
    (("--method", "macer", "--epsilon", 1), "--epsilon means nothing to method 'macer'"),
    (("--method", "smoothadv", "--gamma", 1), "--gamma means nothing to method 'smoothadv'"),
    (("--method", "smoothadv", "--epsilon", 0), "epsilon"),
    (("--method", "macer", "--copies", 0), "copies"),
    (("--sigma-lr", 0.1), "--sigma-lr goes with --data-dependent only"),
    (("--sigma-max", 0.5), "--sigma-max goes with --data-dependent only"),
    ((*DS, "--sigma-steps", 0), "sigma steps"),
    ((*DS, "--sigma-clamp", 0.5), "clamp"),
    ((*DS, "--sigma-min", 3), "smallest sigma"),
    (("--resume", "--overwrite"), "not allowed"),
    (("--frobnicate",), "--frobnicate"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=lambda w: shlex.join(map(str, w)))
def test_wrong_input_is_one_line_and_code_2(command, tmp_path, words, said):
    outcome = command(*GAUSSIAN, "--out", tmp_path / "new", *words)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert len(outcome.err.splitlines()) == 1
    assert said.lower() in outcome.err.lower()
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize("missing", ["--dataset", "--method", "--sigma", "--out"])
def test_what_is_needed(command, tmp_path, missing):
    words = list(map(str, (*GAUSSIAN, "--out", tmp_path)))
    at = words.index(missing)
    outcome = command(*words[:at], *words[at + 2 :])
    assert outcome.code == 2
    assert missing in outcome.err


def test_overwriting_with_wrong_input_loses_nothing(command, tmp_path):
    assert command(*GAUSSIAN, *QUICK, "--out", tmp_path).code == 0
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    name = "digits-gaussian-0.25"
    for words, _ in WRONG:
        command(*GAUSSIAN, "--name", name, "--out", tmp_path, *words, "--overwrite")
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


# --- Options --------------------------------------------------------------------------------


def test_help_names_every_field(command):
    words = set(command("train", "--help").out.replace(",", " ").split())
    config = config_of(*BASE, "--method", "macer", "--sigma", 0.4, *DS)
    names = [*values_of(config), "method", "data_dependent", *values_of(config.method)]
    names += values_of(SmoothAdv())
    names += [prefixed(name, "sigma_") for name in values_of(config.data_dependent)]
    for name in (*names, "out", "resume", "overwrite", "device", "json", "quiet"):
        assert option(name) in words


VALUES = {
    "epochs": 7,
    "batch_size": 64,
    "lr": 0.03,
    "schedule": "step",
    "warmup": 1.5,
    "momentum": 0.8,
    "weight_decay": 3e-4,
    "clip": 0.7,
    "ema": 0.99,
    "augmentation": "shift",
    "init": "digits-gaussian-0.25",
    "precision": "fp32",
}
METHOD_VALUES = {
    "gaussian": {},
    "smoothadv": {"copies": 3, "epsilon": 0.6, "attack_steps": 5, "attack_warmup": 2.5},
    "macer": {"copies": 5, "robustness_weight": 6.0, "gamma": 4.0, "beta": 8.0},
    "consistency": {"copies": 4, "consistency_weight": 5.0, "entropy_weight": 0.25},
}
SIGMA_VALUES = {"steps": 3, "samples": 4, "lr": 0.01, "start": 2.0, "clamp": 0.01, "beta": 2.0}


def words_of(values: dict[str, object], prefix: str = "") -> list[object]:
    return [word for name, value in values.items() for word in (option(prefix + name), value)]


@pytest.mark.parametrize("method", METHODS)
def test_options_reach_the_run_and_come_back_on_the_card_s_command(method):
    config = config_of(
        *BASE,
        "--method",
        method,
        "--sigma",
        0.4,
        *words_of(VALUES),
        *DS,
        *words_of(METHOD_VALUES[method]),
        *words_of(SIGMA_VALUES, "sigma_"),
        "--sigma-min",
        0.2,
        "--sigma-max",
        0.9,
        "--seed",
        11,
        "--name",
        "mine",
        "--compile",
    )
    assert {name: getattr(config, name) for name in VALUES} == VALUES
    assert dataclasses.asdict(config.method) == METHOD_VALUES[method]
    assert config.data_dependent == SigmaTraining(**SIGMA_VALUES, bounds=(0.2, 0.9))
    assert (config.sigma, config.seed, config.name, config.compile) == (0.4, 11, "mine", True)
    for run in (config, config_of(*BASE, "--method", method, "--sigma", 0.1 + 0.2, *DS)):
        words = shlex.split(command_lines([run], "--out", "/tmp/a folder"))
        assert words[-1] == "/tmp/a folder"
        assert config_of(*words[3:-2]) == run


def test_the_first_architecture_that_fits_is_taken():
    assert config_of(*GAUSSIAN).architecture == "digits_cnn"
