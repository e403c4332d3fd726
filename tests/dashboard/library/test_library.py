"""The library page's script, run without a browser."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from ddrs_core.cache import LRU
from ddrs_core.dashboard.library import import_checkpoint as model_import
from ddrs_core.models import load_model
from ddrs_core.models.importing import build as foreign
from tests.dashboard.widgets import open_page


@pytest.mark.slow
def test_a_foreign_model_is_built_when_it_is_read_and_not_at_every_run_of_the_page(
    app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DDRS_HOME", str(tmp_path))
    network = load_model("digits-gaussian-0.25", "cpu").network
    content = io.BytesIO()
    torch.save(network.state_dict(), content)
    open_page(app, "library")
    app.file_uploader(key="model_upload").upload("theirs.pth", content.getvalue()).run()
    assert not app.exception
    (description,) = [code.value for code in app.code if "architecture: digits_cnn" in code.value]
    digest = load_model("digits-gaussian-0.25", "cpu").card.digest
    assert f"digest: {digest}" in description

    monkeypatch.setattr(foreign, "build_classifier", lambda _: pytest.fail("it is built again"))
    app.run()
    assert not app.exception
    assert description in [code.value for code in app.code]


def test_a_file_on_the_server_is_read_again_only_when_it_has_changed(
    app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a file changes when it was read last."""
    path = tmp_path / "theirs.pth"
    path.write_bytes(b"one")
    read: list[Path] = []
    monkeypatch.setenv("DDRS_ALLOWED_DIRS", str(tmp_path))
    monkeypatch.setattr(model_import, "_READ", LRU(9))
    monkeypatch.setattr(model_import, "_propose", lambda file, *_: read.append(file))
    for accessed in (1, 2):
        os.utime(path, (accessed, 1_000))
        model_import._read(str(path), (None, None))
    assert len(read) == 1
    path.write_bytes(b"three")
    model_import._read(str(path), (None, None))
    assert len(read) == 2
