"""SQL of an index in PostgreSQL.

One row of ``PREFIX_partitions`` stands for each partition. Its number is in the names of the partition's
own tables, so no statement below can touch the rows of another one. Everything between two
publications is one transaction: readers see all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import msgspec
from msgspec import Struct

from santral.retrieval.analysis.counts import Floats, TermKeys
from santral.retrieval.index.entry import IndexedDocument, Partition
from santral.retrieval.index.pgvector.driver import Connection, Row
from santral.retrieval.index.signal import Signal

#: Of the tables below. Another one is built anew from the control database.
FORMAT = 1
#: Of pgvector: the first that goes on searching until enough rows pass a filter.
LEAST_PGVECTOR = (0, 8)
#: What its vector index takes. Longer vectors are searched exactly.
MAX_INDEXED_DIMENSIONS = 4000

#: How a posting says of which signal it is.
FIELDS: dict[Signal, int] = {"bm25": 0, "ngrams": 1}
#: Field, key, segment, chunk numbers (int32), impacts (uint16).
Posting: TypeAlias = tuple[int, int, int, bytes, bytes]


class Tables(Struct, frozen=True):
    """Names of one partition's tables. ``prefix`` is checked when the configuration is read."""

    prefix: str
    number: int

    @property
    def documents(self) -> str:
        return f"{self.prefix}_{self.number}_documents"

    @property
    def chunks(self) -> str:
        return f"{self.prefix}_{self.number}_chunks"

    @property
    def vectors(self) -> str:
        return f"{self.prefix}_{self.number}_vectors"

    @property
    def postings(self) -> str:
        return f"{self.prefix}_{self.number}_postings"

    @property
    def all(self) -> tuple[str, ...]:
        """Every table that every partition has; ``vectors`` only where there are some."""
        return (self.documents, self.chunks, self.postings)


class Found(Struct, frozen=True):
    """The row of a partition."""

    number: int
    format: int
    generation: int
    dimensions: int
    documents: int
    chunks: int
    languages: tuple[str, ...]
    next_document: int
    next_chunk: int
    next_segment: int
    is_indexed: bool


#: A partition that nothing was put in.
NEW = Found(0, FORMAT, 0, 0, 0, 0, (), 1, 1, 1, False)


class Segment(Struct, frozen=True):
    """Postings that were written together: how many chunks they are of."""

    number: int
    chunks: int


async def begin(conn: Connection) -> None:
    """Begin a transaction that the server does not end while the writer computes."""
    await conn.execute("BEGIN")
    await conn.execute("SET LOCAL idle_in_transaction_session_timeout = 0")


async def commit(conn: Connection) -> None:
    """Make the transaction's changes visible, all at once."""
    await conn.execute("COMMIT")


async def create_extension(conn: Connection) -> str:
    """Make sure that pgvector is there; return its version."""
    await conn.execute("CREATE EXTENSION IF NOT EXISTS vector")
    return str(await conn.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'vector'"))


async def create_partitions(conn: Connection, prefix: str) -> None:
    """Make the table of partitions and the numbers that name their tables."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"{prefix}_tables")
    await conn.execute(f"CREATE SEQUENCE IF NOT EXISTS {prefix}_numbers")
    await conn.execute(
        f"""CREATE TABLE IF NOT EXISTS {prefix}_partitions (
            tenant_id text NOT NULL, collection text NOT NULL, version int NOT NULL,
            number bigint NOT NULL, format int NOT NULL, generation bigint NOT NULL,
            dimensions int NOT NULL, documents bigint NOT NULL, chunks bigint NOT NULL,
            languages text[] NOT NULL, next_document int NOT NULL, next_chunk int NOT NULL,
            next_segment int NOT NULL, is_indexed boolean NOT NULL,
            PRIMARY KEY (tenant_id, collection, version))"""
    )


async def lock_partition(conn: Connection, prefix: str, partition: Partition) -> bool:
    """Take the right to write, until the connection ends; return whether it was free."""
    name = "\x1f".join((prefix, *_key(partition)[:2], str(partition.version)))
    return bool(await conn.fetchval("SELECT pg_try_advisory_lock(hashtextextended($1, 1))", name))


async def find_partition(conn: Connection, prefix: str, partition: Partition) -> Found | None:
    """Return the row of a partition; None where nothing was published yet."""
    if await conn.fetchval("SELECT to_regclass($1)", f"{prefix}_partitions") is None:
        return None
    row = await conn.fetchrow(
        f"""SELECT number, format, generation, dimensions, documents, chunks, languages,
            next_document, next_chunk, next_segment, is_indexed FROM {prefix}_partitions
            WHERE tenant_id = $1 AND collection = $2 AND version = $3""",
        *_key(partition),
    )
    return None if row is None else msgspec.convert(dict(row), Found)


async def save_partition(conn: Connection, prefix: str, partition: Partition, found: Found) -> None:
    """Write the row of a partition, in place of the one before."""
    values = [getattr(found, name) for name in Found.__struct_fields__]
    names = ", ".join(Found.__struct_fields__)
    places = ", ".join(f"${place}" for place in range(4, 4 + len(values)))
    changes = ", ".join(f"{name} = excluded.{name}" for name in Found.__struct_fields__)
    await conn.execute(
        f"""INSERT INTO {prefix}_partitions (tenant_id, collection, version, {names})
            VALUES ($1, $2, $3, {places})
            ON CONFLICT (tenant_id, collection, version) DO UPDATE SET {changes}""",
        *_key(partition),
        *values,
    )


async def delete_partition(conn: Connection, prefix: str, partition: Partition) -> None:
    """Remove the row of a partition."""
    await conn.execute(
        f"""DELETE FROM {prefix}_partitions
            WHERE tenant_id = $1 AND collection = $2 AND version = $3""",
        *_key(partition),
    )


async def next_number(conn: Connection, prefix: str) -> int:
    """Return a number that no partition has or had."""
    return int(await conn.fetchval(f"SELECT nextval('{prefix}_numbers')"))


async def create_tables(conn: Connection, tables: Tables) -> None:
    """Make the tables of a partition, but those of vectors."""
    await conn.execute(
        f"""CREATE TABLE {tables.documents} (
            number int PRIMARY KEY, id text NOT NULL UNIQUE, fingerprint text NOT NULL,
            source text NOT NULL, title text NOT NULL, kind text NOT NULL, language text NOT NULL,
            url text NOT NULL, owner text NOT NULL, lifecycle text NOT NULL,
            created_at float8, modified_at float8, expires_at float8,
            allowed_groups text[] NOT NULL, attributes jsonb NOT NULL, body bytea NOT NULL);
        CREATE TABLE {tables.chunks} (
            number int PRIMARY KEY, document int NOT NULL, position int NOT NULL,
            section text NOT NULL, page int, body bytea NOT NULL);
        CREATE INDEX ON {tables.chunks} (document, position);
        CREATE TABLE {tables.postings} (
            field smallint NOT NULL, key bigint NOT NULL, segment int NOT NULL,
            chunks bytea NOT NULL, impacts bytea NOT NULL, PRIMARY KEY (field, key, segment));
        ALTER TABLE {tables.postings} ALTER chunks SET STORAGE EXTERNAL,
            ALTER impacts SET STORAGE EXTERNAL;
        CREATE TABLE {tables.postings}_segments (number int PRIMARY KEY, chunks int NOT NULL)"""
    )


async def create_vectors(conn: Connection, tables: Tables, dimensions: int) -> None:
    """Make the table of vectors, narrow, so that all can be looked at quickly."""
    await conn.execute(
        f"""CREATE TABLE {tables.vectors} (
            number int PRIMARY KEY, vector halfvec({dimensions}) NOT NULL);
        ALTER TABLE {tables.vectors} ALTER vector SET STORAGE PLAIN"""
    )


async def index_vectors(conn: Connection, tables: Tables) -> None:
    """Make the graph in which near vectors are found without looking at all."""
    await conn.execute("SET LOCAL maintenance_work_mem = '256MB'")
    await conn.execute(f"CREATE INDEX ON {tables.vectors} USING hnsw (vector halfvec_ip_ops)")


async def analyse_tables(conn: Connection, tables: Tables) -> None:
    """Tell the planner what is in the tables."""
    await conn.execute(f"ANALYZE {tables.documents}, {tables.chunks}, {tables.postings}")


async def has_tables(conn: Connection, tables: Tables) -> bool:
    """Return whether the tables of a partition are all there."""
    found = await conn.fetchval(
        "SELECT count(to_regclass(name)) FROM unnest($1::text[]) AS name", tables.all
    )
    return found == len(tables.all)


async def drop_tables(conn: Connection, tables: Tables) -> None:
    """Remove the tables of a partition."""
    names = (*tables.all, f"{tables.postings}_segments", tables.vectors)
    await conn.execute(f"DROP TABLE IF EXISTS {', '.join(names)}")


async def fingerprints(conn: Connection, tables: Tables) -> Mapping[str, str]:
    """Return the fingerprint of each document by id."""
    rows = await conn.fetch(f"SELECT body FROM {tables.documents}")
    documents = [_DOCUMENT.decode(row["body"]) for row in rows]
    return {document.id: document.fingerprint for document in documents}


async def delete_documents(
    conn: Connection, tables: Tables, ids: Sequence[str], has_vectors: bool
) -> int:
    """Remove documents with their chunks; return how many chunks went. Postings stay for a while."""
    rows = await conn.fetch(
        f"DELETE FROM {tables.documents} WHERE id = ANY($1) RETURNING number",
        [clean(one) for one in ids],
    )
    numbers = await conn.fetch(
        f"DELETE FROM {tables.chunks} WHERE document = ANY($1) RETURNING number",
        [row["number"] for row in rows],
    )
    gone = [row["number"] for row in numbers]
    if gone and has_vectors:
        await conn.execute(f"DELETE FROM {tables.vectors} WHERE number = ANY($1)", gone)
    return len(gone)


async def insert_documents(
    conn: Connection, tables: Tables, documents: Sequence[IndexedDocument], first: int
) -> None:
    """Insert documents under the numbers from ``first`` on."""
    names = (*_DOCUMENT_COLUMNS, "attributes", "body", "number")
    records = [
        (
            *(clean(getattr(one, name)) for name in _DOCUMENT_COLUMNS),
            clean(msgspec.json.encode(one.attributes).decode().replace("\\u0000", "\\ufffd")),
            msgspec.msgpack.encode(one),
            first + place,
        )
        for place, one in enumerate(documents)
    ]
    await conn.copy_records_to_table(tables.documents, records=records, columns=names)


async def insert_chunks(
    conn: Connection, tables: Tables, records: Iterable[tuple[Any, ...]]
) -> None:
    """Insert chunks: number, document, position, section, page, body."""
    names = ("number", "document", "position", "section", "page", "body")
    await conn.copy_records_to_table(tables.chunks, records=records, columns=names)


async def insert_vectors(
    conn: Connection, tables: Tables, records: Iterable[tuple[int, Floats]]
) -> None:
    """Insert the vectors of chunks by number."""
    await conn.copy_records_to_table(tables.vectors, records=records, columns=("number", "vector"))


async def insert_postings(
    conn: Connection,
    tables: Tables,
    segment: Segment,
    records: Iterable[Posting],
) -> None:
    """Insert a segment with its postings."""
    await conn.execute(
        f"INSERT INTO {tables.postings}_segments (number, chunks) VALUES ($1, $2)",
        segment.number,
        segment.chunks,
    )
    names = ("field", "key", "segment", "chunks", "impacts")
    await conn.copy_records_to_table(tables.postings, records=records, columns=names)


async def segments(conn: Connection, tables: Tables) -> Sequence[Segment]:
    """Return the segments, the smallest first."""
    rows = await conn.fetch(
        f"SELECT number, chunks FROM {tables.postings}_segments ORDER BY chunks, number"
    )
    return [Segment(row["number"], row["chunks"]) for row in rows]


async def merge_segments(
    conn: Connection, tables: Tables, numbers: Sequence[int], into: Segment
) -> None:
    """Make one segment of several, within the server."""
    await conn.execute(
        f"""WITH gone AS (
                DELETE FROM {tables.postings} WHERE segment = ANY($1)
                RETURNING field, key, segment, chunks, impacts)
            INSERT INTO {tables.postings} (field, key, segment, chunks, impacts)
            SELECT field, key, $2::int, string_agg(chunks, ''::bytea ORDER BY segment),
                string_agg(impacts, ''::bytea ORDER BY segment)
            FROM gone GROUP BY field, key""",
        numbers,
        into.number,
    )
    await conn.execute(f"DELETE FROM {tables.postings}_segments WHERE number = ANY($1)", numbers)
    await conn.execute(
        f"INSERT INTO {tables.postings}_segments (number, chunks) VALUES ($1, $2)",
        into.number,
        into.chunks,
    )


async def take_postings(conn: Connection, tables: Tables) -> Sequence[Row]:
    """Remove all postings and return them in the order of their terms."""
    await conn.execute(f"DELETE FROM {tables.postings}_segments")
    return await conn.fetch(
        f"""WITH gone AS (DELETE FROM {tables.postings} RETURNING *)
            SELECT field, key, string_agg(chunks, ''::bytea ORDER BY segment) AS chunks,
                string_agg(impacts, ''::bytea ORDER BY segment) AS impacts
            FROM gone GROUP BY field, key"""
    )


async def totals(conn: Connection, tables: Tables) -> tuple[int, int, tuple[str, ...]]:
    """Return how many documents and chunks there are, and in which languages."""
    documents = await conn.fetchval(f"SELECT count(*) FROM {tables.documents}")
    chunks = await conn.fetchval(f"SELECT count(*) FROM {tables.chunks}")
    rows = await conn.fetch(f"SELECT DISTINCT language FROM {tables.documents} ORDER BY 1")
    return documents, chunks, tuple(row["language"] for row in rows)


async def size_bytes(conn: Connection, tables: Tables) -> int:
    """Return what the tables and their indexes take on the server's disk."""
    return int(
        await conn.fetchval(
            "SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0)::bigint "
            "FROM unnest($1::text[]) AS name",
            [*tables.all, tables.vectors],
        )
    )


async def chunk_numbers(
    conn: Connection, tables: Tables, where: str, values: Sequence[object]
) -> bytes:
    """Return the numbers of the chunks that pass, as big-endian int32."""
    return bytes(
        await conn.fetchval(
            f"""SELECT coalesce(string_agg(int4send(c.number), ''::bytea ORDER BY c.number), '')
                FROM {tables.chunks} c JOIN {tables.documents} d ON d.number = c.document
                WHERE {where}""",
            *values,
        )
    )


async def find_postings(
    conn: Connection, tables: Tables, stems: TermKeys, grams: TermKeys
) -> Sequence[Row]:
    """Return the postings of some terms: field, key, chunks, impacts."""
    return await conn.fetch(
        f"""SELECT field, key, chunks, impacts FROM {tables.postings}
            WHERE field = 0 AND key = ANY($1)
            UNION ALL SELECT field, key, chunks, impacts FROM {tables.postings}
            WHERE field = 1 AND key = ANY($2)""",
        stems.tolist(),
        grams.tolist(),
    )


async def nearest_exactly(
    conn: Connection,
    tables: Tables,
    vector: Floats,
    limit: int,
    numbers: Sequence[int] | None,
) -> Sequence[Row]:
    """Look at the vectors of these chunks, None: of all.

    Returns number and score of the best, then number -1 with the least score.
    """
    where, values = ("", ()) if numbers is None else ("WHERE number = ANY($3)", (numbers,))
    statement = _EXACT.format(table=tables.vectors, where=where)
    return await conn.fetch(statement, vector, limit, *values)


async def nearest_by_graph(
    conn: Connection,
    tables: Tables,
    vector: Floats,
    limit: int,
    numbers: Sequence[int] | None,
) -> Sequence[Row]:
    """Search the graph until ``limit`` of these chunks are found, None: of all.

    Numbers, and no join with what they were chosen by: the planner cannot tell how many rows pass that.
    """
    where, values = ("", ()) if numbers is None else ("WHERE number = ANY($3)", (numbers,))
    return await conn.fetch(
        f"""SELECT number, -(vector <#> $1) AS score FROM {tables.vectors} {where}
            ORDER BY vector <#> $1 LIMIT $2""",
        vector,
        limit,
        *values,
    )


async def find_chunks(
    conn: Connection, tables: Tables, numbers: Sequence[int], has_vectors: bool
) -> Sequence[Row]:
    """Return chunks by number: number, chunk, document and, where there is one, vector."""
    vector = "v.vector" if has_vectors else "NULL AS vector"
    join = f"LEFT JOIN {tables.vectors} v ON v.number = c.number" if has_vectors else ""
    return await conn.fetch(
        f"""SELECT c.number, c.body AS chunk, d.body AS document, {vector}
            FROM {tables.chunks} c JOIN {tables.documents} d ON d.number = c.document {join}
            WHERE c.number = ANY($1)""",
        numbers,
    )


async def find_stretch(
    conn: Connection,
    tables: Tables,
    where: str,
    values: Sequence[object],
    wanted: tuple[str, int, int],
) -> Sequence[bytes]:
    """Return the chunks of a document that pass, at positions from ... to, in order."""
    first = len(values) + 1
    rows = await conn.fetch(
        f"""SELECT c.body FROM {tables.chunks} c JOIN {tables.documents} d ON d.number = c.document
            WHERE {where} AND d.id = ${first} AND c.position BETWEEN ${first + 1} AND ${first + 2}
            ORDER BY c.position""",
        *values,
        clean(wanted[0]),
        *wanted[1:],
    )
    return [row["body"] for row in rows]


def clean(value: Any) -> Any:
    """Return a text as the server can keep it: it takes no NUL; other values stay as they are."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, tuple):
        return tuple(clean(one) for one in cast("tuple[Any, ...]", value))
    return value


def _key(partition: Partition) -> tuple[str, str, int]:
    return partition.tenant_id, partition.collection, partition.version


_DOCUMENT = msgspec.msgpack.Decoder(IndexedDocument)
_DOCUMENT_COLUMNS = (
    "id", "fingerprint", "source", "title", "kind", "language", "url", "owner", "lifecycle",
    "created_at", "modified_at", "expires_at", "allowed_groups",
)  # fmt: skip
_EXACT = """WITH scored AS MATERIALIZED (
        SELECT number, -(vector <#> $1) AS score FROM {table} {where})
    (SELECT number, score FROM scored ORDER BY score DESC, number LIMIT $2)
    UNION ALL SELECT -1, min(score) FROM scored HAVING count(*) > 0"""
