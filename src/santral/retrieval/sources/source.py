"""A source: where documents come from, and what it says of each before it is fetched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeAlias

from msgspec import Struct

from santral.retrieval.document import Metadata


class Item(Struct, frozen=True, kw_only=True):
    """One document at its source.

    ``location`` is its key there, which stays when the content changes; ``root`` says below what it
    lies; ``source`` is the name that people see; ``name`` ends as a file of its format does.
    ``stamp`` changes whenever the content may have (an ETag, a blob id, size and time): with an equal
    one the item is not fetched again. Empty: always fetch, and compare the bytes.
    """

    location: str
    root: str
    source: str
    name: str
    fetch: Callable[[], Awaitable[bytes]]
    media_type: str = ""
    stamp: str = ""
    metadata: Metadata = Metadata()
    is_named: bool = False  # somebody asked for it by name: what cannot be read is worth a line


class Problem(Struct, frozen=True):
    """Something of a source that cannot be had, and why; the rest goes on."""

    source: str
    reason: str


class Covered(Struct, frozen=True):
    """Everything below ``root`` has been listed: what is known there and was not listed is gone.

    Not yielded for a root that could be listed in part only: nothing is removed then. ``unseen`` are
    places below it that could not be looked into.
    """

    root: str
    unseen: tuple[str, ...] = ()


Listed: TypeAlias = Item | Problem | Covered


class Source(Protocol):
    """Lists what there is at one place; fetching is up to each item.

    ``fetch`` of an item raises ``UnreadableError`` (it is too large, refused, of an address that may
    not be asked) or ``SourceUnreachable`` (for now: what is known stays as it is).
    """

    def list_items(self) -> AsyncIterator[Listed]:
        """Yield items in a stable order, problems, and what was covered."""
        ...
