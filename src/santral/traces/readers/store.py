"""Who was answered from a document, in SQL."""

from __future__ import annotations

import duckdb

from santral.traces.readers.reader import Reader
from santral.traces.record import SHADOW_SUFFIX
from santral.traces.whose import MEANT, Whose, names

_READERS = f"""
    SELECT t.trace_id, t.started_at_us, t.tenant_id, t.key_id, t."user", t.route,
           s.collection, s.chunk_id, s.number, s.is_cited
    FROM sources s JOIN traces t ON t.n = s.n AND t.tenant_id = s.tenant_id
    WHERE s.document_id = $document AND ($collection = '' OR s.collection = $collection)
      AND {MEANT.replace("tenant_id", "t.tenant_id")}
      AND t.started_at_us >= $since AND NOT ends_with(t.route, '{SHADOW_SUFFIX}')
    ORDER BY t.started_at_us DESC, t.n DESC, s.number LIMIT $limit
"""  # noqa: S608 - composed of constants


def readers(
    connection: duckdb.DuckDBPyConnection,
    whose: Whose,
    document_id: str,
    collection: str,
    since_us: int,
    limit: int,
) -> list[Reader]:
    """Return who was answered from a document since then, the newest first."""
    params = {
        "whose": names(whose),
        "document": document_id,
        "collection": collection,
        "since": since_us,
        "limit": limit,
    }
    fields = Reader.__struct_fields__
    rows = connection.execute(_READERS, params).fetchall()
    return [Reader(**dict(zip(fields, row, strict=True))) for row in rows]
