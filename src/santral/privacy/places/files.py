"""Uploaded files and batches: a person's lines go out of them, other people's stay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from santral.errors import BadRequest
from santral.gateway.batches.batch import Batch, StoredFile, answers_id
from santral.gateway.batches.cabinet import Cabinet
from santral.gateway.stages.trace import MAX_NAME
from santral.privacy.place import Found
from santral.privacy.places.responses import replace_file
from santral.privacy.subject import Mentions, Subject
from santral.tenants.tenant import TenantId


class _Extras(Struct, frozen=True):
    user: str | None = None
    session: str | None = None


class _Body(Struct, frozen=True):
    user: str | None = None
    santral: _Extras | None = None


class _Line(Struct, frozen=True):
    custom_id: str = ""
    body: _Body | None = None


class _Change(Struct, frozen=True):
    """What becomes of one file on disk."""

    path: Path
    own: tuple[bytes, ...]  # the person's lines, which go
    mentions: int
    data: bytes  # what stays


_line = msgspec.json.Decoder(_Line).decode


class Files:
    """The cabinet of files and batches, line by line."""

    name = "files"
    about = (
        "Uploaded files, batches and their results. A batch's requests of the person and the answers "
        "to them are taken out; elsewhere a text that was asked for becomes [erased]. A file that is "
        "no text and holds it is named, and left to a person."
    )
    tables = frozenset[str]()

    def __init__(self, cabinet: Cabinet) -> None:
        self._cabinet = cabinet

    async def find(self, tenant_id: TenantId, subject: Subject) -> Found:
        """Count the person's lines, and mentions in others."""
        changes = await asyncio.to_thread(lambda: list(self._changes(tenant_id, subject)))
        own = sum(len(change.own) for change in changes)
        left = await asyncio.to_thread(self._unreadable, tenant_id, subject)
        return Found(
            own={"lines": own} if own else {},
            mentions=sum(change.mentions for change in changes),
            left=tuple(left),
        )

    async def export(self, tenant_id: TenantId, subject: Subject) -> AsyncIterator[Any]:
        """Yield the person's lines with the file they stand in."""
        changes = await asyncio.to_thread(lambda: list(self._changes(tenant_id, subject)))
        for change in changes:
            for line in change.own:
                yield {"file": change.path.stem, "line": msgspec.json.decode(line)}

    async def erase(self, tenant_id: TenantId, subject: Subject) -> None:
        """Write the files anew without the person.

        Raises:
            BadRequest: a batch that holds their requests is still being answered.
        """
        await asyncio.to_thread(self.check, tenant_id, subject)
        await asyncio.to_thread(self._erase, tenant_id, subject)

    def check(self, tenant_id: TenantId, subject: Subject) -> None:
        """Return when no batch under way holds the person's requests; raises as ``erase``."""
        for batch in self._cabinet.batches(tenant_id):
            if not batch.is_over and self._own_ids(batch, subject):
                raise BadRequest(
                    f"The batch {batch.id} is {batch.status} and holds requests of this person. "
                    "Cancel it or wait for its end, then erase again.",
                    code="batch_running",
                )

    def _erase(self, tenant_id: TenantId, subject: Subject) -> None:
        for change in list(self._changes(tenant_id, subject)):
            replace_file(change.path, change.data)
        for file in self._cabinet.files(tenant_id):
            size = len(self._cabinet.content(tenant_id, file.id))
            if size != file.bytes:
                path = self._folder(tenant_id, "files") / f"{file.id}.json"
                replace_file(path, msgspec.json.encode(replace(file, bytes=size)))

    def _changes(self, tenant_id: TenantId, subject: Subject) -> Iterator[_Change]:
        mentions = Mentions(subject.texts)
        ids = self._answered_ids(tenant_id, subject)
        for file in self._cabinet.files(tenant_id):
            path = self._folder(tenant_id, "files") / f"{file.id}.data"
            yield from _change(path, subject, mentions, ids.get(file.id, frozenset()), file)
        for batch in self._cabinet.batches(tenant_id):
            path = self._folder(tenant_id, "batches") / f"{batch.id}.results"
            if path.exists():
                yield from _change(path, subject, mentions, ids.get(batch.id, frozenset()), None)
            path = path.with_suffix(".json")
            data = path.read_bytes()
            changed = mentions.without_in_json(data.decode(errors="replace")).encode()
            if mentions and changed != data:
                yield _Change(path, (), 1, changed)

    def _answered_ids(self, tenant_id: TenantId, subject: Subject) -> dict[str, frozenset[str]]:
        """Return the ``custom_id`` of the person's requests, by batch and by file of answers."""
        found: dict[str, frozenset[str]] = {}
        for batch in self._cabinet.batches(tenant_id):
            own = self._own_ids(batch, subject)
            if own:
                for name in (batch.id, *(answers_id(batch.id, k) for k in ("output", "error"))):
                    found[name] = own
        return found

    def _own_ids(self, batch: Batch, subject: Subject) -> frozenset[str]:
        path = self._folder(batch.tenant_id, "files") / f"{batch.input_file_id}.data"
        if not path.exists():
            return frozenset()
        return frozenset(
            line.custom_id
            for raw in path.read_bytes().splitlines()
            if (line := _read(raw)) is not None and _is_own(line, subject)
        )

    def _unreadable(self, tenant_id: TenantId, subject: Subject) -> Iterator[str]:
        """Yield the files that hold the person's texts and are no text themselves."""
        words = [text.encode() for text in subject.texts]
        for file in self._cabinet.files(tenant_id):
            data = self._cabinet.content(tenant_id, file.id)
            if not _is_text(data) and any(word in data for word in words):
                yield f"file {file.id}: it is no text; look at it, and delete it if it is theirs"

    def _folder(self, tenant_id: str, kind: str) -> Path:
        return self._cabinet.root / tenant_id / kind


def _change(
    path: Path, subject: Subject, mentions: Mentions, ids: frozenset[str], file: StoredFile | None
) -> Iterator[_Change]:
    """Yield what becomes of one file of lines, if it changes."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    if file is not None and not _is_text(data):
        return
    own: list[bytes] = []
    kept: list[bytes] = []
    mentioned = 0
    for raw in data.splitlines(keepends=True):
        line = _read(raw)
        if line is not None and (line.custom_id in ids or _is_own(line, subject)):
            own.append(raw.rstrip())
            continue
        text = raw.decode(errors="replace")
        body, end = text.rstrip("\r\n"), text[len(text.rstrip("\r\n")) :]
        changed = mentions.without_in_json(body)
        mentioned += changed != body
        kept.append((changed + end).encode() if changed != body else raw)
    if own or mentioned:
        yield _Change(path, tuple(own), mentioned, b"".join(kept))


def _read(raw: bytes) -> _Line | None:
    try:
        return _line(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _is_own(line: _Line, subject: Subject) -> bool:
    if line.body is None:
        return False
    extras = line.body.santral or _Extras()
    user = (extras.user or line.body.user or "")[:MAX_NAME]
    return subject.owns(user, (extras.session or "")[:MAX_NAME])


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
