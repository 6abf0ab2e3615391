"""Files and batches on disk, a folder for each tenant: written whole or not at all, found after a kill.

    objects/<tenant>/files/<id>.json, <id>.data
    objects/<tenant>/batches/<id>.json, <id>.results

Every function here waits for the disk: call them beside the event loop.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from santral.errors import NotFound, StoreError
from santral.gateway.batches.batch import Batch, Result, StoredFile
from santral.gateway.objects import is_name, write_whole

T = TypeVar("T")

_results = msgspec.json.Decoder(Result)

#: Ids that we made; nothing else is looked for on disk.
_ID = re.compile(r"(?:file|batch)-[0-9a-f]{24,64}")


class Cabinet:
    """The files and batches of all tenants, under ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put_file(self, tenant: str, file: StoredFile, data: bytes) -> None:
        """Keep a file, durably.

        Raises:
            StoreError: the disk takes nothing.
        """
        folder = self._folder(tenant, "files")
        _write(folder / f"{file.id}.data", data)
        _write(folder / f"{file.id}.json", msgspec.json.encode(file))  # last: now it is there

    def file(self, tenant: str, name: str) -> StoredFile:
        """Return what is known of a file.

        Raises:
            NotFound: no such file of this tenant.
        """
        return _decode(self._found(tenant, "files", name, "json"), StoredFile)

    def content(self, tenant: str, name: str) -> bytes:
        """Return a file's bytes; raises as ``file``."""
        return _read(self._found(tenant, "files", name, "data"))

    def delete_file(self, tenant: str, name: str) -> None:
        """Forget a file; raises as ``file``."""
        self._found(tenant, "files", name, "json").unlink(missing_ok=True)
        (self._folder(tenant, "files") / f"{name}.data").unlink(missing_ok=True)

    def files(self, tenant: str) -> list[StoredFile]:
        """Return a tenant's files, the latest first."""
        found = [_decode(path, StoredFile) for path in self._names(tenant, "files")]
        return sorted(found, key=lambda file: (file.created_at, file.id), reverse=True)

    def put_batch(self, batch: Batch) -> None:
        """Keep a batch as it is now, durably."""
        folder = self._folder(batch.tenant_id, "batches")
        _write(folder / f"{batch.id}.json", msgspec.json.encode(batch))

    def batch(self, tenant: str, name: str) -> Batch:
        """Return a batch.

        Raises:
            NotFound: no such batch of this tenant.
        """
        return _decode(self._found(tenant, "batches", name, "json"), Batch)

    def batch_now(self, tenant: str, name: str) -> Batch:
        """Return a batch as people should see it: one that was asked to end is cancelling."""
        batch = self.batch(tenant, name)
        if batch.is_over or batch.status == "finalizing" or not self.is_cancelled(batch):
            return batch
        return msgspec.structs.replace(batch, status="cancelling")

    def batches(self, tenant: str) -> list[Batch]:
        """Return a tenant's batches, the latest first."""
        found = [_decode(path, Batch) for path in self._names(tenant, "batches")]
        return sorted(found, key=lambda batch: (batch.created_at, batch.id), reverse=True)

    def open_batches(self) -> list[Batch]:
        """Return every tenant's batches that are not over, the oldest first."""
        if not self.root.is_dir():
            return []
        tenants = [folder.name for folder in self.root.iterdir() if folder.is_dir()]
        found = [batch for tenant in tenants for batch in self.batches(tenant)]
        return sorted(
            (batch for batch in found if not batch.is_over), key=lambda batch: batch.created_at
        )

    def cancel(self, batch: Batch) -> None:
        """Ask for a batch to end early. A mark of its own: only its runner writes the batch."""
        _write(self._folder(batch.tenant_id, "batches") / f"{batch.id}.cancel", b"")

    def is_cancelled(self, batch: Batch) -> bool:
        """Whether somebody asked for the batch to end early."""
        return (self.root / batch.tenant_id / "batches" / f"{batch.id}.cancel").exists()

    def add_results(self, batch: Batch, results: list[Result]) -> None:
        """Add what became of requests; durable before this returns."""
        path = self._folder(batch.tenant_id, "batches") / f"{batch.id}.results"
        data = b"".join(msgspec.json.encode(result) + b"\n" for result in results)
        try:
            with path.open("ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}.") from None

    def results(self, batch: Batch) -> list[Result]:
        """Return what became of requests so far, each once; a line cut by a crash is taken away."""
        path = self._folder(batch.tenant_id, "batches") / f"{batch.id}.results"
        if not path.exists():
            return []
        data = _read(path)
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(path, len(whole))
        first: dict[str, Result] = {}
        for line in whole.split(b"\n"):
            # A line that a dying disk garbled is as if never written: its request is asked again,
            # under the same id, and so billed once.
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                result = _results.decode(line)
                first.setdefault(result.custom_id, result)
        return list(first.values())

    def sweep(self, before: float) -> int:
        """Forget files and ended batches made before a moment; returns how many went."""
        tenants = self.root.iterdir() if self.root.is_dir() else ()
        return sum(self.sweep_tenant(t.name, before) for t in tenants if t.is_dir())

    def sweep_tenant(self, tenant: str, before: float) -> int:
        """Forget those of one tenant."""
        removed = 0
        batches = self.batches(tenant)
        needed = {batch.input_file_id for batch in batches if not batch.is_over}
        for file in self.files(tenant):
            if file.created_at < before and file.id not in needed:
                self.delete_file(tenant, file.id)
                removed += 1
        for batch in batches:
            if batch.is_over and batch.created_at < before:
                for path in self._folder(tenant, "batches").glob(f"{batch.id}.*"):
                    path.unlink(missing_ok=True)
                removed += 1
        return removed

    def _folder(self, tenant: str, kind: str) -> Path:
        if not is_name(tenant):
            raise StoreError(f"'{tenant[:128]}' cannot have files.")
        folder = self.root / tenant / kind
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{folder}: {error.strerror}.") from None
        return folder

    def _names(self, tenant: str, kind: str) -> Iterator[Path]:
        if not is_name(tenant) or not (self.root / tenant / kind).is_dir():
            return iter(())
        return (path for path in self._folder(tenant, kind).glob("*.json") if _ID.match(path.stem))

    def _found(self, tenant: str, kind: str, name: str, suffix: str) -> Path:
        what = "batch" if kind == "batches" else "file"
        missing = NotFound(f"There is no {what} '{name[:128]}'.", param="id")
        if not (_ID.fullmatch(name) and is_name(tenant)):
            raise missing
        path = self.root / tenant / kind / f"{name}.{suffix}"
        if not path.is_file():
            raise missing
        return path


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}.") from None


def _decode(path: Path, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(_read(path), type=shape)
    except msgspec.DecodeError as error:
        raise StoreError(f"{path}: {error}.") from None


def _write(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data, os.urandom(8).hex())
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}.") from None
