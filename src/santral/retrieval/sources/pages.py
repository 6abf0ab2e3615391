"""Pages of sites: asked politely, one after the other, and only for what has changed since."""

from __future__ import annotations

import mimetypes
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from hashlib import sha256
from pathlib import PurePosixPath

from yarl import URL

from santral.errors import BadRequest, SourceUnreachable
from santral.retrieval.document import UnreadableError
from santral.retrieval.sources.fetch import Answer, Gone
from santral.retrieval.sources.known import is_taken, metadata_of
from santral.retrieval.sources.settings import UrlSettings, WebSettings
from santral.retrieval.sources.source import Covered, Item, Listed, Problem
from santral.retrieval.sources.surroundings import Surroundings

#: Bodies up to this stay in memory from the look to the fetch; longer ones are asked for again.
#: Chosen: pages are shorter, and a batch of 64 takes 16 MB at most.
_HELD_BYTES = 256 * 1024
#: Pages in a row that do not answer after which a site counts as away. Chosen.
_MOST_SILENT = 10
_ETAG, _MODIFIED, _DIGEST = "etag:", "modified:", "sha256:"


class Pages:
    """Looks at pages for one run of a source; counts what it takes."""

    def __init__(
        self, settings: WebSettings, around: Surroundings, site: str, pause_s: float
    ) -> None:
        """``site`` is the address whose host alone is sent the credentials."""
        self._settings = settings
        self._around = around
        self._origin = _origin(site)
        self._credentials = credentials_of(settings)
        self._pause_s = pause_s
        self._silent = 0
        self._asked: str | None = None
        self.taken = 0

    def headers(self, url: str) -> dict[str, str]:
        """Return what goes with a request to a page."""
        return dict(self._credentials) if _origin(url) == self._origin else {}

    async def pause(self, host: str, pause_s: float = 0.0) -> None:
        """Wait between two requests to one host."""
        if self._asked == host:
            await self._around.sleep(max(self._pause_s, pause_s))
        self._asked = host

    async def look(
        self, url: str, *, pause_s: float = 0.0, changed_at: datetime | None = None
    ) -> Item | Problem | None:
        """Return a page with its stamp, a problem where it cannot be had now, None where it is gone.

        Raises:
            SourceUnreachable: so many pages in a row do not answer that the site is away.
        """
        await self.pause(URL(url).host or "", pause_s)
        known = self._around.known.get(url, "")
        headers = self.headers(url) | _condition(known)
        try:
            async with self._around.fetcher.ask(url, headers) as answer:
                item = await self._item(url, answer, known, changed_at)
        except Gone:
            return None
        except UnreadableError as error:
            return Problem(url, str(error))
        except SourceUnreachable as error:
            self._silent += 1
            if self._silent >= _MOST_SILENT:
                raise SourceUnreachable(
                    f"{self._silent} pages in a row do not answer, the last: {error.message}"
                ) from None
            return Problem(url, error.message)
        self._silent = 0
        return item

    async def _item(
        self, url: str, answer: Answer, known: str, changed_at: datetime | None
    ) -> Item:
        content = b"" if answer.is_unchanged else await answer.read_up_to(_HELD_BYTES)
        is_held = content is not None and not answer.is_unchanged
        return self.item(
            url,
            known if answer.is_unchanged else _stamp(answer, content),
            fetch=content if is_held else None,
            media_type=answer.media_type,
            link=answer.url,
            changed_at=_moment(answer.last_modified) or changed_at,
        )

    def item(
        self,
        url: str,
        stamp: str,
        *,
        fetch: bytes | None = None,
        media_type: str = "",
        link: str = "",
        changed_at: datetime | None = None,
    ) -> Item:
        """Return a page as an item; ``fetch`` is its content where it is here already."""
        path = path_of(url)
        return Item(
            location=url,
            root=self._around.root,
            source=url,
            name=name_of(url, media_type),
            fetch=partial(self._fetch, url) if fetch is None else partial(self._hand_over, fetch),
            media_type=media_type,
            stamp=stamp,
            metadata=metadata_of(self._settings, path, url=link or url, modified_at=changed_at),
        )

    async def _fetch(self, url: str) -> bytes:
        async with self._around.fetcher.ask(url, self.headers(url)) as answer:
            content = await answer.read(self._around.max_bytes)
        self.taken += len(content)
        return content

    async def _hand_over(self, content: bytes) -> bytes:
        if len(content) > self._around.max_bytes:
            raise UnreadableError(f"it is larger than {self._around.max_bytes} bytes")
        self.taken += len(content)
        return content


class UrlSource:
    """Pages that are named one by one."""

    def __init__(self, settings: UrlSettings, around: Surroundings) -> None:
        self._settings = settings
        self._around = around

    async def list_items(self) -> AsyncIterator[Listed]:
        """Yield the pages in the order of the settings; see ``Source``."""
        settings = self._settings
        pages = Pages(settings, self._around, settings.urls[0], settings.pause_s)
        unseen: list[str] = []
        for url in dict.fromkeys(map(plain_url, settings.urls)):
            if not is_taken(settings, path_of(url)):
                continue
            found = await pages.look(url)
            if isinstance(found, Problem):
                unseen.append(url)
            yield found if found is not None else Problem(url, "it is not there any more")
        yield Covered(self._around.root, tuple(unseen))


def plain_url(url: str) -> str:
    """Return an address as it names a document: normalised, without what follows '#'."""
    return str(URL(url).with_fragment(None))


def path_of(url: str) -> str:
    """Return the path by which groups and patterns know a page: decoded, without doubled slashes."""
    return re.sub("/+", "/", URL(url).path).lstrip("/")


def name_of(url: str, media_type: str) -> str:
    """Return a name that ends as files of the page's type do."""
    path = PurePosixPath(path_of(url))
    name = path.name or "index"
    plain = media_type.partition(";")[0].strip().lower()
    if plain in ("", "application/octet-stream", "text/plain") and path.suffix:
        return name
    wanted = mimetypes.guess_all_extensions(plain) if plain else [".html"]
    if not wanted or path.suffix.lower() in wanted:
        return name
    return f"{name}.html" if ".html" in wanted else f"{name}{wanted[0]}"


def credentials_of(settings: WebSettings) -> dict[str, str]:
    """Return the header that carries the credentials of a source, or nothing.

    Raises:
        BadRequest: they are not what they should be.
        ConfigError: their reference leads nowhere.
    """
    if settings.bearer is not None:
        value = f"Bearer {settings.bearer.reveal()}"
    elif settings.basic is not None:
        value = f"Basic {b64encode(settings.basic.reveal().encode()).decode()}"
    else:
        return {}
    if not value.isascii() or not value.isprintable():
        raise BadRequest("The credentials of the source hold letters that no header takes.")
    return {"Authorization": value}


def _stamp(answer: Answer, content: bytes | None) -> str:
    if answer.etag:
        return _ETAG + answer.etag
    if answer.last_modified:
        return _MODIFIED + answer.last_modified
    return "" if content is None else _DIGEST + sha256(content).hexdigest()


def _condition(stamp: str) -> dict[str, str]:
    """Return the header that asks for a page only where it has changed since ``stamp``."""
    for mark, header in ((_ETAG, "If-None-Match"), (_MODIFIED, "If-Modified-Since")):
        if stamp.startswith(mark):
            return {header: stamp.removeprefix(mark)}
    return {}


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _origin(url: str) -> str:
    return str(URL(url).origin())
