"""A real server for visitors without a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.conftest import Server, own_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One dashboard for all tests of a worker."""
    with own_server(tmp_path_factory.mktemp("server")) as opened:
        yield opened
