"""Measured speeds as pages ask for them and speak of them, with clocks and loads of our own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddrs_core.dashboard.common import speed_jobs as trials
from ddrs_core.dashboard.common.speed_jobs import Measurement, measure
from ddrs_core.dashboard.compare.launch import cost_text
from ddrs_core.dashboard.training.launch import training_cost
from ddrs_core.errors import DDRSError
from ddrs_core.jobs import JobManager
from ddrs_core.runs.cost import certification_cost
from ddrs_core.runs.device_queue import DeviceSlot, queue_folder
from ddrs_core.runs.speeds import CpuTimes, Speeds
from ddrs_core.training import Gaussian, TrainConfig
from tests.dashboard.compare.test_compare import SMALL, config


class Machine:
    """A machine whose clock, load and speed the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.others, self.rate = 0.0, 0.0, 1_000.0
        self.measured = 0
        self._used = 0.0
        self.manager = JobManager()
        monkeypatch.setattr(trials, "_SPEEDS", Speeds(lambda: self.now))
        monkeypatch.setattr(trials, "_METER", self)
        monkeypatch.setattr(trials, "read_cpu_times", self.read)
        monkeypatch.setattr(trials, "get_manager", lambda: self.manager)
        monkeypatch.setattr(trials, "visitor", lambda: "me")

    def load(self) -> float:
        return self.others

    def read(self) -> CpuTimes:
        self._used += 1.0
        return CpuTimes(self._used, self._used * self.others, 0.0)

    def look(self, device: str = "cpu") -> Measurement:
        """What a page gets; waits until no measurement is under way."""
        deadline = time.monotonic() + 30
        while True:
            found = measure("k", "speed of k", "votes", device, self._start)
            if not found.moving:
                return found
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _start(self) -> Iterator[float]:
        self.measured += 1
        if self.rate < 0:
            raise DDRSError("no such network")
        yield self.rate / 2
        yield self.rate * (1 - self.others)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setenv("DDRS_HOME", str(tmp_path))
    made = Machine(monkeypatch)
    yield made
    made.manager.close()


def test_a_rate_of_a_busy_moment_gives_way_to_that_of_a_quiet_one(machine: Machine) -> None:
    machine.others = 0.875
    found = machine.look()
    assert found.speed is not None
    assert found.speed.value == pytest.approx(125.0)
    assert "other processes used 88% of the processors" in found.how
    assert "busy now" in found.busy
    machine.now += 600
    assert machine.look().how.startswith("measured 10 min ago")
    machine.others = 0.0
    found = machine.look()
    assert found.speed is not None
    assert found.speed.value == pytest.approx(1_000.0)
    assert found.how == "measured just now while other processes used 0% of the processors"
    assert found.busy == ""
    machine.now += 600
    machine.others = 0.5
    assert machine.look().speed == found.speed
    assert machine.measured == 2
    assert not machine.manager.jobs()  # results are remembered, jobs are not


def test_the_cost_of_a_certification_says_under_what_load_it_was_measured(machine: Machine) -> None:
    runs = config(*SMALL)
    before = cost_text(certification_cost(runs, 1, 10), Measurement(None, moving=True))
    assert before.startswith("1 image in 2 settings: about ")
    assert before.endswith("Measuring how fast this machine is.")
    machine.others = 0.4
    said = cost_text(certification_cost(runs, 3, 10), machine.look())
    assert "3 images in 2 settings" in said
    assert "measured just now while other processes used 40% of the processors" in said
    assert "other processes use 40% of the processors" in said
    assert "nobody" not in said


def test_the_cost_of_a_training_rests_on_the_same_measurement(machine: Machine) -> None:
    machine.rate = 1_297.0  # passes a second: an epoch of the digits takes one
    plan = TrainConfig("digits", "digits_cnn", Gaussian(), epochs=90, batch_size=50)
    said = training_cost(plan, machine.look())
    assert "needs 1 forward and backward pass for each of 1,297 images" in said
    assert "All 90: about 1 min 30 s (measured just now while other" in said


def test_a_failed_measurement_is_not_repeated_at_every_look(machine: Machine) -> None:
    machine.rate = -1.0
    for _ in range(5):
        found = machine.look()
        assert found.speed is None
    assert machine.measured == 1


def test_runs_on_the_device_are_said_and_a_gpu_is_measured_again_after_them(
    machine: Machine,
) -> None:
    with DeviceSlot(queue_folder(), "cuda:0"):
        found = machine.look("cuda:0")
        assert "while another run used the device" in found.how
        assert found.busy == "The device is busy now, with 1 run ahead."
    machine.now += 60
    found = machine.look("cuda:0")
    assert "while no other run used the device" in found.how
    assert found.busy == ""
    assert machine.measured == 2
