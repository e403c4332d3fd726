"""The class together: answers of many browsers, counted without names, for one presenter.

A class lives in the memory of the server, under a short code, until its presenter ends it. A
browser is known to it only as a keyed hash whose key ends with the class, so that it counts once.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass, field
from threading import Lock

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # no I and no O, which are read as digits
_LENGTH = 4
_MOST_CLASSES = 100
_MOST_STUDENTS = 1_000  # of a class
_MOST_TOPICS = 100
_IDLE_SECONDS = 6 * 3600.0  # after which a class that nobody looks at ends by itself
_HERE_SECONDS = 20.0  # since a browser was last heard of


@dataclass(frozen=True)
class Place:
    """Where the presenter is."""

    lesson: str = ""
    step: int = 1


@dataclass
class _Classroom:
    presenter: str
    key: bytes
    place: Place
    looked_at: float
    seen: dict[str, float] = field(default_factory=dict)  # when, by student
    choices: dict[str, dict[str, int]] = field(default_factory=dict)  # by topic and student

    def student(self, visitor: str) -> str:
        return hashlib.blake2b(visitor.encode(), key=self.key, digest_size=8).hexdigest()


class Classrooms:
    """All classes of a server. Safe to share between threads; unknown codes are never an error."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Classroom] = {}
        self._lock = Lock()

    def open(self, presenter: str) -> str:
        """Begin a class, which ends an earlier one of the same presenter; its code."""
        with self._lock:
            now = time.monotonic()
            kept = {
                code: room
                for code, room in self._rooms.items()
                if room.presenter != presenter and now - room.looked_at < _IDLE_SECONDS
            }
            while len(kept) >= _MOST_CLASSES:
                del kept[min(kept, key=lambda code: kept[code].looked_at)]
            code = next(c for c in iter(_new_code, "") if c not in kept)
            kept[code] = _Classroom(presenter, secrets.token_bytes(16), Place(), now)
            self._rooms = kept
            return code

    def is_open(self, code: str) -> bool:
        """Whether there is such a class."""
        return code in self._rooms

    def presents(self, code: str, visitor: str) -> bool:
        """Whether a visitor began this class."""
        room = self._rooms.get(code)
        return room is not None and room.presenter == visitor

    def move(self, code: str, place: Place) -> None:
        """The presenter goes on."""
        room = self._rooms.get(code)
        if room is not None:
            room.place, room.looked_at = place, time.monotonic()

    def attend(self, code: str, visitor: str) -> Place | None:
        """A student is here; where the presenter is, None when the class has ended."""
        with self._lock:
            room = self._rooms.get(code)
            if room is None:
                return None
            student = room.student(visitor)
            if student in room.seen or len(room.seen) < _MOST_STUDENTS:
                room.seen[student] = time.monotonic()
            return room.place

    def here(self, code: str) -> int:
        """How many students are here."""
        with self._lock:
            room = self._rooms.get(code)
            since = time.monotonic() - _HERE_SECONDS
            return 0 if room is None else sum(seen > since for seen in room.seen.values())

    def choose(self, code: str, visitor: str, topic: str, choice: int) -> None:
        """Count a student's choice; another one of the same student replaces it."""
        with self._lock:
            room = self._rooms.get(code)
            if room is None or (topic not in room.choices and len(room.choices) >= _MOST_TOPICS):
                return
            chosen = room.choices.setdefault(topic, {})
            student = room.student(visitor)
            if student in chosen or len(chosen) < _MOST_STUDENTS:
                chosen[student] = choice

    def counts(self, code: str, topic: str, options: int) -> list[int]:
        """How often each of the options was chosen."""
        with self._lock:
            room = self._rooms.get(code)
            chosen = [] if room is None else list(room.choices.get(topic, {}).values())
        return [chosen.count(option) for option in range(options)]

    def end(self, code: str) -> None:
        """Forget a class with all that was counted."""
        with self._lock:
            self._rooms.pop(code, None)


def _new_code() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


CLASSROOMS = Classrooms()  # of this server
