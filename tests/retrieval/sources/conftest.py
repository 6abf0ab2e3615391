"""What tests of sources share: a real site, and a fetcher that may ask it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

import pytest
from tests.retrieval.sources.site import Site, serving

from santral.config.sources import SourcesConfig
from santral.retrieval.sources.fetch import Fetcher


def inside(**changes: object) -> SourcesConfig:
    """Settings by which this machine may be asked."""
    return SourcesConfig.model_validate({"allow_networks": ["127.0.0.0/8"], **changes})


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as served:
        yield served


@pytest.fixture
async def fetcher() -> AsyncGenerator[Fetcher]:
    made = Fetcher(inside(timeout_s=5))
    yield made
    await made.close()
