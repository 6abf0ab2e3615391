"""Fetches pages and files that somebody named: bounded in size and time, never into the network inside.

Proxies and cookies are off. Redirects are followed one by one, each judged like the first address.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from msgspec import Struct
from yarl import URL

from santral.config.sources import SourcesConfig
from santral.errors import SourceUnreachable
from santral.retrieval.document import UnreadableError
from santral.retrieval.sources.reach import (
    AddressRefused,
    Lookup,
    Reach,
    ReachResolver,
    system_lookup,
)
from santral.web.peer import Networks

#: Redirects of one fetch. Chosen: sites need two (scheme, then language).
MAX_REDIRECTS = 5
#: Connections to all sites together, and to one. Chosen: a source asks one page after the other.
_CONNECTIONS, _CONNECTIONS_EACH = 8, 2
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({404, 410})
#: Statuses that may pass: too many requests, timeouts, trouble of the server.
_PASSING = frozenset({408, 425, 429})
#: Types of content that hold no text.
_NO_TEXT = ("audio/", "font/", "image/", "video/")
_CHUNK = 64 * 1024


class Gone(UnreadableError):
    """The page is not there any more."""


class Answer(Struct, frozen=True):
    """What a site answered: 200, or 304 where nothing has changed. ``url`` is where it came from."""

    url: str
    is_unchanged: bool
    media_type: str
    etag: str
    last_modified: str
    body: AsyncIterator[bytes]

    async def read(self, max_bytes: int) -> bytes:
        """Return the whole body, decompressed; raises UnreadableError where it is longer."""
        whole = bytearray()
        async for piece in self.body:
            whole += piece
            if len(whole) > max_bytes:
                raise too_large(self.url, max_bytes)
        return bytes(whole)

    async def read_up_to(self, max_bytes: int) -> bytes | None:
        """Return the whole body, or None as soon as it is longer."""
        try:
            return await self.read(max_bytes)
        except _TooLarge:
            return None

    async def read_start(self, max_bytes: int) -> bytes:
        """Return the beginning of the body."""
        start = bytearray()
        async for piece in self.body:
            start += piece
            if len(start) > max_bytes:
                break
        return bytes(start[:max_bytes])


class _TooLarge(UnreadableError):
    """A body that is longer than it may be."""


def too_large(name: str, max_bytes: int) -> UnreadableError:
    """Return the refusal of something that is longer than the collection takes."""
    return _TooLarge(f"{name} is larger than {max_bytes} bytes (max_file_bytes of its collection)")


class Fetcher:
    """Asks sites; close it when done."""

    def __init__(self, config: SourcesConfig, *, lookup: Lookup = system_lookup) -> None:
        self.reach = Reach(Networks(config.allow_networks), lookup)
        self._config = config
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def ask(
        self, address: str, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Answer]:
        """Hold the answer of a page while its body is read; ``headers`` may hold credentials.

        Those go to the site that was named alone: a redirect elsewhere leaves them out.

        Raises:
            AddressRefused: the page, or one that it redirects to, may not be asked.
            Gone: there is no such page.
            UnreadableError: the site refuses it, or it is of a type without text.
            SourceUnreachable: the site does not answer, for now.
        """
        url = self.reach.checked(address)
        try:
            async with asyncio.timeout(self._config.fetch_s):
                async with self._followed(url, dict(headers or {})) as response:
                    yield _answer(response)
        except TimeoutError:
            raise SourceUnreachable(f"{url.host} did not answer in time.") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(url, error) from error

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def _followed(
        self, url: URL, headers: dict[str, str]
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Follow redirects to an answer that is none."""
        for _ in range(MAX_REDIRECTS + 1):
            async with self._requested(url, headers) as response:
                if response.status not in _REDIRECTS:
                    _require_answer(url, response)
                    yield response
                    return
                following = self._redirected(url, response)
            if following.origin() != url.origin():
                headers = {k: v for k, v in headers.items() if k.lower().startswith("if-")}
            url = following
        raise UnreadableError(f"{url.host} redirects more than {MAX_REDIRECTS} times")

    @asynccontextmanager
    async def _requested(
        self, url: URL, headers: Mapping[str, str]
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        own = {"User-Agent": self._config.user_agent, "Accept-Encoding": "gzip"}
        async with self._opened().get(url, headers=own | dict(headers), allow_redirects=False) as r:
            yield r

    def _redirected(self, url: URL, response: aiohttp.ClientResponse) -> URL:
        place = response.headers.get("Location", "")
        if not place:
            raise UnreadableError(f"{url.host} redirects to nowhere")
        try:
            following = self.reach.checked(str(url.join(URL(place))))
        except ValueError:
            raise AddressRefused(f"{url.host} redirects to what is no address") from None
        if url.scheme == "https" and following.scheme == "http":
            raise AddressRefused(f"{url.host} redirects from https to http")
        return following

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            wait_s = self._config.timeout_s
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=ReachResolver(self.reach),
                    limit=_CONNECTIONS,
                    limit_per_host=_CONNECTIONS_EACH,
                    use_dns_cache=False,
                ),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=wait_s, sock_read=wait_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


def unpacked(content: bytes, max_bytes: int) -> bytes:
    """Return what a gzip file holds; raises UnreadableError where that is too long or damaged."""
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = stream.decompress(content, max_bytes + 1)
    except zlib.error:
        raise UnreadableError("its gzip stream is damaged") from None
    if len(plain) > max_bytes:
        raise _TooLarge(f"it unpacks to more than {max_bytes} bytes")
    return plain


def _require_answer(url: URL, response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status in _GONE:
        raise Gone(f"{url} is not there ({status})")
    if status >= 500 or status in _PASSING:
        raise SourceUnreachable(f"{url.host} answered with {status} for {url.raw_path}.")
    if status not in (200, 304):
        raise UnreadableError(f"{url.host} refuses it ({status})")
    if response.content_type.startswith(_NO_TEXT):
        raise UnreadableError(f"it is {response.content_type}: there is no text in it")


def _answer(response: aiohttp.ClientResponse) -> Answer:
    charset = f"; charset={response.charset}" if response.charset else ""
    has_type = "Content-Type" in response.headers
    return Answer(
        url=str(response.url),
        is_unchanged=response.status == 304,
        media_type=f"{response.content_type}{charset}" if has_type else "",
        etag=response.headers.get("ETag", "")[:512],
        last_modified=response.headers.get("Last-Modified", "")[:64],
        body=_pieces(response),
    )


async def _pieces(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    """Yield the body in pieces of a bounded size, whatever it was packed to."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    raw = response.content.iter_chunked(_CHUNK)
    if encoding in ("", "identity"):
        async for piece in raw:
            yield piece
        return
    if encoding not in ("gzip", "x-gzip"):
        raise UnreadableError(f"it is packed as {encoding[:32]!r}, which was not asked for")
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    async for piece in raw:
        for plain in _unpacked(stream, piece):
            yield plain
    if not stream.eof:
        raise SourceUnreachable("The answer was cut.")


def _unpacked(stream: Any, packed: bytes) -> Iterator[bytes]:
    while True:
        try:
            plain = stream.decompress(packed, _CHUNK)
        except zlib.error:
            raise UnreadableError("its packing is damaged") from None
        if plain:
            yield plain
        packed = stream.unconsumed_tail
        if not packed and len(plain) < _CHUNK:
            return


def _unreachable(url: URL, error: Exception) -> Exception:
    """Return what a failed connection means: the site is away, or its address is refused."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AddressRefused | SourceUnreachable):
            return cause
        cause = cause.__cause__ or cause.__context__
    return SourceUnreachable(f"{url.host} does not answer ({type(error).__name__}: {error}).")
