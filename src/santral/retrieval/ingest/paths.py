"""Files and folders that somebody names on the command line, as a source."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from santral.errors import BadRequest
from santral.retrieval.document import Metadata
from santral.retrieval.sources.files import FoundFile, find_files, is_below
from santral.retrieval.sources.folder import fetch_file, stamp_of
from santral.retrieval.sources.source import Covered, Item, Listed, Problem


class PathsSource:
    """What lies below some paths; a path that is gone takes what was known of it with it."""

    def __init__(self, paths: Sequence[Path], known: Collection[str], max_bytes: int) -> None:
        """``known`` are the locations of documents that were taken in before."""
        self._paths = paths
        self._known = known
        self._max_bytes = max_bytes

    async def list_items(self) -> AsyncIterator[Listed]:
        """Yield the files in a stable order, then what was walked; see ``Source``.

        Raises:
            BadRequest: a path neither exists nor was taken in before.
        """
        found = await asyncio.to_thread(find_files, self._paths)
        for location in found.missing:
            if not any(is_below(known, location) for known in self._known):
                raise BadRequest(f"There is no file or folder {location}.", code="no_such_path")
        for name, reason in found.problems:
            yield Problem(name, reason)
        for file in found.files:
            yield self._item(file)
        for root in (*found.folders, *found.missing):
            yield Covered(root, tuple(found.unseen))

    def _item(self, file: FoundFile) -> Item:
        stamp, modified_at = _looked_at(file.location)
        return Item(
            location=file.location,
            root=file.root,
            source=file.source,
            name=os.path.basename(file.location),
            fetch=partial(fetch_file, file.location, self._max_bytes),
            stamp=stamp,
            metadata=Metadata(modified_at=modified_at),
            is_named=file.is_named,
        )


def _looked_at(location: str) -> tuple[str, datetime | None]:
    """Return the stamp of a file and when it changed; nothing where it went since it was listed."""
    try:
        status = os.stat(location)
    except OSError:
        return "", None
    return stamp_of(status), datetime.fromtimestamp(status.st_mtime, UTC)
