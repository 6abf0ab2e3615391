"""One scripted provider for the folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.upstream import Upstream


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running
