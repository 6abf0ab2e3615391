"""A reader of a document: a request whose model was given a passage of it."""

from __future__ import annotations

from msgspec import Struct

#: Longest list. Chosen: as of other lists.
MAX_READERS = 500


class Reader(Struct, frozen=True, kw_only=True):
    """One request that was answered from a document; ``user`` is empty where nobody was named.

    ``rank`` is the place of the passage among those that the model was given.
    """

    trace_id: str
    started_at_us: int
    tenant_id: str
    key_id: str
    user: str
    route: str
    collection: str
    chunk_id: str
    rank: int
    is_cited: bool
