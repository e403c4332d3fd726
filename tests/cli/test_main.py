"""The other commands, and what all have in common."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress

import pytest

from ddrs_core.cli import serve


def test_models_and_datasets_as_json(command):
    models = json.loads(command("models", "--json").out)
    names = [model["name"] for model in models]
    assert {"digits-gaussian-0.25", "digits-gaussian-0.50"} <= set(names)
    assert all(model["accuracy"] and model["command"] and model["digest"] for model in models)
    assert json.loads(command("datasets", "--json").out)[0]["name"] == "digits"


def test_lists_for_people(command):
    assert "digits-gaussian-0.50" in command("models").out
    assert "1,797" in command("datasets").out


def test_unknown_command_names_the_near_one(command):
    outcome = command("certfy")
    assert outcome.code == 2
    assert "'certify'" in outcome.err


def test_an_unexpected_error_is_one_line_too(command, monkeypatch):
    def broken():
        raise RuntimeError("two\nlines")

    monkeypatch.delenv("DDRS_DEBUG", raising=False)
    monkeypatch.setattr("ddrs_core.models.list_models", broken)
    outcome = command("models")
    assert outcome.code == 1
    assert len(outcome.err.splitlines()) == 1
    assert "RuntimeError" in outcome.err


def test_a_full_disk_behind_the_output_is_one_line_too(command, monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        outcome = command("datasets")
        monkeypatch.undo()
        with suppress(OSError):
            full.close()
    assert outcome.code == 2
    assert "output): No space left on device" in outcome.err


def test_serve_builds_the_streamlit_command():
    words = serve.serve_command(8600, "0.0.0.0")
    assert words[:5] == [sys.executable, "-m", "streamlit", "run", "app.py"]
    assert "8600" in words
    assert "0.0.0.0" in words


def test_serve_refuses_a_port_that_is_none(command):
    assert command("serve", "--port", 70_000).code == 2


def test_help_needs_no_torch():
    code = (
        "import sys; from ddrs_core.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_module_runs_as_a_program():
    words = [sys.executable, "-m", "ddrs_core", "models", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert json.loads(done.stdout)
