"""What an ingest works with: the parts that the process hands it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from santral.db.engine import Connection, Engine
from santral.retrieval.collection import Collection, Version
from santral.retrieval.embedding.registry import Models
from santral.retrieval.index.entry import Partition
from santral.retrieval.index.index import IndexWriter
from santral.retrieval.reading.file import ReadOptions
from santral.retrieval.reading.workshop import Workshop

#: What the job is called in the table of jobs.
INGEST = "retrieval.ingest"
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


class Versions(Protocol):
    """What an ingest has to know and say of a collection's versions; ``collections/`` keeps them."""

    async def find(self, conn: Connection, tenant_id: str, name: str) -> Collection:
        """Return a collection; raises NotFound."""
        ...

    async def wanted(
        self, conn: Connection, collection: Collection, now: datetime, by: str
    ) -> Sequence[Version]:
        """Return the versions to bring up to date, first the one that the settings ask for."""
        ...

    async def add(
        self, conn: Connection, collection: Collection, like: Version, now: datetime, by: str
    ) -> Version:
        """Add a version in which the vectors of another one are fitted anew."""
        ...

    async def retired(self, conn: Connection, collection: Collection) -> Sequence[Version]:
        """Return the versions that were given up and whose index is still there."""
        ...

    async def retire(self, conn: Connection, collection: Collection, version: int) -> None:
        """Give up a version; its index goes with ``retired``."""
        ...

    async def note(
        self, conn: Connection, collection: Collection, version: int, **changed: Any
    ) -> None:
        """Write down what is known of a version now."""
        ...

    async def activate(
        self, conn: Connection, collection: Collection, version: int, now: datetime
    ) -> None:
        """Let searches see a version from now on."""
        ...


#: The right to change a version's index. Raises StoreError where another process has it.
OpenWriter: TypeAlias = Callable[[Partition, str], Awaitable[IndexWriter]]


class Workplace(Struct, frozen=True, kw_only=True):
    """The parts of one process that ingests; built once by ``app/``.

    ``inspector_of`` finds the checks of a policy by its name; raises BadRequest where there is none.
    """

    engine: Engine
    data_folder: Path
    workshop: Workshop
    versions: Versions
    models: Models
    open_writer: OpenWriter
    inspector_of: Callable[[str], Inspector]
    clock: Callable[[], datetime]


def inspector_for(place: Workplace, collection: Collection) -> Inspector | None:
    """Return the checks that the documents of a collection have to pass, or None."""
    policy = collection.settings.policy
    return None if policy is None else place.inspector_of(policy)


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
