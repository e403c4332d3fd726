"""Which parquet files of a folder make up which split.

Known are ``train-00000-of-00002.parquet`` and ``train.parquet``, in the folder, in its ``data/``
or in a folder for a configuration, as in repositories of Hugging Face; and the layout of its own
conversion, ``CONFIG/SPLIT/0000.parquet``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from ddrs_core.data.dataset import TEST_NAMES, TRAIN_NAMES, DamagedDataError
from ddrs_core.file_access import is_leftover
from ddrs_core.quantities import counted

_SHARD = re.compile(r"(?P<split>.+?)-(?P<part>\d{5})-of-(?P<parts>\d{5})(-[0-9a-f]+)?")
_NUMBERED = re.compile(r"\d{4,}")
_MAIN_CONFIGURATION = "default"
_PARTIAL = "partial-"  # of a conversion that stopped at a number of bytes
_SPLITS = (*TEST_NAMES, *TRAIN_NAMES)


def parquet_files(path: Path) -> list[Path]:
    """All parquet files of a data set, sorted; nothing is opened.

    Raises:
        DamagedDataError: if there are several configurations to choose from.
    """
    if path.is_file():
        return [path] if path.suffix.lower() == ".parquet" else []
    for folder in (path, path / "data"):
        if found := _files_in(folder):
            return found
    inner = _folders_with_files(path)
    if inner and all(_is_split(folder) for folder in inner):
        return [file for folder in inner for file in _files_in(folder)]
    configurations = {folder.name: _files_in(folder) for folder in inner}
    for folder in _folders(path):
        if splits := _folders_with_files(folder):
            configurations[folder.name] = [file for split in splits for file in _files_in(split)]
    if len(configurations) > 1 and _MAIN_CONFIGURATION not in configurations:
        raise DamagedDataError(
            f"{path} has several configurations: {', '.join(sorted(configurations)[:8])}. Add the "
            "folder of one of them."
        )
    chosen = _MAIN_CONFIGURATION if len(configurations) > 1 else next(iter(configurations), "")
    return configurations.get(chosen, [])


def split_files(path: Path) -> dict[str, list[Path]]:
    """The files of "test" and, if there is one, of "train".

    Without a test split the validation split serves as one, or whatever single split there is.

    Raises:
        DamagedDataError: if there are no files, or one of several is missing.
    """
    groups: dict[str, list[Path]] = defaultdict(list)
    shards: dict[str, list[tuple[int, int]]] = defaultdict(list)  # number and how many there are
    for file in parquet_files(path):
        shard = _SHARD.fullmatch(file.stem)
        split = shard["split"] if shard else file.stem
        if path.is_dir() and file.parent != path and _is_split(file.parent):
            split = file.parent.name.removeprefix(_PARTIAL)
        groups[split.lower()].append(file)
        if shard:
            shards[split.lower()].append((int(shard["part"]), int(shard["parts"])))
    if not groups:
        raise DamagedDataError(f"There are no parquet files in {path}.")
    if path.is_dir():
        for split, parts in shards.items():
            _check_complete(path, split, parts, len(groups[split]))
    return _named_splits(dict(groups))


def _check_complete(path: Path, split: str, parts: list[tuple[int, int]], files: int) -> None:
    numbers, totals = sorted(number for number, _ in parts), {total for _, total in parts}
    expected = max(totals)
    if files != expected:
        raise DamagedDataError(
            f"The {split} split in {path} should have {counted(expected, 'file')}, but "
            f"{files} are there. Fetch the missing ones."
        )
    if len(totals) > 1 or numbers != list(range(expected)):
        raise DamagedDataError(
            f"The files of the {split} split in {path} are not one set: their names say numbers "
            f"{', '.join(map(str, numbers[:8]))} of {' and of '.join(map(str, sorted(totals)))}. "
            "Remove those of another download."
        )


def _named_splits(groups: dict[str, list[Path]]) -> dict[str, list[Path]]:
    train = next((name for name in TRAIN_NAMES if name in groups), None)
    others = [name for name in groups if name != train]
    test = next((name for name in TEST_NAMES if name in groups), None)
    if test is None and others and train is None:
        return {"test": sorted(file for files in groups.values() for file in files)}
    chosen = test or (others[0] if others else str(train))
    splits = {"test": sorted(groups[chosen])}
    if train is not None and chosen != train:
        splits["train"] = sorted(groups[train])
    return splits


def _is_split(folder: Path) -> bool:
    """Whether a folder of parquet files is called like a split, or its files are numbered only."""
    if folder.name.lower().removeprefix(_PARTIAL) in _SPLITS:
        return True
    return all(_NUMBERED.fullmatch(file.stem) for file in _files_in(folder))


def _folders_with_files(path: Path) -> list[Path]:
    return [folder for folder in _folders(path) if _files_in(folder)]


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(p for p in path.iterdir() if p.is_dir() and not is_leftover(p.name))


def _files_in(folder: Path) -> list[Path]:
    found = (file for file in folder.glob("*.parquet") if not is_leftover(file.name))
    return sorted(file for file in found if file.is_file())
