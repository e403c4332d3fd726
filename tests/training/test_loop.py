"""Training learns, repeats itself, goes on where it was, and leaves its surroundings alone."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ddrs_core.data import load_dataset
from ddrs_core.errors import DDRSError, InvalidParameterError, MismatchError, UnknownNameError
from ddrs_core.models import (
    Classifier,
    ModelCard,
    Normalization,
    build_classifier,
    load_model,
    save_checkpoint,
    weights_digest,
)
from ddrs_core.training import (
    METHODS,
    BatchSummary,
    EpochSummary,
    Gaussian,
    SigmaTraining,
    SmoothAdv,
    TrainConfig,
    Trainer,
    measure_accuracy,
    recipe,
    train_steps,
)
from ddrs_core.training.methods.base import TrainingMethod
from ddrs_core.training.methods.consistency import Consistency
from ddrs_core.training.methods.macer import Macer

CPU = torch.device("cpu")
SHORT = TrainConfig(
    "digits", "digits_cnn", sigma=0.25, epochs=3, batch_size=432, precision="fp32", seed=1
)
BATCHES = 3  # of an epoch: 1,297 // 432


def train(config: TrainConfig) -> tuple[Classifier, list[BatchSummary | EpochSummary]]:
    steps = list(Trainer(config, CPU).steps(report_seconds=0.0))
    last = steps[-1]
    assert isinstance(last, EpochSummary)
    assert last.classifier is not None
    return last.classifier, steps


@pytest.fixture(scope="module")
def trained() -> tuple[Classifier, list[BatchSummary | EpochSummary]]:
    return train(SHORT)


# --- Learning -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("data_dependent", [False, True], ids=["one sigma", "ds2"])
@pytest.mark.parametrize(
    ("method", "changes", "reached"),
    [
        (Gaussian(), {"epochs": 3}, 0.80),
        (SmoothAdv(attack_steps=2, attack_warmup=1.0), {"epochs": 3}, 0.80),
        (Macer(copies=4), {"epochs": 3, "clip": 1.0}, 0.50),
        (Consistency(), {"epochs": 3}, 0.80),
    ],
    ids=["gaussian", "smoothadv", "macer", "consistency"],
)
def test_a_few_epochs_learn(
    method: TrainingMethod, changes: dict[str, Any], reached: float, data_dependent: bool
) -> None:
    config = dataclasses.replace(
        SHORT,
        method=method,
        batch_size=128,
        **changes,
        data_dependent=SigmaTraining() if data_dependent else None,
    )
    classifier, steps = train(config)
    first, *_, last = [s for s in steps if isinstance(s, EpochSummary)]
    accuracy = measure_accuracy(classifier, "digits", (0.25,), copies=2, precision="fp32")
    assert accuracy["clean"] > reached  # chance is 0.10
    assert accuracy["noise 0.25"] > reached - 0.05
    assert last.accuracy > first.accuracy
    if last.sigma is not None:
        assert len(last.sigma.moved) > 8


def test_measuring_repeats_itself(trained: tuple[Classifier, list[Any]]) -> None:
    first = measure_accuracy(trained[0], "digits", (0.5,), copies=2)
    assert first == measure_accuracy(trained[0], "digits", (0.5,), copies=2)
    assert set(first) == {"clean", "noise 0.50"}


# --- What is reported -----------------------------------------------------------------------


def test_every_batch_and_epoch_is_reported(trained: tuple[Classifier, list[Any]]) -> None:
    batches = [s for s in trained[1] if isinstance(s, BatchSummary)]
    epochs = [s for s in trained[1] if isinstance(s, EpochSummary)]
    assert [(b.epoch, b.batch) for b in batches] == [
        (e, b) for e in (1, 2, 3) for b in range(1, BATCHES + 1)
    ]
    assert {b.batches for b in batches} == {BATCHES}
    assert [e.epoch for e in epochs] == [1, 2, 3]
    assert [e.classifier is None for e in epochs] == [True, True, False]
    for epoch in epochs:  # the mean of its batches
        mine = [b for b in batches if b.epoch == epoch.epoch]
        assert epoch.loss == pytest.approx(sum(b.loss for b in mine) / BATCHES)
        assert epoch.accuracy == pytest.approx(sum(b.accuracy for b in mine) / BATCHES)
    lrs = [e.lr for e in epochs]
    assert 0 < lrs[-1] < lrs[0] < SHORT.lr  # a cosine
    json.dumps([e.to_dict() for e in epochs])


def test_rare_reports_tell_the_mean_of_all_batches_since(
    trained: tuple[Classifier, list[Any]],
) -> None:
    rare = list(Trainer(SHORT, CPU).steps(report_seconds=99.0))
    assert [type(s) for s in rare] == [BatchSummary, EpochSummary] * 3
    often = [s for s in trained[1] if isinstance(s, EpochSummary)]
    for batch, epoch, expected in zip(rare[::2], rare[1::2], often, strict=True):
        assert isinstance(batch, BatchSummary)
        assert batch.batch == BATCHES
        assert batch.loss == pytest.approx(expected.loss)
        assert epoch.loss == pytest.approx(expected.loss)


def test_the_result_is_ready_to_use(trained: tuple[Classifier, list[Any]]) -> None:
    classifier = trained[0]
    assert not any(m.training for m in classifier.modules())
    assert not any(p.requires_grad for p in classifier.parameters())
    card = classifier.card
    assert card.digest == weights_digest(classifier.network)
    assert (card.name, card.method, card.sigma, card.seed) == (
        "digits-gaussian-0.25",
        "gaussian",
        0.25,
        1,
    )
    assert ModelCard.from_dict(json.loads(json.dumps(card.to_dict()))).training["epochs"] == 3
    pixels = load_dataset("digits", "train").tensors()[0]
    assert card.normalization.mean[0] == pytest.approx(float(pixels.mean()), abs=1e-4)
    assert card.normalization.std[0] == pytest.approx(float(pixels.std()), abs=1e-4)


def test_names_follow_method_sigma_and_data_dependence() -> None:
    ds = dataclasses.replace(SHORT, data_dependent=SigmaTraining(), sigma=0.5)
    assert ds.model_name == "digits-gaussian-ds2-0.50"
    assert dataclasses.replace(ds, method=Macer()).model_name == "digits-macer-ds2-0.50"
    assert dataclasses.replace(SHORT, method=SmoothAdv()).model_name == "digits-smoothadv-0.25"
    assert dataclasses.replace(ds, name="mine").model_name == "mine"


# --- Repeating ------------------------------------------------------------------------------


def test_the_seed_decides(trained: tuple[Classifier, list[Any]]) -> None:
    again = train(SHORT)[0]
    other = train(dataclasses.replace(SHORT, seed=2))[0]
    assert trained[0].card.digest == again.card.digest != other.card.digest


def test_the_seed_decides_the_start_too() -> None:
    starts = {seed: Trainer(dataclasses.replace(SHORT, seed=seed), CPU) for seed in (1, 2)}
    digests = {weights_digest(t.classifier.network) for t in starts.values()}
    assert len(digests) == 2


def test_an_epoch_shows_each_image_once_and_in_another_order() -> None:
    images = load_dataset("digits", "train").tensors()[0]
    seen: list[Tensor] = []

    @dataclasses.dataclass(frozen=True)
    class Watched(Gaussian):
        def loss(self, learner: Any, batch: Any) -> Any:
            seen.append(batch.images)
            return super().loss(learner, batch)

    train(dataclasses.replace(SHORT, method=Watched(), epochs=2))
    first, second = torch.cat(seen[:BATCHES]), torch.cat(seen[BATCHES:])
    for epoch in (first, second):
        assert len(epoch.flatten(1).unique(dim=0)) == BATCHES * 432
        assert float(torch.cdist(epoch.flatten(1), images.flatten(1)).min(1)[0].max()) == 0
    assert not torch.equal(first, second)


def test_the_noise_of_every_step_and_seed_is_fresh() -> None:
    seen: list[Tensor] = []

    @dataclasses.dataclass(frozen=True)
    class Watched(Gaussian):
        def loss(self, learner: Any, batch: Any) -> Any:
            seen.append(batch.draw(1))
            return super().loss(learner, batch)

    for seed in (1, 2):
        train(dataclasses.replace(SHORT, method=Watched(), epochs=1, seed=seed))
    flat = torch.stack(seen).flatten(1)
    agreement = torch.corrcoef(flat) - torch.eye(len(flat))
    assert float(agreement.abs().max()) < 0.05
    assert float(flat.std()) == pytest.approx(1.0, abs=0.01)


def test_the_global_generator_stays() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    list(Trainer(dataclasses.replace(SHORT, epochs=1), CPU).steps())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode], ids=lambda m: m.__name__)
@pytest.mark.parametrize("method", [Gaussian(), SmoothAdv(attack_steps=1)], ids=lambda m: m.name)
def test_a_consumer_in_another_mode_sees_the_same_run(
    mode: Callable[[], Any], method: TrainingMethod
) -> None:
    config = dataclasses.replace(
        SHORT,
        method=method,
        epochs=2,
        data_dependent=SigmaTraining(),
        ema=0.9,
        augmentation="shift",
    )
    expected, _ = train(config)
    with mode():
        inside, _ = train(config)
        assert not torch.is_grad_enabled()
    assert inside.card.digest == expected.card.digest
    steps, mixed = Trainer(config, CPU).steps(report_seconds=0.0), []
    while True:
        with mode() if len(mixed) % 2 else torch.enable_grad():
            step = next(steps, None)
        if step is None:
            break
        mixed.append(step)
    assert mixed[-1].classifier.card.digest == expected.card.digest  # type: ignore[union-attr]


def test_the_data_set_stays() -> None:
    images, labels = (t.clone() for t in load_dataset("digits", "train").tensors())
    attack = dataclasses.replace(
        SHORT, method=SmoothAdv(attack_steps=1), epochs=1, augmentation="flip-shift"
    )
    list(train_steps(attack, CPU))
    again, labels_again = load_dataset("digits", "train").tensors()
    assert torch.equal(images, again)
    assert torch.equal(labels, labels_again)


# --- Going on -------------------------------------------------------------------------------

RUNS = {
    "cosine": SHORT,
    "step, ema, clip, warm-up": dataclasses.replace(
        SHORT, schedule="step", ema=0.9, clip=0.5, warmup=1.5, augmentation="flip-shift"
    ),
    "one-cycle, no momentum": dataclasses.replace(SHORT, schedule="one-cycle", momentum=0.0),
    "constant, ds, smoothadv": dataclasses.replace(
        SHORT,
        schedule="constant",
        data_dependent=SigmaTraining(start=0.5),
        method=SmoothAdv(attack_steps=1, attack_warmup=3.0),
        sigma=0.12,
    ),
    "ds, macer, ema": dataclasses.replace(
        SHORT, method=Macer(copies=2), data_dependent=SigmaTraining(samples=1), ema=0.99, clip=1.0
    ),
}
SAVED_AFTER = {  # (epoch, batch) or the epoch alone
    "the first batch": (1, 1),
    "the last batch of an epoch": (1, BATCHES),
    "an epoch": (1, None),
    "a batch amid an epoch": (2, 2),
    "the very last batch": (3, BATCHES),
}


def place(step: BatchSummary | EpochSummary) -> tuple[int, int | None]:
    return step.epoch, step.batch if isinstance(step, BatchSummary) else None


def without_seconds(steps: list[Any]) -> list[dict[str, Any]]:
    return [{**step.to_dict(), "seconds": None} for step in steps if isinstance(step, EpochSummary)]


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_a_saved_run_goes_on_to_the_same_end(name: str) -> None:
    config = RUNS[name]
    undisturbed = Trainer(config, CPU)
    expected = list(undisturbed.steps(report_seconds=0.0))
    digest = expected[-1].classifier.card.digest  # type: ignore[union-attr]

    saved: dict[tuple[int, int | None], bytes] = {}
    disturbed = Trainer(config, CPU)
    for step in disturbed.steps(report_seconds=0.0):
        file = io.BytesIO()
        torch.save(disturbed.state(), file)
        saved[place(step)] = file.getvalue()
    for where, at in SAVED_AFTER.items():
        trainer = Trainer(config, CPU)
        trainer.load(torch.load(io.BytesIO(saved[at]), weights_only=True))
        steps = list(trainer.steps(report_seconds=0.0))
        left = expected[[place(step) for step in expected].index(at) + 1 :]
        assert [place(step) for step in steps] == [place(step) for step in left], where
        assert without_seconds(steps) == without_seconds(left), where
        assert steps[-1].classifier.card.digest == digest, where  # type: ignore[union-attr]
        assert (trainer.sigmas is None) == (undisturbed.sigmas is None)
        if trainer.sigmas is not None and undisturbed.sigmas is not None:
            assert torch.equal(trainer.sigmas.values, undisturbed.sigmas.values), where


def test_one_state_serves_several_trainers() -> None:
    config = RUNS["ds, macer, ema"]
    trainer = Trainer(config, CPU)
    steps = trainer.steps(report_seconds=0.0)
    for _ in range(2):
        next(steps)
    file = io.BytesIO()
    torch.save(trainer.state(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    digests = []
    for _ in range(2):
        other = Trainer(config, CPU)
        other.load(state)
        *_, last = other.steps()
        digests.append(last.classifier.card.digest)  # type: ignore[union-attr]
    assert digests[0] == digests[1]


def test_the_seconds_of_an_epoch_survive() -> None:
    trainer = Trainer(SHORT, CPU)
    state = {**trainer.state(), "seconds": 1000.0}
    trainer.load(state)
    first = next(s for s in trainer.steps() if isinstance(s, EpochSummary))
    assert 1000 < first.seconds < 1060


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lr": 0.05}, "lr = 0.1, not 0.05"),
        ({"epochs": 4}, "epochs = 3, not 4"),
        ({"batch_size": 256}, "batch size = 432, not 256"),
        ({"sigma": 0.5}, "sigma"),
        ({"method": Macer()}, "method"),
        ({"data_dependent": SigmaTraining()}, "data dependent"),
        ({"seed": 2}, "seed = 1, not 2"),
        ({"ema": 0.9}, "ema"),
    ],
    ids=str,
)
def test_a_run_with_other_settings_is_not_gone_on_with(changes: dict[str, Any], said: str) -> None:
    state = Trainer(SHORT, CPU).state()
    other = Trainer(dataclasses.replace(SHORT, **changes), CPU)
    with pytest.raises(InvalidParameterError, match=said):
        other.load(state)


def test_another_name_does_not_matter() -> None:
    state = Trainer(SHORT, CPU).state()
    Trainer(dataclasses.replace(SHORT, name="other"), CPU).load(state)


# --- The moving average ---------------------------------------------------------------------


def test_the_average_is_the_one_written_out() -> None:
    decay = 0.8
    config = dataclasses.replace(SHORT, ema=decay, epochs=4)
    trainer = Trainer(config, CPU)
    network = trainer.classifier.network

    def weights() -> dict[str, Tensor]:
        state = network.state_dict().items()
        return {k: t.double() for k, t in state if t.is_floating_point()}

    average, count, classifier = weights(), 0, None
    for step in trainer.steps(report_seconds=0.0):
        if isinstance(step, BatchSummary):
            count += 1
            kept = min(decay, (1 + count) / (10 + count))
            now = weights()
            average = {k: kept * average[k] + (1 - kept) * now[k] for k in now}
        else:
            classifier = step.classifier
    assert count == 4 * BATCHES
    assert classifier is not None
    last = weights()  # the classifier holds the average now
    for name, value in average.items():
        assert torch.allclose(last[name], value, rtol=1e-4, atol=1e-6), name
    assert classifier.card.digest == weights_digest(classifier.network)
    assert classifier.card.digest != train(dataclasses.replace(config, ema=0.0))[0].card.digest


# --- Optimiser ------------------------------------------------------------------------------


def test_a_step_is_sgd_with_nesterov_momentum_and_weight_decay() -> None:
    """Two steps against Sutskever et al. (2013) as torch writes it: v = mu v + g, g + mu v."""
    config = dataclasses.replace(
        SHORT, epochs=1, schedule="constant", lr=0.05, momentum=0.7, weight_decay=0.01
    )
    trainer = Trainer(config, CPU)
    network = trainer.classifier.network
    parameters = list(network.parameters())
    before = [p.detach().double().clone() for p in parameters]
    velocity = [torch.zeros_like(p) for p in before]
    steps = trainer.steps(report_seconds=0.0)
    for _ in range(2):
        next(steps)
        for i, p in enumerate(parameters):
            assert p.grad is not None
            g = p.grad.double() + 0.01 * before[i]
            velocity[i] = 0.7 * velocity[i] + g
            before[i] = before[i] - 0.05 * (g + 0.7 * velocity[i])
            assert torch.allclose(p.detach().double(), before[i], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_run_imports_nothing_slow() -> None:
    """Each takes as long as to import torch."""
    code = (
        "import sys; from torch import device; from ddrs_core.training import TrainConfig; "
        "from ddrs_core.training.loop import Trainer; "
        "from ddrs_core.models.architectures import list_architectures; list_architectures(); "
        "config = TrainConfig('digits', 'digits_cnn', batch_size=400, epochs=1); "
        "list(Trainer(config, device('cpu')).steps()); "
        "print(*{'sklearn', 'torchvision', 'torch._dynamo'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == ""


def test_the_gradient_is_clipped() -> None:
    config = dataclasses.replace(SHORT, clip=0.01)
    trainer = Trainer(config, CPU)
    next(trainer.steps(report_seconds=0.0))
    squares = [p.grad.square().sum() for p in trainer.classifier.parameters() if p.grad is not None]
    assert float(torch.stack(squares).sum().sqrt()) == pytest.approx(0.01, rel=1e-3)


def test_without_momentum() -> None:
    assert next(train_steps(dataclasses.replace(SHORT, momentum=0.0), CPU)).loss > 0


def test_bf16_learns_too() -> None:
    config = dataclasses.replace(SHORT, precision="bf16", epochs=1)
    classifier, steps = train(config)
    assert all(p.dtype == torch.float32 for p in classifier.parameters())
    exact = train(dataclasses.replace(SHORT, epochs=1))[1]
    assert steps[0].loss == pytest.approx(exact[0].loss, rel=0.02)
    assert steps[0].loss != exact[0].loss


# --- Starting from a model ------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(trained: tuple[Classifier, list[Any]], tmp_path_factory: Any) -> Path:
    return save_checkpoint(trained[0], tmp_path_factory.mktemp("models"))


def same_weights(one: Classifier, other: Classifier) -> bool:
    theirs = other.network.state_dict()
    return all(torch.equal(t, theirs[k]) for k, t in one.network.state_dict().items())


def test_a_run_starts_from_a_model_of_a_name_or_path(
    stored: Path, trained: tuple[Classifier, list[Any]]
) -> None:
    for init, source in (
        ("digits-gaussian-0.25", load_model("digits-gaussian-0.25", "cpu")),
        (str(stored), trained[0]),
    ):
        kept = {k: t.clone() for k, t in source.network.state_dict().items()}
        trainer = Trainer(dataclasses.replace(SHORT, init=init, sigma=0.5, epochs=1), CPU)
        assert same_weights(trainer.classifier, source)
        assert trainer.classifier.card.normalization == source.card.normalization
        *_, last = trainer.steps()
        assert isinstance(last, EpochSummary)
        assert last.classifier is not None
        assert last.accuracy > 0.5  # an untrained one begins at 0.1
        assert last.classifier.card.name == "digits-gaussian-0.50"
        assert last.classifier.card.training["init"] == init
        assert not same_weights(last.classifier, source)
        assert all(torch.equal(t, kept[k]) for k, t in source.network.state_dict().items())


def test_models_that_do_not_fit_as_a_start(tmp_path: Path) -> None:
    card = ModelCard("other", "digits_cnn", "digits", 7, (1, 8, 8), Normalization())
    seven = save_checkpoint(build_classifier(card), tmp_path)
    for init, error, said in (
        ("cifar10-resnet20-gaussian-0.25", MismatchError, "cifar_resnet20"),
        (str(seven), MismatchError, "7 classes"),
        ("digits-gausian-0.25", UnknownNameError, r"digits-gaussian-0\.25"),
        (str(tmp_path / "missing.safetensors"), DDRSError, "no card"),
    ):
        with pytest.raises(error, match=said):
            train_steps(dataclasses.replace(SHORT, init=init), CPU)


# --- What makes no sense --------------------------------------------------------------------


def test_names_that_are_not_there() -> None:
    for changes, near in (
        ({"dataset": "digit"}, "digits"),
        ({"architecture": "digits_cn"}, "digits_cnn"),
        ({"schedule": "cosin"}, "cosine"),
        ({"augmentation": "flipp"}, "flip"),
    ):
        with pytest.raises(UnknownNameError, match=near):
            train_steps(dataclasses.replace(SHORT, **changes), CPU)
    with pytest.raises(UnknownNameError, match="gaussian"):
        recipe("digits", "digits_cnn", "gausian", 0.25)


@pytest.mark.parametrize(
    "changes",
    [
        {"sigma": 0.0},
        {"sigma": math.nan},
        {"sigma": 100.0},
        {"lr": 0.0},
        {"lr": math.inf},
        {"epochs": 0},
        {"epochs": 1.5},
        {"batch_size": 1},
        {"batch_size": 5000},
        {"momentum": 1.0},
        {"momentum": -0.1},
        {"momentum": math.nan},
        {"weight_decay": -1.0},
        {"warmup": -1.0},
        {"warmup": 4.0},
        {"clip": -1.0},
        {"clip": math.nan},
        {"ema": 1.0},
        {"ema": -0.1},
        {"seed": -1},
        {"seed": 2**70},
        {"precision": "fp8"},
        {"method": Macer(copies=0)},
        {"method": SmoothAdv(epsilon=-1.0)},
        {"data_dependent": SigmaTraining(steps=0)},
    ],
    ids=str,
)
def test_numbers_that_make_no_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        train_steps(dataclasses.replace(SHORT, **changes), CPU)


def test_an_architecture_for_other_images() -> None:
    with pytest.raises(MismatchError, match="cifar_resnet20"):
        train_steps(dataclasses.replace(SHORT, architecture="cifar_resnet20"), CPU)


@pytest.fixture(params=METHODS)
def recipes(request: pytest.FixtureRequest) -> Iterator[TrainConfig]:
    configs = [
        recipe(dataset, architecture, request.param, 0.25, data_dependent=ds)
        for dataset, architecture in (("digits", "digits_cnn"), ("cifar10", "cifar_resnet20"))
        for ds in (False, True)
    ]
    return iter(configs)


def test_recipes_make_sense_and_can_be_changed(recipes: Iterator[TrainConfig]) -> None:
    for config in recipes:
        assert config.check() is config
        changed = recipe(
            config.dataset, config.architecture, config.method.name, 0.25, epochs=7, clip=3.0
        )
        assert (changed.epochs, changed.clip, changed.data_dependent) == (7, 3.0, None)
        assert changed.method == config.method
        for epochs in (1, 2, 500):  # a recipe's warm-up fits into a short run
            method = config.method.name
            recipe(config.dataset, config.architecture, method, 0.25, epochs=epochs).check()
