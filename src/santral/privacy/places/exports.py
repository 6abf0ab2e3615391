"""Exports of people that were made and not fetched yet."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from santral.privacy.place import Found
from santral.privacy.places.responses import read_files
from santral.privacy.subject import Subject
from santral.tenants.tenant import TenantId

INDEX = "index.json"


class ExportIndex(Struct, frozen=True, kw_only=True):
    """What one export holds, and of whom, without naming them."""

    tenant: str
    salt: str
    subject: str  # fingerprint
    job: str
    made_at: str
    software: str
    files: dict[str, int]  # lines by file
    mentions: dict[str, int]  # in other people's words, by place: these are not exported


_decode = msgspec.json.Decoder(ExportIndex).decode


def exports_folder(data_folder: Path) -> Path:
    """Return where exports wait to be fetched, a folder for each job."""
    return data_folder / "exports"


def export_fingerprint(tenant_id: str, subject: Subject, salt: str) -> str:
    """Return by what exports of one person know each other, whatever else was asked for."""
    whom = Subject(user=subject.user) if subject.user else subject
    return whom.fingerprint(tenant_id, salt)


class Exports:
    """Folders of earlier exports of the same person."""

    name = "exports"
    about = "Exports of the person that wait to be fetched. They are deleted."
    tables = frozenset[str]()

    def __init__(self, data_folder: Path) -> None:
        self._folder = exports_folder(data_folder)

    async def find(self, tenant_id: TenantId, subject: Subject) -> Found:
        """Count them."""
        found = await asyncio.to_thread(self._of, tenant_id, subject)
        return Found(own={"exports": len(found)} if found else {})

    async def export(self, tenant_id: TenantId, subject: Subject) -> AsyncIterator[Any]:
        """Yield nothing: an export holds no exports."""
        return
        yield

    async def erase(self, tenant_id: TenantId, subject: Subject) -> None:
        """Delete them."""
        for folder in await asyncio.to_thread(self._of, tenant_id, subject):
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _of(self, tenant_id: TenantId, subject: Subject) -> list[Path]:
        found: list[Path] = []
        for path, data in read_files(self._folder, f"*/{INDEX}"):
            try:
                index = _decode(data)
            except msgspec.DecodeError:
                continue
            same = index.subject == export_fingerprint(tenant_id, subject, index.salt)
            if index.tenant == tenant_id and same:
                found.append(path.parent)
        return found
