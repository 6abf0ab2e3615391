"""Every engine of the registry, each in room of its own: one contract for all."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.db.databases import anyio_backend
from tests.retrieval.index.engines import EmbeddedEngine, EngineUnderTest

__all__ = ["anyio_backend"]


# An engine is a name here and a fixture of its own below: ``<name>_engine``.
@pytest.fixture(params=[pytest.param("embedded", marks=pytest.mark.skip("being written"))])
def index(request: pytest.FixtureRequest) -> EngineUnderTest:
    """Return each engine in turn."""
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture
def embedded_engine(tmp_path: Path) -> EngineUnderTest:
    """Return the embedded engine on an empty folder."""
    return EmbeddedEngine(tmp_path)
