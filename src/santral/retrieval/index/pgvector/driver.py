"""The part of asyncpg that is used here, with types: it ships none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

Row: TypeAlias = Mapping[str, Any]


class Connection(Protocol):
    """A connection; ``terminate`` closes it at once, and the server rolls back what was open."""

    async def execute(self, query: str, *args: object) -> str: ...

    async def fetch(self, query: str, *args: object) -> list[Row]: ...

    async def fetchrow(self, query: str, *args: object) -> Row | None: ...

    async def fetchval(self, query: str, *args: object) -> Any: ...

    async def copy_records_to_table(
        self, table_name: str, *, records: Iterable[tuple[Any, ...]], columns: Sequence[str]
    ) -> str: ...

    async def copy_from_table(
        self, table_name: str, *, output: Path, format: Literal["binary"]
    ) -> str: ...

    async def copy_to_table(
        self, table_name: str, *, source: Path, format: Literal["binary"]
    ) -> str: ...

    async def set_type_codec(
        self,
        typename: str,
        *,
        schema: str,
        encoder: Callable[[Any], bytes],
        decoder: Callable[[bytes], Any],
        format: Literal["binary"],
    ) -> None: ...

    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False
    ) -> AbstractAsyncContextManager[object]: ...

    async def close(self) -> None: ...

    def terminate(self) -> None: ...


class Pool(Protocol):
    """Connections that searches share."""

    def acquire(self) -> AbstractAsyncContextManager[Connection]: ...

    def terminate(self) -> None: ...
