"""Answers that wait for a reviewer, or did: words of whoever asked, and of the model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from santral.gateway.held.answer import Held, encode_held
from santral.gateway.held.cabinet import DECIDED, HELD, WRITTEN, read_held
from santral.privacy.place import Found
from santral.privacy.places.responses import read_files, replace_file
from santral.privacy.subject import Mentions, Subject
from santral.tenants.tenant import TenantId


class HeldAnswers:
    """A person's own go whole, decided or not; others lose the mention."""

    name = "held answers"
    about = (
        "Answers that wait for a reviewer, what was decided about them, and released ones as they "
        "were fetched. The person's own are deleted; in others a text that was asked for becomes "
        "[erased]."
    )
    tables = frozenset[str]()

    def __init__(self, objects: Path) -> None:
        self._objects = objects

    async def find(self, tenant_id: TenantId, subject: Subject) -> Found:
        """Count the person's own answers, and files about others that mention them."""
        own = await asyncio.to_thread(self._own, tenant_id, subject)
        changed = await asyncio.to_thread(self._mentions, tenant_id, subject)
        return Found(own={"held answers": len(own)} if own else {}, mentions=len(changed))

    async def export(self, tenant_id: TenantId, subject: Subject) -> AsyncIterator[Any]:
        """Yield the person's own answers with the requests that they are to."""
        for _, held in await asyncio.to_thread(self._own, tenant_id, subject):
            said = {"messages": held.messages, "answer": held.text}
            yield msgspec.json.decode(msgspec.json.encode({"id": held.id, **said}))

    async def erase(self, tenant_id: TenantId, subject: Subject) -> None:
        """Delete the person's own, and write others anew without the mention."""
        for path, _ in await asyncio.to_thread(self._own, tenant_id, subject):
            for kind in (DECIDED, WRITTEN, HELD):  # the last one says whose they are
                place = self._objects / tenant_id / kind / path.name
                await asyncio.to_thread(place.unlink, missing_ok=True)
        for path, data in await asyncio.to_thread(self._mentions, tenant_id, subject):
            await asyncio.to_thread(replace_file, path, data)

    def _own(self, tenant_id: TenantId, subject: Subject) -> list[tuple[Path, Held]]:
        return [
            (path, held)
            for path, data in read_files(self._objects / tenant_id / HELD)
            if (held := read_held(data)) is not None and subject.owns(held.user, held.session)
        ]

    def _mentions(self, tenant_id: TenantId, subject: Subject) -> list[tuple[Path, bytes]]:
        mentions = Mentions(subject.texts)
        own = {path.name for path, _ in self._own(tenant_id, subject)}
        return [
            (path, changed)
            for kind in (HELD, DECIDED, WRITTEN)
            for path, data in read_files(self._objects / tenant_id / kind)
            if path.name not in own and (changed := _without(data, mentions)) != data
        ]


def _without(data: bytes, mentions: Mentions) -> bytes:
    """Return a file without what mentions the person."""
    held = read_held(data)
    if held is None:
        return mentions.without_in_json(data.decode(errors="replace")).encode()
    body = mentions.without_in_json(held.asked.body.decode(errors="replace"))
    said = mentions.without_in_json(bytes(held.messages).decode())
    asked = replace(held.asked, body=body.encode())
    plain = replace(held, asked=replace(held.asked, body=b""), messages=Raw(b"[]"))
    kept = read_held(mentions.without_in_json(encode_held(plain).decode()).encode())
    fresh = replace(kept or plain, asked=asked, messages=Raw(said.encode()))
    changed = encode_held(fresh)
    return data if changed == encode_held(held) else changed
