"""Every test of the store runs on a SQLite file and on a PostgreSQL server of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddrs_core.smoothing import Bound, Certificate, Grade
from ddrs_core.store import RunRecord, Store, open_store
from tests.databases import new_database


@pytest.fixture(scope="session")
def prepared_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with its tables, and nothing in them."""
    path = tmp_path_factory.mktemp("prepared") / "ddrs.sqlite3"
    open_store(f"sqlite:///{path}")._engine.dispose()
    return path


@pytest.fixture(scope="session")
def prepared_url(postgres: Path) -> str:
    """A database on the server for all tests that do not care how it was made."""
    return new_database(postgres)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store with nothing in it."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("prepared_file"), tmp_path / "ddrs.sqlite3")
        opened = open_store(f"sqlite:///{tmp_path}/ddrs.sqlite3")
    else:
        opened = open_store(request.getfixturevalue("prepared_url"))
        with opened._engine.begin() as connection:
            connection.exec_driver_sql("TRUNCATE runs, certificates, logs, annotations CASCADE")
    yield opened
    opened._engine.dispose()


@pytest.fixture
def run(store: Store) -> RunRecord:
    """A run of 1000 images with three settings."""
    return store.create_run(
        title="digits",
        owner="ada",
        config={"n": 1000},
        total=3000,
        settings=[{"sigma": 0.25}, {"sigma": 0.5}, {"sigma": 0.25, "method": "ds"}],
    )


def certificate(index: int = 0, **changes: object) -> Certificate:
    """A certificate with something in every field."""
    fields: dict[str, object] = {
        "dataset": "digits",
        "index": index,
        "label": 3,
        "prediction": 3,
        "radius": 0.1 + 0.2,
        "sigma": 0.25,
        "grade": Grade.CONDITIONAL,
        "counts": (0, 0, 12, 988, 0, 0, 0, 0, 0, 0),
        "n0": 100,
        "n": 1000,
        "alpha": 0.001,
        "bound": Bound.ONE_SIDED,
        "p_lower": 1 / 3,
        "seed": 2**64 + 1,
        "precision": "bf16",
        "model": "e3b0c442",
        "seconds": 1e-9,
        "candidate": 3,
    }
    return Certificate(**{**fields, **changes})  # type: ignore[arg-type]
