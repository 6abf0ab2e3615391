"""The writing side of the embedded index."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from santral.errors import BadRequest, StoreError
from santral.retrieval.analysis.language import Language
from santral.retrieval.index.embedded.arrays import Array, check_arrays, damaged, write_arrays
from santral.retrieval.index.embedded.content import contents_of, merged_content
from santral.retrieval.index.embedded.lexicon import MAX_ROWS
from santral.retrieval.index.embedded.manifest import (
    MANIFEST,
    SUFFIX,
    Manifest,
    Part,
    lock_folder,
    no_manifest,
    partition_folder,
    read_manifest,
    remove_folder,
    remove_former,
    remove_unnamed,
    sync_folder,
    write_manifest,
)
from santral.retrieval.index.embedded.segment import Segment, load_segment
from santral.retrieval.index.entry import Batch, IndexState, Partition

log = logging.getLogger(__name__)

#: Chunks that wait in memory before they are written as a segment. Chosen: some 60 MB at the most.
_FLUSH_CHUNKS = 8_192
#: Segments of about one size that may stand beside each other, and how much larger the next size is.
#: Chosen: a chunk is written some four times until it is in a segment of the largest size.
_SAME_SIZE = 4
_SMALLEST = 512

P = ParamSpec("P")
T = TypeVar("T")


class _Held(Struct, eq=False):
    """A segment that will count with the next publication, and which of its documents do not."""

    segment: Segment
    gone: NDArray[np.bool_]
    alive_chunks: int

    @property
    def tier(self) -> int:
        """Its size in steps of ``_SAME_SIZE``."""
        tier, bound = 0, _SMALLEST
        while self.alive_chunks > bound:
            tier, bound = tier + 1, bound * _SAME_SIZE
        return tier

    def is_stale(self, dimensions: int | None) -> bool:
        """Whether it is worth writing anew alone: a third is gone, all, or it is of another model."""
        chunks = self.segment.chunks
        if self.gone.all() or 3 * self.alive_chunks < 2 * chunks:
            return True
        return bool(chunks) and dimensions is not None and self.segment.dimensions != dimensions


class EmbeddedWriter:
    """Changes a partition of the data folder. Work leaves the event loop; one call at a time."""

    def __init__(self, partition: Partition, folder: Path) -> None:
        self._partition = partition
        self._folder = folder
        self._lock: int | None = None
        self._manifest = no_manifest(partition)
        self._segments: list[_Held] = []
        self._fingerprints: dict[str, str] = {}
        self._places: dict[str, list[tuple[_Held, int]]] = {}
        self._waiting: list[Batch] = []
        self._is_changed = False

    @classmethod
    async def open(cls, partition: Partition, data_folder: Path) -> EmbeddedWriter:
        """Take the right to write a partition, and look at what is published there.

        An index that is damaged or of another format counts as empty: ``held`` says so, and the next
        publication takes its place.

        Raises:
            StoreError: another process writes it (``ingest_running``), or the folder is unusable.
        """
        writer = cls(partition, partition_folder(data_folder, partition))
        await writer._run(writer._open)
        return writer

    async def held(self) -> Mapping[str, str]:
        """Return the fingerprint of every document that is put in, by id, published or not."""
        return dict(self._fingerprints)

    async def put(self, batch: Batch) -> None:
        """Put whole documents in, each in place of what was there under its id."""
        await self._run(self._put, batch)

    async def remove(self, document_ids: Sequence[str]) -> None:
        """Take documents out; unknown ids are no error."""
        await self._run(self._remove, document_ids)

    async def publish(self) -> IndexState:
        """Make all that was put in and taken out visible, durably; merges small segments."""
        return await self._run(self._publish)

    async def drop(self) -> None:
        """Delete the whole partition; nothing of it stays."""
        await self._run(self._drop)

    async def save_snapshot(self, folder: Path) -> None:
        """Copy what is published into an empty folder, which is made where it is not there."""
        await self._run(self._save_snapshot, folder)

    async def restore_snapshot(self, folder: Path) -> IndexState:
        """Put a snapshot in force, checked whole before anything is replaced."""
        return await self._run(self._restore_snapshot, folder)

    async def close(self) -> None:
        """Give the right to write back; what was not published is forgotten."""
        self._forget()
        self._release()

    def _open(self) -> None:
        self._lock = lock_folder(self._folder)
        try:
            self._load()
        except StoreError as error:
            log.warning("index_counts_as_empty", extra={"reason": error.message})
            self._forget()
            self._is_changed = (
                True  # what is published replaces the damaged one, even if it is empty
            )
        else:
            remove_unnamed(self._folder, {part.name for part in self._manifest.parts})

    def _load(self) -> None:
        """Take over what is published; raises ``StoreError`` where it is damaged."""
        self._forget()
        self._manifest = read_manifest(self._folder, self._partition)
        for part in self._manifest.parts:
            try:
                segment = load_segment(self._folder, part.name)
            except FileNotFoundError:
                raise damaged(self._folder / part.name, "it is missing") from None
            self._hold(segment, part.gone(segment.documents))

    def _forget(self) -> None:
        self._manifest = no_manifest(self._partition)
        self._segments, self._waiting = [], []
        self._fingerprints, self._places = {}, {}
        self._is_changed = False

    def _hold(self, segment: Segment, gone: NDArray[np.bool_]) -> None:
        alive_chunks = int(np.count_nonzero(~gone[segment.document]))
        held = _Held(segment, gone, alive_chunks)
        self._segments.append(held)
        for number, name in enumerate(segment.ids()):
            if not gone[number]:
                self._places.setdefault(name, []).append((held, number))
                self._fingerprints[name] = segment.fingerprint_at(number)

    def _put(self, batch: Batch) -> None:
        self._require_dimension(batch)
        self._remove([one.id for one in batch.documents])
        self._fingerprints |= {one.id: one.fingerprint for one in batch.documents}
        self._waiting.append(batch)
        self._is_changed = True
        if sum(len(one.chunks) for one in self._waiting) >= _FLUSH_CHUNKS:
            self._flush()

    def _require_dimension(self, batch: Batch) -> None:
        if not batch.chunks:
            return
        given, known = batch.vectors.shape[1], self._dimensions()
        if known is not None and given != known:
            raise BadRequest(
                f"The vectors have {given} dimensions, the index of "
                f"'{self._partition.collection}' holds {known}. Build a new version of the "
                "collection for another model.",
                code="wrong_dimension",
            )

    def _dimensions(self) -> int | None:
        """Return the dimension of all chunks; None where there is no chunk."""
        for batch in self._waiting:
            if batch.chunks:
                return batch.vectors.shape[1]
        for held in self._segments:
            if held.alive_chunks:
                return held.segment.dimensions
        return None

    def _remove(self, document_ids: Sequence[str]) -> None:
        known = [name for name in dict.fromkeys(document_ids) if name in self._fingerprints]
        if not known:
            return
        if any(name not in self._places for name in known):
            self._flush()  # one of them still waits
        for name in known:
            del self._fingerprints[name]
            for held, number in self._places.pop(name):
                held.gone[number] = True
                begin, end = np.searchsorted(held.segment.document, [number, number + 1])
                held.alive_chunks -= int(end - begin)
        self._is_changed = True

    def _flush(self) -> None:
        """Write what waits as segments that do not count yet."""
        self._own_folder()
        if not self._waiting:
            return
        for content in contents_of(self._waiting):
            self._hold_new(self._written(content.arrays()))
        self._waiting = []

    def _written(self, arrays: Mapping[str, Array]) -> Segment:
        name = f"{secrets.token_hex(8)}{SUFFIX}"
        write_arrays(self._folder / name, arrays)
        return load_segment(self._folder, name)

    def _hold_new(self, segment: Segment) -> None:
        self._hold(segment, np.zeros(segment.documents, bool))

    def _publish(self) -> IndexState:
        self._flush()
        if not self._is_changed and self._manifest.number:
            return self._manifest.state
        self._merge()
        self._put_in_force(
            [
                Part(
                    held.segment.name, np.packbits(held.gone).tobytes() if held.gone.any() else b""
                )
                for held in self._segments
            ]
        )
        return self._manifest.state

    def _put_in_force(self, parts: Sequence[Part]) -> None:
        languages: set[Language] = set()
        for held in self._segments:
            languages |= held.segment.languages_of(~held.gone)
        sizes = [(self._folder / part.name).stat().st_size for part in parts]
        manifest = Manifest(
            tenant_id=self._partition.tenant_id,
            collection=self._partition.collection,
            version=self._partition.version,
            number=self._manifest.number + 1,
            token=secrets.token_hex(4),
            documents=len(self._fingerprints),
            chunks=sum(held.alive_chunks for held in self._segments),
            dimensions=self._dimensions() or 0,
            languages=tuple(sorted(languages)),
            size_bytes=sum(sizes),
            parts=tuple(parts),
        )
        write_manifest(self._folder, manifest)
        self._manifest, self._is_changed = manifest, False
        remove_unnamed(self._folder, {part.name for part in parts})
        remove_former(self._folder.parent)

    def _merge(self) -> None:
        """Write segments anew that lost much, and those of which there are too many of one size."""
        while due := self._due():
            alive = [held for held in due if not held.gone.all()]
            merged: Segment | None = None
            if alive:
                content = merged_content(
                    [held.segment for held in alive], [held.gone for held in alive]
                )
                merged = self._written(content.arrays())
            self._segments = [held for held in self._segments if held not in due]
            self._let_go(alive)
            if merged is not None:
                self._hold_new(merged)

    def _let_go(self, segments: Sequence[_Held]) -> None:
        """Forget where documents are whose segments another one replaces."""
        for held in segments:
            for number, name in enumerate(held.segment.ids()):
                if not held.gone[number]:
                    self._places[name].remove((held, number))

    def _due(self) -> list[_Held]:
        dimensions = self._dimensions()
        stale = [held for held in self._segments if held.is_stale(dimensions)]
        if stale:
            return _fitting(stale)
        for tier in {held.tier for held in self._segments}:
            same = [held for held in self._segments if held.tier == tier]
            fitting = _fitting(same)
            if len(same) >= _SAME_SIZE and len(fitting) > 1:
                return fitting
        return []

    def _drop(self) -> None:
        self._forget()
        if self._folder.exists():
            self._own_folder()
            remove_folder(self._folder)
        self._release()

    def _save_snapshot(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise StoreError(f"{folder} is not empty. Name an empty folder for the snapshot.")
        for part in self._manifest.parts:
            _copy(self._folder / part.name, folder / part.name)
        write_manifest(folder, self._manifest)

    def _restore_snapshot(self, folder: Path) -> IndexState:
        if not (folder / MANIFEST).exists():
            raise StoreError(f"{folder} holds no snapshot: {MANIFEST} is missing.")
        manifest = read_manifest(folder, self._partition)
        for part in manifest.parts:
            check_arrays(folder / part.name)
            load_segment(folder, part.name)
        self._own_folder()
        for part in manifest.parts:
            _copy(folder / part.name, self._folder / part.name)
        number = self._manifest.number + 1
        restored = replace(manifest, number=number, token=secrets.token_hex(4))
        write_manifest(self._folder, restored)
        self._load()
        remove_unnamed(self._folder, {part.name for part in restored.parts})
        return restored.state

    def _own_folder(self) -> None:
        """Take the right to write again where a drop gave it back."""
        if self._lock is None:
            self._lock = lock_folder(self._folder)

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _run(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an act in a thread; what has begun ends, also when the caller is cancelled."""
        work = asyncio.get_running_loop().run_in_executor(None, partial(act, *args, **kwargs))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])  # the right to write may not go back before it
            raise
        except OSError as error:
            raise StoreError(
                f"The index in {self._folder} cannot be written: {error.strerror or error}. "
                "The last published state stays in force."
            ) from None


def _fitting(segments: Sequence[_Held]) -> list[_Held]:
    """Return the smallest of some segments, as many as one segment can hold; one at the least."""
    by_size = sorted(segments, key=lambda held: held.alive_chunks)
    total = np.cumsum([held.alive_chunks for held in by_size])
    return by_size[: max(1, int(np.count_nonzero(total <= MAX_ROWS)))]


def _copy(source: Path, target: Path) -> None:
    """Copy a file durably, in place of one of that name; raises ``OSError``."""
    draft = target.with_name(f".{target.name}")
    shutil.copyfile(source, draft)
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
    draft.replace(target)
    sync_folder(target.parent)
