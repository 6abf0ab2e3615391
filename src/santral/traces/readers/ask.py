"""Asks who was answered from a document: the running control process, or the file of a stopped one."""

from __future__ import annotations

import urllib.parse
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from santral.traces.ask import ControlProcess, Source, StoppedStore
from santral.traces.question import parse_since
from santral.traces.readers.reader import Reader


class _Readers(Struct):
    readers: list[Reader]


def readers_of(
    source: Source, collection: str, document_id: str, asked: Mapping[str, str]
) -> list[Reader]:
    """Return the readers of a document; ``asked`` holds ``tenant``, ``since`` and ``limit``."""
    if isinstance(source, StoppedStore):
        return source.ask(lambda store: _stored(store, collection, document_id, asked))
    assert isinstance(source, ControlProcess)  # noqa: S101 - there are these two
    names = (urllib.parse.quote(name, safe="") for name in (collection, document_id))
    path = "/api/collections/{}/documents/{}/readers".format(*names)
    query = urllib.parse.urlencode({k: v for k, v in asked.items() if v})
    return msgspec.json.decode(source.get(f"{path}?{query}"), type=_Readers).readers


def _stored(
    store: Any, collection: str, document_id: str, asked: Mapping[str, str]
) -> Awaitable[list[Reader]]:
    # Imported here: DuckDB costs 33 MB and 70 ms, and a running control process has it already.
    from santral.traces.readers.store import readers  # noqa: PLC0415

    return store.ask(
        partial(
            readers,
            whose=asked.get("tenant") or None,
            document_id=document_id,
            collection=collection,
            since_us=parse_since(asked.get("since", ""), store.clock()),
            limit=int(asked.get("limit", "100")),
        )
    )
