"""Which folders of a data set are splits, which are classes, and where no labels are.

Known are ``class/image``, ``split/class/image`` and ``class/split/image``, below any number of
folders that hold nothing but the next one; a folder of images without labels; splits without
labels (``test/image``, as Kaggle has them, and ``test/images/image``); and TinyImageNet's list of
labels. What was left out or looks doubtful is said in :attr:`Layout.notes`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ddrs_core.data.dataset import TEST_NAMES, TRAIN_NAMES, UNKNOWN_LABEL, DamagedDataError
from ddrs_core.data.images.decode import EXTENSIONS
from ddrs_core.file_access import is_leftover
from ddrs_core.quantities import listed

_LABEL_LIST = "*annotations.txt"  # lines of a file name and its class, separated by tabs
_LARGEST_LIST = 256 * 2**20  # bytes
_SPLITS = (*TEST_NAMES, *TRAIN_NAMES)


@dataclass(frozen=True)
class SplitFolder:
    """One split: a folder for each class, or one folder whose images have labels in a list, or
    none at all."""

    path: Path
    classes: dict[str, Path] = field(default_factory=dict)  # folders, by name
    label_list: Path | None = None

    @property
    def has_labels(self) -> bool:
        return bool(self.classes) or self.label_list is not None

    def images(self, names: list[str]) -> tuple[list[str], list[int]]:
        """Paths and class numbers of all images, sorted by class and path.

        Raises:
            DamagedDataError: if a list of labels cannot be read.
        """
        paths: list[str] = []
        labels: list[int] = []
        for number, name in enumerate(names):
            if name in self.classes:
                found = _images_below(self.classes[name])
                paths += found
                labels += [number] * len(found)
        if self.classes:
            return paths, labels
        paths = _images_below(self.path)
        if self.label_list is None:
            return paths, [UNKNOWN_LABEL] * len(paths)
        by_name = _read_label_list(self.label_list)
        numbers = {name: number for number, name in enumerate(names)}
        of = [by_name.get(os.path.basename(path), "") for path in paths]
        labels = [numbers.get(name, UNKNOWN_LABEL) for name in of]
        if paths and max(labels) == UNKNOWN_LABEL:
            raise DamagedDataError(
                f"{self.label_list} names no image in {self.path} with a class that the training "
                f"images have ({listed(names)})."
            )
        return paths, labels


@dataclass(frozen=True)
class Layout:
    """The splits "test" and, if there is one, "train"; the names of all classes, sorted."""

    splits: dict[str, SplitFolder]
    classes: list[str]
    notes: tuple[str, ...] = ()


def find_layout(path: Path) -> Layout:
    """Find the splits and classes of a folder; looks at names of folders only, as far as it can.

    Raises:
        DamagedDataError: if a folder or list of labels cannot be read.
    """
    root = _unwrapped(path)
    notes = [] if root == path else [f"Its classes or splits are the folders in {root.name}/."]
    found = _splits(root) or _splits_in_classes(root)
    if not found:
        folders = {folder.name: folder for folder in subfolders(root)}
        if folders and all(name.lower() in _SPLITS for name in folders):
            raise DamagedDataError(
                f"The folders in {root} are called {', '.join(sorted(folders))}, so they are "
                "splits, but they have no folders for classes. Expected is one folder of images "
                "for each class."
            )
        return Layout({"test": SplitFolder(root, folders)}, sorted(folders), tuple(notes))
    splits = _named(found, notes)
    classes = sorted({name for split in splits.values() for name in split.classes})
    return Layout(splits, classes, (*notes, *_differences(splits)))


def _named(found: dict[str, SplitFolder], notes: list[str]) -> dict[str, SplitFolder]:
    """Which of the splits are "test" and "train"; sentences on the others are added to ``notes``.

    "test" is the first that has labels; without any, Kaggle's images without labels.
    """
    train = next((found[name] for name in TRAIN_NAMES if name in found), None)
    tests = [found[name] for name in TEST_NAMES if name in found]
    if train is not None:
        tests = [_with_labels_of(split, set(train.classes)) for split in tests]
    test = next((split for split in tests if split.has_labels), tests[0] if tests else None)
    if test is None:
        assert train is not None
        notes.append(
            f"They are all in {train.path.name}/, which serves as the test split since there is "
            "no other."
        )
        return {"test": train}
    if not test.has_labels and train is not None:
        notes.append(f"Those with labels are the train split ({train.path.name}/).")
    splits = {"test": test} if train is None else {"test": test, "train": train}
    notes += [
        f"The images in {split.path.name}/ have no labels: left out."
        for split in (*tests, *splits.values())
        if split is not test and not split.has_labels
    ]
    return {name: split for name, split in splits.items() if split is test or split.has_labels}


def doubts(layout: Layout) -> Iterator[str]:
    """Sentences on class folders that hold folders again; looks into each of them."""
    for split in layout.splits.values():
        for name, folder in split.classes.items():
            inner = sorted(sub.name for sub in subfolders(folder))
            if len(inner) > 1 and not has_images(folder):
                yield (
                    f"{name}/ holds folders again ({listed(inner)}): their images all count as "
                    f"{name}. If they are the classes, add {folder} instead."
                )


def subfolders(path: Path) -> list[Path]:
    """The folders in a folder, without what operating systems and tools leave."""
    return [Path(entry.path) for entry in _entries(path) if entry.is_dir()]


def has_images(path: Path) -> bool:
    """Whether images lie in a folder itself."""
    return any(_is_image(entry.name) and not entry.is_dir() for entry in _entries(path))


def _unwrapped(path: Path) -> Path:
    """The folder below, where a folder holds nothing but one that holds nothing but folders."""
    while True:
        folders = subfolders(path)
        if len(folders) != 1 or folders[0].name.lower() in _SPLITS or has_images(path):
            return path
        if not subfolders(folders[0]) or has_images(folders[0]):
            return path
        if all(f.name.lower() in _SPLITS and has_images(f) for f in subfolders(folders[0])):
            return path  # one class, with its splits
        path = folders[0]


def _splits(root: Path) -> dict[str, SplitFolder]:
    """The folders that are called like splits, by lower-case name, if any of them has classes."""
    named = {folder.name.lower(): folder for folder in subfolders(root)}
    found = {
        name: SplitFolder(folder, {sub.name: sub for sub in subfolders(folder)})
        for name, folder in named.items()
        if name in _SPLITS
    }
    if not any(split.classes for split in found.values()):
        return {}
    return {k: s for k, s in found.items() if s.classes or has_images(s.path)}


def _splits_in_classes(root: Path) -> dict[str, SplitFolder]:
    """The splits where every class folder holds folders of splits, and nothing else."""
    found: dict[str, dict[str, Path]] = {}
    for folder in subfolders(root):
        inner = subfolders(folder)
        if not inner or any(f.name.lower() not in _SPLITS for f in inner) or has_images(folder):
            return {}
        for sub in inner:
            found.setdefault(sub.name.lower(), {})[folder.name] = sub
    return {name: SplitFolder(root / name, classes) for name, classes in found.items()}


def _with_labels_of(split: SplitFolder, known: set[str]) -> SplitFolder:
    """A split beside training images of the classes ``known``: folders that are no classes (one
    alone, called ``images`` or so, or empty ones) are not taken for some."""
    lists = sorted(p for p in split.path.glob(_LABEL_LIST) if not is_leftover(p.name))
    strange = [name for name in split.classes if name not in known]
    if len(known) > 1 and strange == list(split.classes) and len(strange) <= 1:
        return SplitFolder(split.path, {}, lists[0] if lists else None)
    empty = {name for name in strange if not _images_below(split.classes[name])}
    return SplitFolder(split.path, {k: v for k, v in split.classes.items() if k not in empty})


def _differences(splits: dict[str, SplitFolder]) -> Iterator[str]:
    """Sentences on classes that only one of two splits has."""
    if len(splits) < 2 or not all(split.classes for split in splits.values()):
        return
    test, train = splits["test"], splits["train"]
    for one, other in ((test, train), (train, test)):
        only = sorted(set(one.classes) - set(other.classes))
        if only:
            yield (
                f"{len(only)} of the classes {'is' if len(only) == 1 else 'are'} only in "
                f"{one.path.name}/ and not in {other.path.name}/: {listed(only)}."
            )


def _read_label_list(path: Path) -> dict[str, str]:
    """Class names by file name, from lines such as ``val_0.JPEG<tab>n03444034<tab>0<tab>...``."""
    try:
        if path.stat().st_size > _LARGEST_LIST:
            raise DamagedDataError(f"{path} is too large for a list of labels.")
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise DamagedDataError(f"{path} is not a list of labels: it is not text (UTF-8).") from None
    except OSError as error:
        raise DamagedDataError(f"{path} cannot be read: {error.strerror}.") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        name, *cells = line.split("\t")
        if not cells and not line.strip():
            continue
        if not cells:
            raise DamagedDataError(
                f"Line {number} of {path} is not a file name and a class, separated by a tab."
            )
        found[name.strip()] = cells[0].strip()
    return found


def _images_below(folder: Path) -> list[str]:
    """Paths of the images in a folder and all below, sorted by folder and name."""
    found = []
    for root, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not is_leftover(name)]
        found.append((root, names))
    return [
        os.path.join(root, name)
        for root, names in sorted(found)
        for name in sorted(names)
        if _is_image(name)
    ]


def _is_image(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS) and not is_leftover(name)


def _entries(path: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if not is_leftover(entry.name):
                    yield entry
    except OSError as error:
        raise DamagedDataError(f"{path} cannot be read: {error.strerror}.") from None
