"""Command lines give the configurations again that they were made from."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddrs_core.cli import _parser
from ddrs_core.cli.certify_options import certify_configs
from ddrs_core.cli.train import train_config
from ddrs_core.parameters import parameters_of, values_of, with_values
from ddrs_core.runs.argv import command_lines, to_argv
from ddrs_core.runs.certify.config import ONE_SIGMA, CertifyConfig, Method
from ddrs_core.smoothing import (
    Bound,
    CertificationBudget,
    StopAtRadii,
    StopAtRelativeWidth,
    list_presets,
)
from ddrs_core.training import METHODS, SigmaTraining, TrainConfig

PLAIN = {"deadline": None, "max_examples": 40}
positive = st.floats(1e-6, 0.4)
counts = st.integers(1, 50)
seeds = st.integers(0, 2**31)
names = (
    st.text("abc -=0", min_size=1, max_size=8)
    .map(str.strip)
    .filter(
        lambda name: name not in ("", "--")  # argparse drops a value that is "--", also after "="
    )
)
PARSER = _parser()


@st.composite
def with_random_values(draw: st.DrawFn, config: Any) -> Any:
    """Some numbers of a configuration replaced by others that it accepts."""
    numbers = {
        name: draw(counts if about.kind is int else positive)
        for name, about in parameters_of(config).items()
        if name not in ("sigma_min", "sigma_max", "ratio") and draw(st.booleans())
    }
    return with_values(config, numbers)


@st.composite
def certifications(draw: st.DrawFn) -> CertifyConfig:
    method = draw(st.sampled_from(Method))
    sigma = draw(st.floats(0.01, 3.0))
    strategy = None
    if method not in ONE_SIGMA:
        preset = draw(st.sampled_from(list_presets()))
        strategy = draw(with_random_values(preset.at(sigma)))
        bounds = {
            "sigma_min": draw(st.floats(1e-3, 0.9)) * sigma,
            "sigma_max": draw(st.floats(1.1, 3.0)) * sigma,
        }
        strategy = with_values(strategy, bounds)
    listed = st.lists(st.integers(0, 100), min_size=1, max_size=4, unique=True).map(tuple)
    indices = draw(st.none() | listed)
    places: dict[str, Any] = {}
    if indices is None:
        places = {"start": draw(st.integers(0, 9)), "skip": draw(counts)}
        places["limit"] = draw(st.none() | counts)
    radii = st.lists(st.floats(0, 3), min_size=1, max_size=4).map(tuple)
    return CertifyConfig(
        dataset="digits",
        model="digits-gaussian-0.50",
        method=method,
        sigma=sigma,
        strategy=strategy,
        bank=draw(names) if method is Method.DS_MEMORY else "",
        budget=CertificationBudget(
            n0=draw(counts),
            n=draw(st.integers(1_000, 10**6)),
            alpha=draw(st.floats(1e-6, 0.4)),
            bound=draw(st.sampled_from(Bound)),
            stop=draw(
                st.sampled_from([None, StopAtRadii()])
                | radii.map(StopAtRadii)
                | st.floats(0.01, 0.9).map(StopAtRelativeWidth)
            ),
            seed=draw(seeds),
        ),
        split=draw(st.sampled_from(["test", "train"])),
        indices=indices,
        precision=draw(st.sampled_from(["auto", "fp32", "bf16"])),
        device=draw(st.sampled_from(["auto", "cpu", "cuda:1"])),
        batch_size=draw(st.none() | counts),
        **places,
    )


@st.composite
def trainings(draw: st.DrawFn) -> TrainConfig:
    sigmas = st.tuples(st.floats(0.01, 0.2), st.floats(0.3, 2.0))
    sigma_training = sigmas.map(lambda bounds: SigmaTraining(bounds=bounds))
    return TrainConfig(
        dataset="digits",
        architecture=draw(st.sampled_from(["digits_cnn", "lenet"])),
        method=draw(with_random_values(METHODS[draw(st.sampled_from(sorted(METHODS)))]())),
        sigma=draw(positive),
        data_dependent=draw(st.none() | sigma_training.flatmap(with_random_values)),
        epochs=draw(counts),
        batch_size=draw(counts),
        lr=draw(positive),
        schedule=draw(st.sampled_from(["cosine", "one-cycle"])),
        warmup=draw(positive),
        ema=draw(st.just(0.0) | positive),
        augmentation=draw(st.sampled_from(["none", "flip-shift"])),
        init=draw(st.just("") | names),
        precision=draw(st.sampled_from(["auto", "fp32"])),
        compile=draw(st.booleans()),
        seed=draw(seeds),
        name=draw(st.just("") | names),
    )


@given(certifications())
@settings(**PLAIN)
def test_a_certification_comes_back(config: CertifyConfig) -> None:
    assert certify_configs(PARSER.parse_args(to_argv(config))) == [config]


@given(trainings())
@settings(**PLAIN)
def test_a_training_comes_back(config: TrainConfig) -> None:
    assert train_config(PARSER.parse_args([*to_argv(config), "--out", "x"])) == config


@given(st.lists(certifications(), min_size=1, max_size=3))
@settings(**{**PLAIN, "max_examples": 15})
def test_all_lines_together_give_all_configurations(configs: list[CertifyConfig]) -> None:
    lines = [shlex.split(line) for line in command_lines(configs, "--record").splitlines()]
    assert all(line[:3] == ["python", "-m", "ddrs_core"] for line in lines)
    found = [c for line in lines for c in certify_configs(PARSER.parse_args(line[3:]))]
    assert sorted(found, key=repr) == sorted(configs, key=repr)


def test_methods_and_sigmas_share_a_line() -> None:
    fixed = CertifyConfig("digits", "digits-gaussian-0.50", Method.FIXED, 0.25)
    strategy = list_presets()[0].config
    configs = [
        replace(fixed, method=method, sigma=sigma, strategy=strategy if method != "fixed" else None)
        for method in (Method.FIXED, Method.DS)
        for sigma in (0.25, 0.5)
    ]
    (line,) = command_lines(configs).splitlines()
    assert certify_configs(PARSER.parse_args(shlex.split(line)[3:])) == configs


@pytest.mark.parametrize("config", [SigmaTraining(), *(p.config for p in list_presets())])
def test_values_leave_a_configuration_as_it_was(config: Any) -> None:
    assert with_values(config, values_of(config)) == config
    assert {"sigma_min", "sigma_max"} <= set(values_of(config))
