"""A place to ingest in, on both databases."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.retrieval.ingest.place import Place, place_on

from santral.db.engine import Engine


@pytest.fixture
async def place(engine: Engine, tmp_path: Path) -> AsyncGenerator[Place]:
    async with place_on(engine, tmp_path / "place") as made:
        yield made
