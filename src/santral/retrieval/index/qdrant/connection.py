"""Requests to Qdrant's REST interface, and what its failures mean.

Source: https://api.qdrant.tech, and the OpenAPI document of Qdrant 1.20 for every body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
from msgspec import Struct

from santral.config.collections import IndexServerConfig
from santral.errors import StoreError
from santral.retrieval.index.failure import failed, full, refused, unfit, unreachable

#: The first version that counts rarity over a part of a collection and finds texts by their beginning.
LEAST_VERSION = (1, 19)

#: A request's body, or a part of it.
Json: TypeAlias = Mapping[str, Any]


class MissingError(Exception):
    """Qdrant has no collection of this name."""


class Point(Struct, frozen=True):
    """A point as Qdrant returns it; ``score`` of a query only."""

    id: str | int
    payload: dict[str, Any] | None = None
    vector: dict[str, Any] | list[float] | None = None
    score: float = 0.0


class Page(Struct, frozen=True):
    """Points of a scroll, and where the next page begins."""

    points: list[Point]
    next_page_offset: str | int | None = None


class Points(Struct, frozen=True):
    """What one query of a batch found, best first."""

    points: list[Point]


class _Status(Struct, frozen=True):
    error: str = ""


class _Answer(Struct, frozen=True):
    result: msgspec.Raw = msgspec.Raw(b"null")
    status: str | _Status = "ok"


class _About(Struct, frozen=True):
    version: str = "0"


class _Count(Struct, frozen=True):
    count: int


class Connection:
    """Requests to one Qdrant server. Its text never shows the key."""

    def __init__(self, settings: IndexServerConfig) -> None:
        self._settings = settings
        headers = {"content-type": "application/json", "user-agent": "santral"}
        if settings.secret is not None:
            headers["api-key"] = settings.secret.reveal()
        # Redirects are not followed: they would carry the key to another host.
        self._session = aiohttp.ClientSession(
            base_url=settings.url.rstrip("/") + "/",
            headers=headers,
            connector=aiohttp.TCPConnector(limit=16),
        )

    def __repr__(self) -> str:
        return f"Connection({self.place})"

    @property
    def settings(self) -> IndexServerConfig:
        """How the server is reached."""
        return self._settings

    @property
    def place(self) -> str:
        """The address that people see."""
        parts = urlsplit(self._settings.url)
        return f"{parts.hostname or 'localhost'}:{parts.port or 6333}"

    async def require_version(self) -> None:
        """Raise StoreError where the server is too old for what we ask."""
        body = await self._exchange("GET", "", None, self._settings.timeout_s)
        version = _read(body, _About, self.place).version
        numbers = tuple(int(part) for part in version.split("-")[0].split(".")[:2])
        if numbers < LEAST_VERSION:
            least = ".".join(map(str, LEAST_VERSION))
            raise unfit(self.place, f"it is Qdrant {version}, and {least} or later is needed")

    async def create(self, name: str, body: Json) -> None:
        """Make a collection; one that is there already is left as it is."""
        try:
            await self.change("PUT", name, "", body)
        except StoreError as error:
            if "already exists" not in error.message:
                raise

    async def delete(self, name: str) -> None:
        """Remove a collection; one that is not there is no error."""
        try:
            await self.change("DELETE", name, "", None)
        except MissingError:
            return

    async def change(self, method: str, name: str, path: str, body: Json | None) -> None:
        """Send a change and wait until it is applied."""
        where = f"collections/{quote(name, safe='')}{path}"
        if path:
            where += "?wait=true&ordering=strong"
        await self._ask(method, where, body, self._settings.write_timeout_s)

    async def query(self, name: str, searches: Sequence[Json]) -> list[list[Point]]:
        """Run queries together; return what each found, best first."""
        result = await self._search(name, "/query/batch", {"searches": list(searches)})
        return [one.points for one in _read(result, list[Points], self.place)]

    async def count(self, name: str, where: Json) -> int:
        """Return how many points pass, exactly."""
        body = await self._search(name, "/count", {"filter": where, "exact": True})
        return _read(body, _Count, self.place).count

    async def scroll(
        self, name: str, body: Json, *, is_writing: bool = False
    ) -> tuple[list[Point], str | int | None]:
        """Return a page of points and where the next one begins."""
        page = _read(
            await self._search(name, "/scroll", body, is_writing=is_writing), Page, self.place
        )
        return page.points, page.next_page_offset

    async def retrieve(self, name: str, ids: Sequence[str]) -> list[Point]:
        """Return points by id with their payload."""
        body = {"ids": list(ids), "with_payload": True, "with_vector": False}
        return _read(await self._search(name, "", body), list[Point], self.place)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _search(
        self, name: str, path: str, body: Json, *, is_writing: bool = False
    ) -> bytes | msgspec.Raw:
        where = f"collections/{quote(name, safe='')}/points{path}"
        settings = self._settings
        timeout_s = settings.write_timeout_s if is_writing else settings.timeout_s
        return await self._ask("POST", where, body, timeout_s)

    async def _ask(
        self, method: str, path: str, body: Json | None, timeout_s: float
    ) -> bytes | msgspec.Raw:
        return _read(
            await self._exchange(method, path, body, timeout_s), _Answer, self.place
        ).result

    async def _exchange(self, method: str, path: str, body: Json | None, timeout_s: float) -> bytes:
        """Send one request and read its answer within a time."""
        data = None if body is None else msgspec.json.encode(body)
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.request(method, path, data=data, allow_redirects=False) as response,
            ):
                content = await response.read()
        except TimeoutError:
            raise unreachable(self.place, f"does not answer within {timeout_s:g} s") from None
        except aiohttp.ClientError as error:
            raise unreachable(self.place, f"cannot be reached ({type(error).__name__})") from None
        if response.status >= 300:
            raise self._explained(response.status, content)
        return content

    def _explained(self, status: int, content: bytes) -> Exception:
        """Return what an answer that is no success means."""
        try:
            told = msgspec.json.decode(content, type=_Answer).status
            why = told if isinstance(told, str) else told.error
        except msgspec.MsgspecError:
            why = ""
        if status in (401, 403):
            return refused(self.place, f"status {status}")
        if status == 404 and "collection" in why.lower():
            return MissingError(why)
        if status == 507 or "no space left" in why.lower() or "disk" in why.lower():
            return full(self.place)
        if status in (408, 429, 502, 503, 504):
            return unreachable(self.place, f"is not ready (status {status})")
        return failed(self.place, f"status {status} {why[:300]}".strip())


def _read(content: bytes | msgspec.Raw, kind: Any, place: str) -> Any:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError:
        raise unfit(place, "it does not answer as Qdrant does; check its address") from None
