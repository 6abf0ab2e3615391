"""Databases, the killer, and what is left after a fault."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from tests.db.databases import anyio_backend, sqlite_template
from tests.faults.killed import Killer, build

__all__ = ["anyio_backend", "sqlite_template"]


@pytest.fixture(scope="session")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Generator[Killer]:
    """Return what kills a scenario at any write-like call."""
    with Killer(build(tmp_path_factory.mktemp("deaths"))) as made:
        yield made
