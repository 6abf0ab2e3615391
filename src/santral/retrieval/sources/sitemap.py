"""Sitemaps: the pages that a site lists, taken as robots.txt allows. Source: sitemaps.org/protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from xml.parsers import expat

from msgspec import Struct, field
from msgspec.structs import replace
from yarl import URL

from santral.errors import SourceUnreachable
from santral.retrieval.document import UnreadableError
from santral.retrieval.sources.fetch import unpacked
from santral.retrieval.sources.known import is_taken
from santral.retrieval.sources.pages import Pages, path_of, plain_url
from santral.retrieval.sources.reach import AddressRefused
from santral.retrieval.sources.robots import MAX_BYTES, OPEN, Robots, parse_robots
from santral.retrieval.sources.settings import SitemapSettings
from santral.retrieval.sources.source import Covered, Item, Listed, Problem
from santral.retrieval.sources.surroundings import Surroundings

#: Longest sitemap, unpacked. Source: sitemaps.org/protocol (50 MB).
_MAX_SITEMAP = 50 * 1024 * 1024
#: Sitemaps of one site. Chosen: with 50,000 pages each.
_MOST_SITEMAPS = 1_000
#: Longest address and date in a sitemap. Chosen.
_MAX_TEXT = 4096
_LASTMOD = "lastmod:"


class Page(Struct, frozen=True):
    """A page that a sitemap lists."""

    url: str
    lastmod: str = ""


class Sitemap(Struct):
    """What one sitemap lists: pages, or further sitemaps."""

    pages: list[Page] = field(default_factory=list[Page])
    maps: list[str] = field(default_factory=list[str])


class _Crawl(Struct):
    """What one run has met."""

    waiting: list[str]
    maps: set[str] = field(default_factory=set[str])
    pages: set[str] = field(default_factory=set[str])
    unseen: list[str] = field(default_factory=list[str])
    foreign: int = 0
    forbidden: int = 0
    is_whole: bool = True
    is_full: bool = False


class SitemapSource:
    """The pages of one site."""

    def __init__(self, settings: SitemapSettings, around: Surroundings) -> None:
        self._settings = settings
        self._around = around
        self._pages = Pages(settings, around, settings.url, settings.pause_s)
        self._hosts = {URL(settings.url).host, *settings.hosts}
        self._known_robots: dict[str, Robots] = {}

    async def list_items(self) -> AsyncIterator[Listed]:
        """Yield the pages in the order of the sitemaps; see ``Source``."""
        crawl = _Crawl(await self._begin())
        while crawl.waiting and not crawl.is_full:
            url = crawl.waiting.pop(0)
            if url in crawl.maps:
                continue
            crawl.maps.add(url)
            if len(crawl.maps) > _MOST_SITEMAPS:
                yield self._full(crawl, f"the site has more than {_MOST_SITEMAPS} sitemaps")
                break
            try:
                sitemap = await self._sitemap(url)
            except (UnreadableError, SourceUnreachable) as error:
                crawl.is_whole = False
                yield Problem(url, f"the sitemap cannot be read: {error}")
                continue
            crawl.waiting += self._own_maps(crawl, sitemap)
            async for listed in self._listed(crawl, sitemap):
                yield listed
        for told in self._told(crawl):
            yield told
        if crawl.is_whole:
            yield Covered(self._around.root, tuple(crawl.unseen))

    async def _begin(self) -> list[str]:
        """Return the sitemaps to begin with: the one that is named, or those of robots.txt."""
        url = self._settings.url
        if URL(url).path not in ("", "/"):
            return [plain_url(url)]
        found = (await self._fetched_robots(str(URL(url).origin()))).sitemaps
        return list(map(plain_url, found)) or [plain_url(str(URL(url) / "sitemap.xml"))]

    async def _sitemap(self, url: str) -> Sitemap:
        await self._pages.pause(URL(url).host or "")
        async with self._around.fetcher.ask(url, self._pages.headers(url)) as answer:
            content = await answer.read(_MAX_SITEMAP)
        if content.startswith(b"\x1f\x8b"):
            content = unpacked(content, _MAX_SITEMAP)
        return parse_sitemap(content)

    def _own_maps(self, crawl: _Crawl, sitemap: Sitemap) -> list[str]:
        """Return the further sitemaps on hosts that may be asked; others count as foreign."""
        own = [url for url in sitemap.maps if _host(url) in self._hosts]
        crawl.foreign += len(sitemap.maps) - len(own)
        return [plain_url(url) for url in own]

    async def _listed(self, crawl: _Crawl, sitemap: Sitemap) -> AsyncIterator[Item | Problem]:
        for page in sitemap.pages:
            url = self._wanted(crawl, page.url)
            if url is None:
                continue
            if reason := self._why_full(crawl):
                yield self._full(crawl, reason)
                return
            crawl.pages.add(url)
            robots = await self._robots(url)
            if not robots.allows(URL(url).raw_path_qs):
                crawl.forbidden += 1
                continue
            found = await self._look(page, url, robots.pause_s)
            if isinstance(found, Problem):
                crawl.unseen.append(url)
            if found is not None:
                yield found

    async def _look(self, page: Page, url: str, pause_s: float) -> Item | Problem | None:
        stamp = _LASTMOD + page.lastmod
        is_trusted = self._settings.trust_lastmod and bool(page.lastmod)
        if is_trusted and self._around.known.get(url) == stamp:
            return self._pages.item(url, stamp, changed_at=_moment(page.lastmod))
        found = await self._pages.look(url, pause_s=pause_s, changed_at=_moment(page.lastmod))
        if not isinstance(found, Item):
            return found
        if _host(found.metadata.url) not in self._hosts:
            return Problem(
                url, f"it redirects to {_host(found.metadata.url)}, which is not in hosts"
            )
        if not is_trusted:
            return found
        return replace(found, stamp=stamp)

    def _wanted(self, crawl: _Crawl, text: str) -> str | None:
        """Return the address of a page that is to be taken and was not met yet."""
        try:
            url = plain_url(str(self._around.fetcher.reach.checked(text)))
        except (AddressRefused, ValueError):
            crawl.foreign += 1
            return None
        if _host(url) not in self._hosts:
            crawl.foreign += 1
            return None
        return url if url not in crawl.pages and is_taken(self._settings, path_of(url)) else None

    async def _robots(self, url: str) -> Robots:
        """Return what the host of a page allows; a site that does not say so now is left alone."""
        if not self._settings.robots:
            return OPEN
        origin = str(URL(url).origin())
        if origin not in self._known_robots:
            self._known_robots[origin] = await self._fetched_robots(origin)
        return self._known_robots[origin]

    async def _fetched_robots(self, origin: str) -> Robots:
        address = f"{origin}/robots.txt"
        with suppress(UnreadableError):  # none there, or refused: everything may be asked
            async with self._around.fetcher.ask(address, self._pages.headers(address)) as answer:
                content = await answer.read_start(MAX_BYTES)
            return parse_robots(content, self._around.config.user_agent)
        return OPEN

    def _why_full(self, crawl: _Crawl) -> str:
        if len(crawl.pages) >= self._settings.max_items:
            return f"the site has more than {self._settings.max_items} pages (max_items)"
        if self._pages.taken > self._settings.max_total_bytes:
            return (
                f"its pages have more than {self._settings.max_total_bytes} bytes (max_total_bytes)"
            )
        return ""

    def _full(self, crawl: _Crawl, reason: str) -> Problem:
        """End a crawl; what it did not meet is not gone for that."""
        crawl.is_full, crawl.is_whole = True, False
        return Problem(self._settings.url, reason)

    def _told(self, crawl: _Crawl) -> list[Problem]:
        url, told = self._settings.url, list[Problem]()
        if crawl.foreign:
            told.append(Problem(url, f"{crawl.foreign} pages on other hosts were left out (hosts)"))
        if crawl.forbidden:
            told.append(Problem(url, f"robots.txt forbids {crawl.forbidden} pages"))
        return told


def parse_sitemap(content: bytes) -> Sitemap:
    """Return what a sitemap lists: XML, or a text with one address on each line.

    Raises:
        UnreadableError: it is neither, or it declares entities.
    """
    if not content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        lines = content.decode("utf-8-sig", "replace").splitlines()
        return Sitemap([Page(line.strip()) for line in lines if line.strip().startswith("http")])
    found = _Reader()
    try:
        found.parser.Parse(content, True)
    except expat.ExpatError as error:
        raise UnreadableError(f"it is no XML: {error}") from None
    return found.sitemap


class _Reader:
    """Collects addresses from the events of a parser that expands nothing."""

    def __init__(self) -> None:
        self.sitemap = Sitemap()
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse
        self._depth = 0
        self._said: dict[str, str] = {}
        self._field = ""

    def _start(self, name: str, attributes: object) -> None:
        self._depth += 1
        self._field = name.rpartition(" ")[2] if self._depth == 3 else ""
        if self._depth == 2:
            self._said = {}

    def _text(self, text: str) -> None:
        if self._field in ("loc", "lastmod"):
            self._said[self._field] = (self._said.get(self._field, "") + text)[:_MAX_TEXT]

    def _end(self, name: str) -> None:
        if self._depth == 2 and self._said.get("loc"):
            loc, lastmod = self._said["loc"].strip(), self._said.get("lastmod", "").strip()
            if name.rpartition(" ")[2] == "sitemap":
                self.sitemap.maps.append(loc)
            else:
                self.sitemap.pages.append(Page(loc, lastmod))
        self._depth -= 1
        self._field = ""

    def _refuse(self, *declared: object) -> None:
        raise UnreadableError("it has a DOCTYPE, which sitemaps have not")


def _host(url: str) -> str | None:
    try:
        return URL(url).host
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    """Return a W3C date and time; None where it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
