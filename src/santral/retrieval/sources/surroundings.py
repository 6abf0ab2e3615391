"""What a source is given to work with, beside its settings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from msgspec import Struct

from santral.config.sources import SourcesConfig
from santral.retrieval.sources.fetch import Fetcher


class Surroundings(Struct, frozen=True, kw_only=True):
    """The parts of one run of a source.

    ``folder`` is its own, kept from run to run; ``max_bytes`` is the longest document that its
    collection takes; ``known`` are the stamps of what it brought before, by location.
    """

    source_id: str
    folder: Path
    fetcher: Fetcher
    config: SourcesConfig
    max_bytes: int
    known: Mapping[str, str] = {}
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    @property
    def root(self) -> str:
        """Below which all its documents lie: it covers them whole, also after other settings."""
        return f"source:{self.source_id}"
