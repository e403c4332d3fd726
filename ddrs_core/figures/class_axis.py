"""Names of classes where there is little room: beside an axis, and of many classes."""

from __future__ import annotations

from collections.abc import Sequence

from ddrs_core.smoothing import ABSTAIN


def class_title(prediction: int, class_names: Sequence[str]) -> str:
    """A class by name where it has one."""
    if prediction == ABSTAIN:
        return "abstention"
    known = prediction < len(class_names)
    return class_names[prediction] if known else f"class {prediction}"


def axis_names(classes: Sequence[int], class_names: Sequence[str], longest: int) -> list[str]:
    """Short names that differ, as Plotly joins what has the same: where cutting makes two equal,
    they begin with the number of the class.

    >>> axis_names([0, 1, 2], ["a long name", "a long word", "short"], 8)
    ['0: a long …', '1: a long …', 'short']
    """
    titles = [class_title(c, class_names) for c in classes]
    short = [t if len(t) <= longest else f"{t[: longest - 1]}…" for t in titles]
    return [
        name if short.count(name) == 1 else f"{c}: {name}"
        for c, name in zip(classes, short, strict=True)
    ]
