"""A class on the server: counted without names, led by its presenter, forgotten at its end."""

from __future__ import annotations

import threading

import pytest

from ddrs_core.dashboard.learn import classroom
from ddrs_core.dashboard.learn.classroom import Classrooms, Place


def test_a_student_counts_once_and_may_change_their_mind() -> None:
    rooms = Classrooms()
    code = rooms.open("teacher")
    for student, choice in [("ann", 0), ("bob", 2), ("ann", 2), ("eve", 1), ("ann", 2)]:
        rooms.choose(code, student, "question:x", choice)
    assert rooms.counts(code, "question:x", 3) == [0, 1, 2]
    assert rooms.counts(code, "another", 2) == [0, 0]
    rooms.attend(code, "ann")
    rooms.attend(code, "ann")
    assert rooms.here(code) == 1
    assert "ann" not in repr(rooms._rooms[code])  # nobody's name is kept


def test_students_hear_where_the_presenter_is_until_the_end() -> None:
    rooms = Classrooms()
    code = rooms.open("teacher")
    assert rooms.presents(code, "teacher")
    assert not rooms.presents(code, "ann")
    rooms.move(code, Place("samples", 3))
    assert rooms.attend(code, "ann") == Place("samples", 3)
    rooms.end(code)
    assert rooms.attend(code, "ann") is None
    rooms.choose(code, "ann", "question:x", 0)  # too late, and no error
    assert not rooms.is_open(code)


def test_classes_are_bounded_and_the_one_looked_at_longest_ago_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classroom, "_MOST_CLASSES", 3)
    monkeypatch.setattr(classroom, "_MOST_STUDENTS", 2)
    rooms = Classrooms()
    first, second, third = (rooms.open(f"teacher {i}") for i in range(3))
    rooms.move(first, Place())
    rooms.open("another")
    assert [rooms.is_open(code) for code in (first, second, third)] == [True, False, True]
    again = rooms.open("teacher 0")  # a presenter has one class
    assert not rooms.is_open(first)
    for student in "abc":
        rooms.attend(again, student)
        rooms.choose(again, student, "x", 0)
    assert (rooms.here(again), rooms.counts(again, "x", 1)) == (2, [2])


def test_nothing_is_lost_when_all_answer_at_once() -> None:
    rooms = Classrooms()
    code = rooms.open("teacher")
    threads = [
        threading.Thread(target=rooms.choose, args=(code, f"student {i}", "x", i % 2))
        for i in range(60)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rooms.counts(code, "x", 2) == [30, 30]
