"""Whether results are of corrupted images: CIFAR-10-C and its relatives (Hendrycks and Dietterich
2019) have the numbers and the labels of the clean images, so only a name or the length tells."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

_KIND = re.compile(
    r"(?<![a-z])((?:shot|impulse|speckle|gaussian)[-_ ]?noise"
    r"|(?:defocus|glass|motion|zoom|gaussian)[-_ ]?blur|snow|frost|fog|brightness|contrast"
    r"|elastic(?:[-_ ]?transform)?|pixelate|jpeg(?:[-_ ]?compression)?|spatter|saturate)(?![a-z])"
)
_SET = re.compile(
    r"(?<![a-z])(?:cifar[-_ ]?100?|imagenet|mnist)[-_ ]?c(?![a-z0-9])"
    r"|(?<![a-z])corrupt(?:ed|ions?)(?![a-z])"
)
_AFTER_KIND = re.compile(r"[-_ /]?([1-5])(?![0-9]|\.[0-9])")
_SEVERITY = re.compile(r"(?<![a-z])(?:severity|sev)[-_ =]?([1-5])(?![0-9]|\.[0-9])")
_PERIOD = 10_000  # CIFAR-10-C holds the test images five times, from severity 1 to 5
_FEWEST = 20  # images that must repeat


def corruption_in_name(name: str) -> str:
    """The corruption that the name of a file, or of the folders that it lies in, says, such as
    ``fog, severity 3``; empty where it says none.

    Gaussian noise alone is none: logs of networks that were trained with it are called so.
    """
    text = "/".join(PurePath(name).parts[-4:]).lower()
    kinds = list(_KIND.finditer(text))
    kind = kinds[-1] if kinds else None  # the nearest to the file
    severity = _SEVERITY.search(text)
    of_noise = kind is not None and kind[1].startswith("gaussian") and kind[1].endswith("noise")
    if not _SET.search(text) and (kind is None or (of_noise and not severity)):
        return ""
    if kind is not None:
        severity = _AFTER_KIND.match(text, kind.end()) or severity
    said = "corrupted images" if kind is None else re.sub("[-_]", " ", kind[1])
    return said if severity is None else f"{said}, severity {severity[1]}"


def repeated_labels(images: Iterable[tuple[int | None, int | None]]) -> bool:
    """Whether (number, label) of images repeat with the period of CIFAR-10-C."""
    labels = {i: label for i, label in images if i is not None and label is not None}
    twice = [(label, labels.get(i % _PERIOD)) for i, label in labels.items() if i >= _PERIOD]
    found = [(a, b) for a, b in twice if b is not None]
    same = all(a == b for a, b in found)
    return len(found) >= _FEWEST and same and len(set(found)) > 1
