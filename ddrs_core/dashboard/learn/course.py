"""The lessons in their order: a new one is a module in ``lessons/`` and one line here."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from threading import Thread, main_thread

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
from ddrs_core.dashboard.learn.worlds import prepare_worlds

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


@lru_cache(maxsize=1)
def prepare_lessons() -> None:
    """Compute in the background what pictures need, once, so that nobody waits for it."""

    def work() -> None:
        for _ in chain(prepare_worlds(), _facts()):
            if not main_thread().is_alive():  # the server has ended meanwhile
                return

    Thread(target=work, name="lessons").start()  # no daemon: torch must not be cut off


def _facts() -> Iterator[None]:
    for lesson in LESSONS:
        if lesson.prepare is not None:
            lesson.prepare()
            yield
