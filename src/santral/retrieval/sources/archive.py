"""Zip files that other programs exported: from this machine or fetched, and never trusted."""

from __future__ import annotations

import asyncio
import os
import shutil
import zipfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

from msgspec import Struct

from santral.errors import SourceUnreachable
from santral.retrieval.document import UnreadableError
from santral.retrieval.sources.fetch import too_large
from santral.retrieval.sources.pages import credentials_of
from santral.retrieval.sources.settings import ExportSettings
from santral.retrieval.sources.surroundings import Surroundings

#: Entries of one archive. Chosen: a large wiki with its attachments.
_MOST_ENTRIES = 1_000_000
_CHUNK = 1024 * 1024


class Entry(Struct, frozen=True):
    """A file in an archive; ``archive`` is where it lies, ``stamp`` changes with its content."""

    archive: Path
    path: str
    stamp: str
    size: int


class Archive:
    """One export. What it holds inside further zip files is found, too, one level deep."""

    def __init__(self, settings: ExportSettings, around: Surroundings) -> None:
        self._settings = settings
        self._around = around
        self._folder = around.folder / "export"
        self._archives: dict[Path, zipfile.ZipFile] = {}

    async def entries(self) -> list[Entry]:
        """Return the files by path, once the archive is here.

        Raises:
            SourceUnreachable: it cannot be had, or it is no archive.
        """
        archive = await self._here()
        return sorted(await asyncio.to_thread(self._found, archive), key=lambda entry: entry.path)

    async def read(self, entry: Entry, max_bytes: int) -> bytes:
        """Return what a file holds; raises UnreadableError."""
        return await asyncio.to_thread(self._read, entry, max_bytes)

    def _read(self, entry: Entry, max_bytes: int) -> bytes:
        # Kept open until this object goes: to open a large archive takes longer than to read a page.
        if entry.archive not in self._archives:
            self._archives[entry.archive] = _opened(entry.archive)
        try:
            with self._archives[entry.archive].open(entry.path) as file:
                content = file.read(max_bytes + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, OSError) as error:
            raise UnreadableError(f"it cannot be unpacked: {error}") from None
        if len(content) > max_bytes:
            raise too_large("it", max_bytes)
        return content

    async def _here(self) -> Path:
        """Return the archive as a file of this machine."""
        if self._settings.path:
            path = Path(self._settings.path)
            if not await asyncio.to_thread(path.is_file):
                raise SourceUnreachable(f"There is no file {path}, for now.")
            return path
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        path = self._folder / "export.zip"
        headers = credentials_of(self._settings)
        try:
            async with self._around.fetcher.ask(self._settings.url, headers) as answer:
                await self._keep(path, answer.body)
        except UnreadableError as error:
            raise SourceUnreachable(f"The export cannot be fetched: {error}.") from None
        return path

    async def _keep(self, path: Path, body: AsyncIterator[bytes]) -> None:
        most, size = self._around.config.max_repository_bytes, 0
        with path.open("wb") as file:
            async for piece in body:
                size += len(piece)
                if size > most:
                    raise too_large("the export", most)
                await asyncio.to_thread(file.write, piece)

    def _found(self, archive: Path) -> list[Entry]:
        found: list[Entry] = []
        for entry in _listed(archive):
            if entry.path.lower().endswith(".zip"):
                found += _listed(self._unpacked(entry))
            else:
                found.append(entry)
        return found

    def _unpacked(self, entry: Entry) -> Path:
        """Write a zip file that lies in the archive beside it; return where."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{entry.stamp.replace(':', '-')}.zip"
        most = self._around.config.max_repository_bytes
        size = 0
        with (
            _opened(entry.archive) as archive,
            archive.open(entry.path) as inner,
            path.open("wb") as file,
        ):
            while piece := inner.read(_CHUNK):
                size += len(piece)
                if size > most:
                    raise SourceUnreachable(f"{entry.path} unpacks to more than {most} bytes.")
                file.write(piece)
        return path


def _listed(archive: Path) -> list[Entry]:
    with _opened(archive) as opened:
        infos = opened.infolist()
    if len(infos) > _MOST_ENTRIES:
        raise SourceUnreachable(f"{archive.name} holds more than {_MOST_ENTRIES} files.")
    return [
        Entry(archive, info.filename, f"{info.CRC:08x}:{info.file_size}", info.file_size)
        for info in infos
        if not info.is_dir() and _is_plain(info.filename)
    ]


def _is_plain(name: str) -> bool:
    """Whether a name is one of a file that people made: hidden ones and ways out are left out."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not any(part.startswith((".", "__MACOSX", os.sep)) for part in parts)


def _opened(archive: Path) -> zipfile.ZipFile:
    try:  # NotImplementedError: zipfile's word for a way of packing that it does not know
        return zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise SourceUnreachable(
            f"{archive.name} is no zip file that can be read: {error}."
        ) from None
