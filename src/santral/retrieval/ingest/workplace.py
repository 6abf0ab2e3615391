"""What an ingest works with: the parts that the process hands it, and the collection it works on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import TypeAlias

import msgspec
from msgspec import Struct

from santral.db.engine import Connection, Engine
from santral.retrieval.collection import Collection, Version
from santral.retrieval.embedding.model import EmbeddingModel
from santral.retrieval.index.entry import Partition
from santral.retrieval.index.index import IndexWriter
from santral.retrieval.reading.file import ReadOptions
from santral.retrieval.reading.workshop import Workshop

#: Version of how documents are taken in; what another one took in is read again.
INTAKE_VERSION = 1


class Inspected(Struct, frozen=True):
    """What a policy made of texts; ``refusal`` says why they are not to be kept."""

    texts: tuple[str, ...]
    refusal: str = ""


class Inspector(Struct, frozen=True):
    """A policy's checks of retrieved text. ``digest`` changes with anything that they depend on."""

    digest: str
    inspect: Callable[[Sequence[str]], Awaitable[Inspected]]


class Vectoriser(Struct, frozen=True):
    """Where the vectors of a version come from."""

    model: EmbeddingModel


#: The right to change a version's index; raises StoreError where another process has it.
OpenWriter: TypeAlias = Callable[[Partition, Version], Awaitable[IndexWriter]]
#: The versions of a collection that are to be brought up to date, in the transaction given.
WantedVersions: TypeAlias = Callable[
    [Connection, Collection, datetime, str], Awaitable[Sequence[Version]]
]


class Workplace(Struct, frozen=True):
    """The parts of one process that ingests; built once by ``app/``."""

    engine: Engine
    workshop: Workshop
    open_writer: OpenWriter
    clock: Callable[[], datetime]
    #: Finds the inspector of a policy by its name. Raises BadRequest where there is none.
    inspector_of: Callable[[str], Inspector] | None = None


def recipe_of_intake(collection: Collection, inspector: Inspector | None) -> str:
    """Return what names the way documents are read and checked: another one reads them again."""
    settings = collection.settings
    said = (
        INTAKE_VERSION,
        settings.ocr,
        settings.max_file_bytes,
        inspector.digest if inspector is not None else "",
    )
    return blake2b(msgspec.json.encode(said), digest_size=16).hexdigest()


def read_options(collection: Collection) -> ReadOptions:
    """Return how the documents of a collection are read."""
    return ReadOptions(ocr=collection.settings.ocr)
