"""A file is replaced as a whole or stays as it was."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ddrs_core.atomic_write import replacing, write_atomically
from ddrs_core.errors import CheckpointError


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")
    for failure in (KeyboardInterrupt, ZeroDivisionError):
        with pytest.raises(failure), replacing(path) as partial:  # noqa: PT012
            partial.write_bytes(b"half")
            raise failure
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["a"]


def test_what_the_system_refuses_is_an_error_of_the_wanted_kind(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be written"):  # noqa: SIM117
        with replacing(tmp_path / "missing" / "a", CheckpointError) as partial:
            partial.write_bytes(b"x")


def test_writers_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a"
    contents = [bytes([number]) * 100_000 for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda data: write_atomically(path, data), contents):
            assert path.read_bytes() in contents
    assert os.listdir(path.parent) == ["a"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_files_of_the_data_folder_are_for_their_owner_alone(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"secret")
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0
