"""The lessons in their order: a new one is a module in ``lessons/`` and one line here."""

from __future__ import annotations

from ddrs_core.dashboard.learn.lesson import Lesson
from ddrs_core.dashboard.learn.lessons import (
    fragile,
    limits,
    memory,
    one_sigma,
    own_sigma,
    proof,
    samples,
    varying,
    voting,
)

LESSONS: tuple[Lesson, ...] = (
    fragile.LESSON,
    voting.LESSON,
    proof.LESSON,
    samples.LESSON,
    one_sigma.LESSON,
    own_sigma.LESSON,
    memory.LESSON,
    varying.LESSON,
    limits.LESSON,
)


def number_of(name: str) -> int:
    """Place of a lesson in the course, from 1; 0 for one that does not exist."""
    names = [lesson.name for lesson in LESSONS]
    return names.index(name) + 1 if name in names else 0
