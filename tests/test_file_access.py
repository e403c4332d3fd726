"""Files that people name: what is no file is refused before anybody waits for it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from ddrs_core.atomic_write import write_atomically
from ddrs_core.errors import CheckpointError, DDRSError
from ddrs_core.file_access import check_regular, open_regular, writing
from ddrs_core.models import Classifier, save_checkpoint
from ddrs_core.models.checkpoint import load_checkpoint
from ddrs_core.models.importing.read import read_here
from ddrs_core.runs.training.files import write_state
from ddrs_core.store.bank.files import read_bank_file
from tests.disks import files_of_at_most


@pytest.fixture
def strange(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """What stands in file systems and is no file."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        yield {
            "a named pipe": tmp_path / "pipe",
            "a folder": tmp_path / "folder",
            "a socket": tmp_path / "socket",
            "a device": Path("/dev/zero"),
        }


def within(seconds: float, work: Callable[[], object]) -> None:
    """Fails instead of waiting for ever."""
    caught: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it still waits"
    if caught:
        raise caught[0]


def test_everything_else_than_a_file_is_refused_in_words(strange: dict[str, Path]) -> None:
    for kind, path in strange.items():
        for use in (check_regular, open_regular):
            with pytest.raises(CheckpointError, match=f"is {kind}, not a file"):
                within(20, lambda path=path, use=use: use(path, CheckpointError))
    with pytest.raises(DDRSError, match="named pipe"):
        within(20, lambda: open_regular(strange["a named pipe"].parent / "link"))


def test_a_file_is_read_and_what_is_missing_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    with open_regular(tmp_path / "a") as file:
        assert file.read() == b"content"
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "b")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/dev/full", "No space left on device. Make room"),
        ("/proc/version", "(Permission denied|Input/output error)"),
        ("nowhere/a", "No such file or directory. Make its folder"),
    ],
)
def test_what_cannot_be_written_is_named_with_the_reason(
    tmp_path: Path, path: str, said: str
) -> None:
    place = tmp_path / path
    with pytest.raises(CheckpointError, match=f"{place} cannot be written: {said}"):  # noqa: SIM117
        with writing(place, CheckpointError):
            place.write_text("x" * 100_000)


@pytest.mark.parametrize("kind", ["state", "model", "data"])
def test_a_full_disk_is_named_by_whoever_writes(
    tmp_path: Path, model: Classifier, kind: str
) -> None:
    writers: dict[str, tuple[str, Callable[[], object]]] = {
        "state": ("state.pt", lambda: write_state({"a": torch.zeros(999)}, tmp_path / "state.pt")),
        "model": (f"{model.card.name}.json", lambda: save_checkpoint(model, tmp_path)),
        "data": ("data", lambda: write_atomically(tmp_path / "data", bytes(999))),
    }
    name, write = writers[kind]
    (tmp_path / name).write_bytes(b"before")
    with files_of_at_most(500), pytest.raises(DDRSError, match=f"{name} cannot be written: File"):
        write()
    assert (tmp_path / name).read_bytes() == b"before"


def test_models_and_banks_are_not_read_from_pipes(tmp_path: Path) -> None:
    path = tmp_path / "pipe.safetensors"
    os.mkfifo(path)
    path.with_suffix(".json").write_text("{}")
    for read in (load_checkpoint, read_here, lambda path: read_bank_file(path, None, "")):
        with pytest.raises(DDRSError, match=r"named pipe|model card|should hold"):
            within(20, lambda read=read: read(path))
    path.with_suffix(".json").unlink()
    os.mkfifo(path.with_suffix(".json"))
    with pytest.raises(DDRSError, match="named pipe"):
        within(20, lambda: load_checkpoint(path))
