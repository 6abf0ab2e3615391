"""Connections to PostgreSQL, and what its failures mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from msgspec import Struct

from santral.config.collections import IndexServerConfig
from santral.errors import StoreError
from santral.retrieval.analysis.counts import Floats
from santral.retrieval.extra import needed
from santral.retrieval.index.failure import failed, full, lost, refused, unfit, unreachable
from santral.retrieval.index.pgvector.driver import Connection, Pool

#: Searches of one worker in one partition that run there at once; others wait for their turn.
MAX_CONNECTIONS = 4
#: How many times a batch's time a publication may take: it merges and builds the graph. Chosen.
PUBLISH_FACTOR = 30
#: A connection that nobody needs is closed after this long. Chosen.
IDLE_S = 60.0
#: Neighbours looked at in the vector index, and more until enough pass a filter. Measured:
#: docs/decisions/0025-vector-databases.md.
_HNSW = {"hnsw.ef_search": "200", "hnsw.iterative_scan": "strict_order"}

#: PostgreSQL's codes (or their class) -> what to tell. Source: its appendix A, error codes.
_REFUSED = ("28", "42501", "3D000", "25006")
_AWAY = ("08", "57P", "53300")


class Server(Struct, frozen=True):
    """One PostgreSQL server as configured. Its text never shows the password."""

    settings: IndexServerConfig

    @property
    def place(self) -> str:
        """The address that people see: host, port and database alone."""
        parts = urlsplit(self.settings.url)
        return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"

    def __repr__(self) -> str:
        return f"Server({self.place})"


async def open_connection(server: Server) -> Connection:
    """Return a connection of its own, for a writer.

    Raises:
        StoreError: the server cannot be reached, or does not let us in.
    """
    asyncpg = needed("asyncpg", "for an index in PostgreSQL", "postgres")
    longest_s = server.settings.write_timeout_s * PUBLISH_FACTOR
    async with told(server, server.settings.timeout_s):
        connection = await asyncpg.connect(**_options(server, longest_s))
        await prepare(connection)
        return connection


async def open_pool(server: Server) -> Pool:
    """Return a pool for a reader; it connects when it is first used."""
    asyncpg = needed("asyncpg", "for an index in PostgreSQL", "postgres")
    return await asyncpg.create_pool(
        **_options(server, server.settings.timeout_s),
        min_size=0,
        max_size=MAX_CONNECTIONS,
        max_inactive_connection_lifetime=IDLE_S,
        init=prepare,
    )


async def prepare(connection: Connection) -> None:
    """Teach a connection vectors of 16-bit numbers, where the extension is there."""
    schema = await connection.fetchval(
        "SELECT n.nspname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace "
        "WHERE t.typname = 'halfvec'"
    )
    if schema is not None:
        await connection.set_type_codec(
            "halfvec", schema=schema, encoder=_encode, decoder=_decode, format="binary"
        )


@asynccontextmanager
async def told(server: Server, timeout_s: float) -> AsyncGenerator[None]:
    """Turn whatever fails at the server within the block into ``StoreError`` with a remedy."""
    asyncpg = needed("asyncpg", "for an index in PostgreSQL", "postgres")
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise _explained(server, error) from None
    except TimeoutError:
        raise unreachable(server.place, f"does not answer within {timeout_s:g} s") from None
    except OSError as error:
        raise unreachable(
            server.place, f"cannot be reached ({error.strerror or type(error).__name__})"
        ) from None


def _explained(server: Server, error: Exception) -> StoreError:
    """Return what a driver's error means; none of its words that could hold a secret."""
    state = str(getattr(error, "sqlstate", None) or "")
    if state.startswith(_REFUSED):
        return refused(server.place, f"{type(error).__name__} ({state})")
    if state == "57014":
        return unreachable(server.place, "does not answer in time")
    if state.startswith(_AWAY) or "connection" in type(error).__name__.lower():
        return unreachable(server.place, f"is not there ({type(error).__name__})")
    if state.startswith(("53100", "53200")):
        return full(server.place)
    if state in ("42P01", "42703"):
        return lost(server.place, "the tables of this collection")
    if state in ("0A000", "42704", "58P01", "22P02"):
        return unfit(server.place, f"{error}; PostgreSQL with pgvector 0.8 or later is needed")
    if "connection was closed" in str(error) or "connection is closed" in str(error):
        return unreachable(server.place, "closed the connection")
    # What has no code is the driver's own, and may repeat the address with what is in it.
    return failed(
        server.place, f"{type(error).__name__} {f'{state} {error}' if state else ''}".strip()
    )


def _options(server: Server, timeout_s: float) -> dict[str, Any]:
    settings = server.settings
    options: dict[str, Any] = {
        "dsn": settings.url,
        "timeout": settings.timeout_s,
        "server_settings": {
            "application_name": "santral",
            "jit": "off",  # it costs more than a search
            "plan_cache_mode": "force_custom_plan",  # another one would not see how many rows pass
            "statement_timeout": str(int(timeout_s * 1000)),
            **_HNSW,
        },
    }
    if settings.secret is not None:
        options["password"] = settings.secret.reveal()
    return options


def _encode(vector: Floats) -> bytes:
    """Return pgvector's binary form: dimensions, an unused number, then the values.

    Source: https://github.com/pgvector/pgvector, src/halfvec.c, halfvec_send.
    """
    return len(vector).to_bytes(2, "big") + b"\0\0" + vector.astype(">f2").tobytes()


def _decode(data: bytes) -> Floats:
    return np.frombuffer(data, ">f2", offset=4).astype(np.float32)
