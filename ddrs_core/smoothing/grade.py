"""The three grades of guarantee, and the sentence that explains each wherever it is shown."""

from __future__ import annotations

from ddrs_core.errors import NamedEnum


class Grade(NamedEnum, kind="grade"):
    """What a radius is worth (from the strongest to the weakest)."""

    UNCONDITIONAL = "unconditional"
    FOR_QUERIES_AFTER = "for queries after x"
    CONDITIONAL = "conditional on sigma_x"

    @property
    def meaning(self) -> str:
        """The guarantee in one sentence."""
        return _MEANING[self]

    @property
    def badge(self) -> str:
        """The guarantee in a word or two, as every badge says it."""
        return _BADGES[self]


_BADGES = {
    Grade.UNCONDITIONAL: "UNCONDITIONAL",
    Grade.FOR_QUERIES_AFTER: "AFTER x",
    Grade.CONDITIONAL: "CONDITIONAL",
}

_MEANING = {
    Grade.UNCONDITIONAL: "One noise level serves every input, so the smoothed classifier gives "
    "this class to every image within the radius (with probability at least 1 - alpha).",
    Grade.FOR_QUERIES_AFTER: "From the moment this image is stored, the memory-enhanced classifier "
    "gives this class to every image within the radius; what it answered before, and in another "
    "order of arrival, is not covered.",
    Grade.CONDITIONAL: "Holds for the classifier smoothed with this image's own noise level (with "
    "probability at least 1 - alpha); a nearby image that chooses another noise level is not "
    "covered.",
}
