"""Export one person: JSON lines for each place, and an index, in a folder that waits to be fetched.

What is exported is the person's own. Texts of others that mention them are counted and stay out.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from santral.errors import StoreError
from santral.jobs.job import Hold
from santral.privacy.erase import FindSessions, with_sessions
from santral.privacy.place import Place
from santral.privacy.places.exports import INDEX, ExportIndex, export_fingerprint
from santral.privacy.places.responses import replace_file
from santral.privacy.subject import Subject
from santral.tenants.tenant import TenantId

#: What the job is called in the table of jobs.
EXPORT = "privacy.export"
_SALT_BYTES = 16
#: Lines that are written at once. Chosen.
_BATCH = 200

_encode = msgspec.json.Encoder(enc_hook=str).encode


class ExportArguments(Struct, frozen=True, kw_only=True):
    """Whom to export."""

    subject: Subject


class Exporter:
    """The work of ``privacy.export``."""

    def __init__(
        self,
        places: Sequence[Place],
        collect: Callable[[], Awaitable[None]],
        find_sessions: FindSessions,
        folder: Path,
        clock: Callable[[], datetime],
    ) -> None:
        self._places = places
        self._collect = collect
        self._find_sessions = find_sessions
        self._folder = folder
        self._clock = clock

    async def __call__(self, hold: Hold, arguments: ExportArguments) -> Mapping[str, Any]:
        """Write the export; return its index.

        Raises:
            StoreError: a place cannot be read or the folder not be written; tried again later.
        """
        job = hold.job
        await hold.report("collecting")
        await self._collect()
        subject = await with_sessions(job.tenant_id, arguments.subject, self._find_sessions)
        folder = self._folder / job.id
        await asyncio.to_thread(_make, folder)
        salt = secrets.token_hex(_SALT_BYTES)
        index = ExportIndex(
            tenant=job.tenant_id,
            salt=salt,
            subject=export_fingerprint(job.tenant_id, arguments.subject, salt),
            job=job.id,
            made_at=self._clock().isoformat(),
            software=f"santral {version('santral')}",
            files={},
            mentions={},
        )
        # First, so that a later erasure finds an export that was killed half-way.
        await asyncio.to_thread(_write_index, folder, index)
        for number, place in enumerate(self._places, 1):
            await hold.report(f"exporting {place.name}", number, len(self._places))
            count = await _write_place(folder, place, job.tenant_id, subject)
            if count:
                index.files[f"{place.name}.jsonl"] = count
            found = await place.find(job.tenant_id, subject)
            if found.mentions:
                index.mentions[place.name] = found.mentions
        await asyncio.to_thread(_write_index, folder, index)
        return msgspec.to_builtins(index)


async def _write_place(folder: Path, place: Place, tenant: TenantId, subject: Subject) -> int:
    path = folder / f"{place.name}.jsonl"
    await asyncio.to_thread(path.unlink, missing_ok=True)  # of a try before
    count = 0
    lines: list[bytes] = []
    async for value in place.export(tenant, subject):
        lines.append(_encode(value) + b"\n")
        count += 1
        if len(lines) == _BATCH:
            await asyncio.to_thread(_append, path, lines)
            lines = []
    if lines:
        await asyncio.to_thread(_append, path, lines)
    return count


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}.") from None


def _write_index(folder: Path, index: ExportIndex) -> None:
    data = msgspec.json.format(msgspec.json.encode(index), indent=2) + b"\n"
    replace_file(folder / INDEX, data)


def _append(path: Path, lines: list[bytes]) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with open(fd, "wb") as file:
            file.write(b"".join(lines))
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}.") from None
