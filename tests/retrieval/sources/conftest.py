"""What tests of sources share: a real site, and a fetcher that may ask it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path

import pytest
from tests.retrieval.sources.site import Site, serving

from santral.config.sources import SourcesConfig
from santral.retrieval.sources.fetch import Fetcher
from santral.retrieval.sources.source import Covered, Item, Problem, Source
from santral.retrieval.sources.surroundings import Surroundings


def inside(**changes: object) -> SourcesConfig:
    """Settings by which this machine may be asked."""
    return SourcesConfig.model_validate({"allow_networks": ["127.0.0.0/8"], **changes})


async def at_once(seconds: float) -> None:
    """Wait for nothing."""


Around = Callable[..., Surroundings]


@pytest.fixture
def around(tmp_path: Path, fetcher: Fetcher) -> Around:
    """What a source is given; arguments change it."""

    def made(**changes: object) -> Surroundings:
        values: dict[str, object] = {
            "source_id": "src_1",
            "folder": tmp_path / "own",
            "fetcher": fetcher,
            "config": inside(),
            "max_bytes": 1_000_000,
            "sleep": at_once,
        }
        return Surroundings(**(values | changes))  # type: ignore[arg-type]

    return made


class Seen:
    """What one listing gave: items by location, problems, and what was covered."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.contents: dict[str, bytes] = {}
        self.problems: list[Problem] = []
        self.covered: list[Covered] = []

    @property
    def stamps(self) -> dict[str, str]:
        return {location: item.stamp for location, item in self.items.items()}


async def listing(source: Source, *, fetch: bool = True) -> Seen:
    """List a source whole, and fetch each item as it comes."""
    seen = Seen()
    async for listed in source.list_items():
        if isinstance(listed, Item):
            assert listed.location not in seen.items
            seen.items[listed.location] = listed
            if fetch:
                seen.contents[listed.location] = await listed.fetch()
        elif isinstance(listed, Problem):
            seen.problems.append(listed)
        else:
            seen.covered.append(listed)
    return seen


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as served:
        yield served


@pytest.fixture
async def fetcher() -> AsyncGenerator[Fetcher]:
    made = Fetcher(inside(timeout_s=5))
    yield made
    await made.close()
