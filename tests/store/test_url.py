"""Where the database is, and what is no place for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddrs_core.errors import InvalidParameterError
from ddrs_core.store import open_store
from ddrs_core.store.url import default_url, describe_url, parse_url


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a folder, 100% größe?"
    monkeypatch.setenv("DDRS_HOME", str(folder))
    monkeypatch.delenv("DDRS_DATABASE_URL", raising=False)
    return folder


def test_the_default_is_a_file_in_the_data_folder(home: Path) -> None:
    store = open_store()
    store.create_run(title="x", config={}, settings=[{}], total=1)
    assert (home / "ddrs.sqlite3").is_file()
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_another_file_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDRS_DATABASE_URL", f"sqlite:///{tmp_path}/other.db")
    open_store()
    assert (tmp_path / "other.db").is_file()
    assert str(default_url().database).endswith("/other.db")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_server_may_be_named(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDRS_DATABASE_URL", f"{scheme}://me:secret@example.org:5433/ddrs")
    url = default_url().render_as_string(hide_password=False)
    assert url == "postgresql+psycopg://me:secret@example.org:5433/ddrs"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nonsense",
        "mysql://u:secret@h/x",
        "sqlite://",
        "sqlite:///:memory:",
        "/tmp/x.sqlite3",
        "sqlite:///x.db?mode=ro",
        "postgresql://u:secret@h:port/x",
        "postgresql+psycopg2://u@h/x",
    ],
)
def test_anything_else_is_refused(address: str) -> None:
    with pytest.raises(InvalidParameterError, match="sqlite:////folder") as refused:
        open_store(address)
    assert "secret" not in str(refused.value)


def test_a_password_is_never_shown() -> None:
    shown = describe_url(parse_url("postgresql://me:secret@example.org/ddrs"))
    assert "secret" not in shown
    assert "example.org" in shown
