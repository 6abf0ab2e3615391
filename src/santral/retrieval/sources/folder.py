"""Folders of this machine as sources: kind ``folder`` when asked, ``watch`` as soon as they change."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from pathlib import Path

from santral.errors import SourceUnreachable
from santral.retrieval.document import UnreadableError
from santral.retrieval.sources.fetch import too_large
from santral.retrieval.sources.files import FoundFile, find_files
from santral.retrieval.sources.known import is_taken, metadata_of
from santral.retrieval.sources.settings import FolderSettings
from santral.retrieval.sources.source import Covered, Item, Listed, Problem
from santral.retrieval.sources.surroundings import Surroundings


class FolderSource:
    """The files below one folder; links and hidden files as ``find_files`` has it."""

    def __init__(self, settings: FolderSettings, around: Surroundings) -> None:
        self._settings = settings
        self._around = around

    async def list_items(self) -> AsyncIterator[Listed]:
        """Yield the files in a stable order; see ``Source``."""
        folder = Path(self._settings.path)
        if not await asyncio.to_thread(folder.is_dir):
            raise SourceUnreachable(
                f"There is no folder {folder}, for now: nothing of it is removed. "
                "Delete the source if it is gone for good."
            )
        found = await asyncio.to_thread(find_files, [folder])
        for name, reason in found.problems:
            yield Problem(name, reason)
        base = found.folders[0]
        taken = [file for file in found.files if self._is_taken(file, base)]
        for file, status in await asyncio.to_thread(
            _with_status, taken[: self._settings.max_items]
        ):
            if isinstance(status, str):
                yield Problem(file.source, status)
            else:
                yield self._item(file, base, status)
        if len(taken) > self._settings.max_items:
            yield Problem(str(folder), f"it holds more than {self._settings.max_items} files")
        else:
            yield Covered(self._around.root, tuple(found.unseen))

    def _is_taken(self, file: FoundFile, base: str) -> bool:
        return is_taken(self._settings, os.path.relpath(file.location, base))

    def _item(self, file: FoundFile, base: str, status: os.stat_result) -> Item:
        path = os.path.relpath(file.location, base)
        template = self._settings.url_template
        return Item(
            location=file.location,
            root=self._around.root,
            source=file.source,
            name=os.path.basename(file.location),
            fetch=partial(fetch_file, file.location, self._around.max_bytes),
            stamp=stamp_of(status),
            metadata=metadata_of(
                self._settings,
                path,
                url=template.replace("{path}", path),
                modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
            ),
            is_named=file.is_named,
        )


def stamp_of(status: os.stat_result) -> str:
    """Return what changes whenever a file may have."""
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}"


async def fetch_file(location: str, max_bytes: int) -> bytes:
    """Return the content of a file.

    Raises:
        UnreadableError: it is none, it is larger, or nobody here may read it.
    """
    return await asyncio.to_thread(_read_file, location, max_bytes)


def glance(path: str) -> str:
    """Return what changes whenever something below a folder may have; slow for large folders."""
    seen = blake2b(digest_size=16)
    for file in find_files([Path(path)]).files:
        try:
            seen.update(f"{file.location}\0{stamp_of(os.stat(file.location))}\0".encode())
        except OSError:
            continue
    return seen.hexdigest()


def _read_file(location: str, max_bytes: int) -> bytes:
    try:
        # Without waiting: a pipe that nobody writes to would hold the thread for ever.
        number = os.open(location, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UnreadableError(f"it cannot be opened: {error.strerror}") from None
    with os.fdopen(number, "rb") as file:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("it is no file: a pipe, a device or a socket")
        if status.st_size > max_bytes:
            raise too_large("it", max_bytes)
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise too_large("it", max_bytes)
    return content


def _with_status(files: Sequence[FoundFile]) -> list[tuple[FoundFile, os.stat_result | str]]:
    """Return the files with their size and time, or why those cannot be had."""
    return [(file, _status(file.location)) for file in files]


def _status(location: str) -> os.stat_result | str:
    try:
        return os.stat(location)
    except OSError as error:
        return f"it cannot be looked at: {error.strerror}"
