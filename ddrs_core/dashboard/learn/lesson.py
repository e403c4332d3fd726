"""What a lesson consists of: one idea, one picture in steps, one question, one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Step:
    """One thing to see. Texts are Markdown, formulas between dollar signs."""

    text: str  # what to do, and what to look for
    note: str  # for the teacher
    scene: Mapping[str, Any] = field(default_factory=dict)  # what the picture shows at first


@dataclass(frozen=True)
class Answer:
    """One answer to choose, and why it is right or wrong."""

    text: str
    explanation: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """A question with several answers, of which exactly one is right."""

    text: str
    answers: tuple[Answer, ...]
    note: str

    @property
    def right(self) -> int:
        """Which answer is right."""
        (found,) = [number for number, answer in enumerate(self.answers) if answer.right]
        return found


@dataclass(frozen=True)
class RealImages:
    """A link into another page, in a prepared state: now on real images."""

    label: str
    page: str  # its path, as in the address
    query: Mapping[str, str]
    text: str  # what to look for there


@dataclass(frozen=True)
class Lesson:
    """One lesson: its steps, then its question, then what to take home."""

    name: str  # in addresses
    title: str
    idea: str  # one sentence
    steps: tuple[Step, ...]
    question: Question
    take_home: str  # one sentence
    take_home_note: str
    real: tuple[RealImages, ...]
    draw: Callable[[Mapping[str, Any]], None]  # draws the picture of a scene

    @property
    def length(self) -> int:
        """Number of screens."""
        return len(self.steps) + 2

    def is_question(self, step: int) -> bool:
        """Whether the screen of this number, from 1, holds the question."""
        return step == len(self.steps) + 1

    def note(self, step: int) -> str:
        """What the teacher may say at a screen."""
        if step <= len(self.steps):
            return self.steps[step - 1].note
        return self.question.note if self.is_question(step) else self.take_home_note
