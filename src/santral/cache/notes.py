"""What a worker says about its caches: a small file in the data folder, for people at a terminal."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct, field

from santral.cache.shadow import Measured, ShadowBook

#: Entries that are listed, the most recently used. Chosen: what a person can read.
LISTED = 200


class EntryNote(Struct, frozen=True, kw_only=True):
    """One kept answer, without what it says."""

    key: str
    size_bytes: int
    expires_in_s: int
    cost_nanousd: int = 0


class ShadowNote(Struct, frozen=True, kw_only=True):
    """What shadow mode saw of one tenant's route, and the budget of that route."""

    tenant_id: str
    route: str
    measured: Measured
    budget: float = 0.01


class CacheNotes(Struct, frozen=True, kw_only=True):
    """The state of one worker's caches at one moment."""

    worker: str
    at_us: int
    counters: dict[str, int] = field(default_factory=dict[str, int])
    entries: list[EntryNote] = field(default_factory=list[EntryNote])
    shadow: list[ShadowNote] = field(default_factory=list[ShadowNote])


_decode = msgspec.json.Decoder(CacheNotes).decode


def notes_folder(data_folder: Path) -> Path:
    """Return where workers of a data folder leave their notes."""
    return data_folder / "cache"


def write_notes(folder: Path, notes: CacheNotes) -> None:
    """Replace a worker's notes whole; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("wb", dir=folder, delete=False) as fresh:
        fresh.write(msgspec.json.encode(notes))
    os.replace(fresh.name, folder / f"{notes.worker}.json")


def read_notes(folder: Path) -> Iterator[CacheNotes]:
    """Yield the notes of every worker; those that cannot be read are left out."""
    for file in sorted(folder.glob("*.json")):
        try:
            yield _decode(file.read_bytes())
        except (OSError, msgspec.DecodeError):
            continue


def shadow_book(folder: Path, worker: str) -> ShadowBook:
    """Return what a worker measured before it was restarted."""
    own = next((n for n in read_notes(folder) if n.worker == worker), None)
    shadow = own.shadow if own is not None else []
    return ShadowBook({(note.tenant_id, note.route): note.measured for note in shadow})


def measured(notes: Iterator[CacheNotes] | list[CacheNotes]) -> dict[tuple[str, str], ShadowNote]:
    """Return what all workers measured together, by tenant and route."""
    found: dict[tuple[str, str], ShadowNote] = {}
    for note in (entry for worker in notes for entry in worker.shadow):
        key = (note.tenant_id, note.route)
        seen = found.get(key)
        total = note.measured if seen is None else seen.measured.plus(note.measured)
        found[key] = msgspec.structs.replace(note, measured=total)
    return found
