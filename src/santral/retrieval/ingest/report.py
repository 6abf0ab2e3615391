"""What an ingest says: how far it is, and what it did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

from msgspec import Struct, field

#: Troubles that a report names one by one; all quarantined documents are in the database. Chosen.
MAX_NAMED = 100


class Progress(Struct, frozen=True):
    """How far an ingest is; ``total`` is 0 while nobody knows it. Reading counts documents, the other
    stages chunks or documents of one version."""

    stage: Literal["read", "split", "fit", "index", "publish"]
    done: int
    total: int = 0
    name: str = ""


Tell: TypeAlias = Callable[[Progress], Awaitable[None]]


class Trouble(Struct, frozen=True):
    """Something of a source that was not taken in, and why."""

    source: str
    reason: str


class IngestReport(Struct, kw_only=True):
    """What an ingest did. ``documents`` and ``chunks`` count the searched version after it.

    ``quarantined`` counts documents by reason; ``troubles`` names the first of them, and problems of
    the source. ``embedded`` counts the chunks of which a model made vectors,
    ``embedding_tokens`` what an endpoint billed for them. ``warning`` says what is wrong with the model.
    """

    read: int = 0
    unchanged: int = 0
    retold: int = 0
    moved: int = 0
    ignored: int = 0
    removed: int = 0
    duplicates: int = 0
    quarantined: dict[str, int] = field(default_factory=dict[str, int])
    problems: int = 0
    troubles: list[Trouble] = field(default_factory=list[Trouble])
    split_chunks: int = 0
    embedded: int = 0
    embedding_tokens: int = 0
    indexed_chunks: int = 0
    documents: int = 0
    chunks: int = 0
    version: int = 0
    generation: str = ""
    is_published: bool = False
    is_switched: bool = False
    is_refitted: bool = False
    warning: str = ""
    elapsed_s: float = 0.0

    @property
    def quarantined_documents(self) -> int:
        """How many documents of this run cannot be searched."""
        return sum(self.quarantined.values())

    @property
    def chunks_per_s(self) -> float:
        """Chunks brought into an index per second; 0 where none had to be."""
        return self.indexed_chunks / self.elapsed_s if self.elapsed_s else 0.0

    def note_quarantined(self, source: str, reason: str) -> None:
        """Count a document that cannot be searched."""
        self.quarantined[reason] = self.quarantined.get(reason, 0) + 1
        self._name(source, reason)

    def note_problem(self, source: str, reason: str) -> None:
        """Count something of a source that cannot be had."""
        self.problems += 1
        self._name(source, reason)

    def _name(self, source: str, reason: str) -> None:
        if len(self.troubles) < MAX_NAMED:
            self.troubles.append(Trouble(source, reason))
