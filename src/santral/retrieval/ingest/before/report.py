"""What an ingest says: how far it is, and what it did."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field


class Progress(Struct, frozen=True):
    """How far an ingest is; ``total`` counts files while reading and chunks while indexing."""

    stage: Literal["read", "index", "fit", "publish"]
    done: int
    total: int
    name: str = ""


class Quarantined(Struct, frozen=True):
    """A file that could not be read, and why."""

    source: str
    reason: str


class IngestReport(Struct, kw_only=True):
    """What an ingest did. ``chunks`` and ``documents`` count the whole collection after it."""

    read: int = 0
    unchanged: int = 0
    ignored: int = 0
    removed: int = 0
    quarantined: list[Quarantined] = field(default_factory=list[Quarantined])
    documents: int = 0
    chunks: int = 0
    new_chunks: int = 0
    generation: str = ""
    is_published: bool = False
    elapsed_s: float = 0.0

    @property
    def chunks_per_s(self) -> float:
        """Chunks brought into the published index per second; 0 when nothing had to be done."""
        return self.chunks / self.elapsed_s if self.is_published and self.elapsed_s else 0.0
