"""Stored responses: conversations that callers asked to be kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec

from santral.errors import StoreError
from santral.gateway.dialects.responses.state import Kept
from santral.gateway.objects import write_whole
from santral.privacy.place import Found
from santral.privacy.subject import Mentions, Subject
from santral.tenants.tenant import TenantId

_decode = msgspec.json.Decoder(Kept).decode


class Responses:
    """A person's own go whole; others lose the mention."""

    name = "responses"
    about = (
        "Responses that were stored for previous_response_id. The person's own are deleted; in others "
        "a text that was asked for becomes [erased]."
    )
    tables = frozenset[str]()

    def __init__(self, objects: Path) -> None:
        self._objects = objects

    async def find(self, tenant_id: TenantId, subject: Subject) -> Found:
        """Count the person's own responses, and those of others that mention them."""
        own, mentions = 0, 0
        for _, kept, changed in await asyncio.to_thread(self._list, tenant_id, subject):
            own += kept is not None
            mentions += changed is not None
        return Found(own={"responses": own} if own else {}, mentions=mentions)

    async def export(self, tenant_id: TenantId, subject: Subject) -> AsyncIterator[Any]:
        """Yield the person's own responses with what was said before them."""
        for path, kept, _ in await asyncio.to_thread(self._list, tenant_id, subject):
            if kept is not None:
                said = msgspec.json.decode(msgspec.json.encode(kept))
                yield {"id": path.stem, **said}

    async def erase(self, tenant_id: TenantId, subject: Subject) -> None:
        """Delete the person's own, and write others anew without the mention."""
        for path, kept, changed in await asyncio.to_thread(self._list, tenant_id, subject):
            await asyncio.to_thread(_apply, path, None if kept is not None else changed)

    def _list(
        self, tenant_id: TenantId, subject: Subject
    ) -> list[tuple[Path, Kept | None, bytes | None]]:
        """Return the files that matter: with what is the person's own, or with other contents."""
        mentions = Mentions(subject.texts)
        found: list[tuple[Path, Kept | None, bytes | None]] = []
        for path, data in read_files(self._objects / tenant_id / "responses"):
            kept = _kept(data)
            if kept is not None and subject.owns(kept.user, kept.session):
                found.append((path, kept, None))
                continue
            text = data.decode(errors="replace")
            changed = mentions.without_in_json(text)
            if changed != text:
                found.append((path, None, changed.encode()))
        return found


def read_files(folder: Path, pattern: str = "*.json") -> Iterator[tuple[Path, bytes]]:
    """Yield the files of a folder that is there or not, with what they hold.

    Raises:
        StoreError: one cannot be read.
    """
    for path in sorted(folder.glob(pattern)):
        try:
            yield path, path.read_bytes()
        except FileNotFoundError:  # it was over its time
            continue
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}.") from None


def replace_file(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all; one that was there stays as old: retention goes by its age.

    Raises:
        StoreError: the disk takes nothing.
    """
    try:
        age = path.stat().st_mtime if path.exists() else None
        write_whole(path, data, os.urandom(8).hex(), age)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}.") from None


def _kept(data: bytes) -> Kept | None:
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _apply(path: Path, data: bytes | None) -> None:
    if data is None:
        path.unlink(missing_ok=True)
    else:
        replace_file(path, data)
