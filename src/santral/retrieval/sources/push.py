"""Documents that an application pushes: nothing is listed, so nothing is ever gone."""

from __future__ import annotations

from collections.abc import AsyncIterator

from santral.retrieval.sources.settings import PushSettings
from santral.retrieval.sources.source import Covered, Listed
from santral.retrieval.sources.surroundings import Surroundings


class PushSource:
    """A place for documents whose application says when they change."""

    def __init__(self, settings: PushSettings, around: Surroundings) -> None:
        """Take what every source is given."""

    async def list_items(self) -> AsyncIterator[Listed]:
        """Yield nothing, and cover nothing."""
        return
        yield


class LeavingSource:
    """A source that is being deleted: all that it brought is gone from it."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def list_items(self) -> AsyncIterator[Listed]:
        """Cover everything and list nothing."""
        yield Covered(self._around.root)
