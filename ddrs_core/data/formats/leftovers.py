"""What operating systems and tools leave between other people's files."""

from __future__ import annotations

_NAMES = frozenset(
    {
        "__macosx",  # macOS, in zip files
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "$recycle.bin",
        "system volume information",
        "@eadir",
        "#recycle",
        "@recycle",  # network storage
        "lost+found",
        "__pycache__",
    }
)


def is_leftover(name: str) -> bool:
    """Whether a file or folder of this name is no part of a data set: hidden ones, such as the
    ``._x.png`` that macOS puts beside ``x.png``, and those of :data:`_NAMES`."""
    return name.startswith(".") or name.lower() in _NAMES
