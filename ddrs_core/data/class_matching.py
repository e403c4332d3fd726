"""Classes of a data set and classes of a model, matched by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

_UNMATCHED = -1


def match_classes(ours: Sequence[str], theirs: Sequence[str]) -> list[int]:
    """For each of our classes the index of the same class among theirs, or -1.

    Case does not count, ``_`` and ``-`` are spaces, and a name may hold several synonyms separated
    by commas, as ImageNet's do ("tench, Tinca tinca"). The whole name goes before a synonym. Where
    several of their classes fit ("crane" is a bird and a machine), none is taken: no label is
    better than a wrong one.
    """
    whole: dict[str, set[int]] = defaultdict(set)
    synonyms: dict[str, set[int]] = defaultdict(set)
    for index, name in enumerate(theirs):
        whole[_plain(name)].add(index)
        for synonym in _synonyms(name):
            synonyms[synonym].add(index)
    return [_match(name, whole, synonyms) for name in ours]


def _match(name: str, whole: dict[str, set[int]], synonyms: dict[str, set[int]]) -> int:
    found = whole.get(_plain(name)) or {
        index for synonym in _synonyms(name) for index in synonyms.get(synonym, ())
    }
    return next(iter(found)) if len(found) == 1 else _UNMATCHED


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _synonyms(name: str) -> list[str]:
    return [plain for part in name.split(",") if (plain := _plain(part))]
