"""Spaces of Confluence, exported as HTML or XML: pages below each other, with attached files."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import partial
from html import escape
from pathlib import Path, PurePosixPath

from msgspec import Struct

from santral.errors import SourceUnreachable
from santral.retrieval.document import UnreadableError
from santral.retrieval.sources.archive import Archive, Entry
from santral.retrieval.sources.breadcrumbs import Crumbs, read_crumbs
from santral.retrieval.sources.entities import Entities, WikiPage, read_entities
from santral.retrieval.sources.fetch import too_large
from santral.retrieval.sources.folder import fetch_file
from santral.retrieval.sources.known import is_taken, metadata_of
from santral.retrieval.sources.settings import ConfluenceSettings
from santral.retrieval.sources.source import Covered, Item, Listed, Problem
from santral.retrieval.sources.surroundings import Surroundings

_ENTITIES = "entities.xml"
_PAGE_ID = re.compile(r"(?:^|_)(\d+)\.html$")
#: Parents that are followed upwards: those of a page that is its own ancestor would not end. Chosen.
_MOST_PARENTS = 50
#: Files of the look of an HTML export.
_LOOK = frozenset({"images", "styles"})


class _Place(Struct, frozen=True):
    """A page or file of the export, and what it is known by."""

    key: str
    title: str
    name: str
    parents: tuple[str, ...]
    page_id: str


class ConfluenceSource:
    """The pages and attachments of an export."""

    def __init__(self, settings: ConfluenceSettings, around: Surroundings) -> None:
        self._settings = settings
        self._around = around
        self._archive = Archive(settings, around)

    async def list_items(self) -> AsyncIterator[Listed]:
        """Yield pages and attachments; see ``Source``."""
        entries = {entry.path: entry for entry in await self._archive.entries()}
        xml = next(
            (e for path, e in entries.items() if PurePosixPath(path).name == _ENTITIES), None
        )
        listed = self._of_html(entries) if xml is None else self._of_xml(xml, entries)
        count = 0
        async for item in listed:
            if isinstance(item, Item):
                if not is_taken(self._settings, item.source):
                    continue
                count += 1
            if count > self._settings.max_items:
                most = self._settings.max_items
                yield Problem(item.source, f"the export holds more than {most} pages (max_items)")
                return
            yield item
        yield Covered(self._around.root)

    async def _of_html(self, entries: Mapping[str, Entry]) -> AsyncIterator[Item | Problem]:
        names: dict[str, str] = {}
        pages = [path for path in entries if path.endswith(".html")]
        for path in pages:
            entry = entries[path]
            try:
                content = await self._archive.read(entry, self._around.max_bytes)
            except UnreadableError as error:
                yield Problem(path, str(error))
                continue
            crumbs = await asyncio.to_thread(read_crumbs, content)
            names |= crumbs.attachments
            found = _PAGE_ID.search(path)
            if found is not None:
                yield self._page(entry, crumbs, found[1])
        for path in entries:
            if _is_attachment(path):
                yield self._file(entries[path], names.get(_below(path), ""))

    def _page(self, entry: Entry, crumbs: Crumbs, page_id: str) -> Item:
        place = _Place(
            f"page/{page_id}.html", crumbs.title, f"{crumbs.title}.html", crumbs.parents, page_id
        )
        return self._item(place, entry.stamp, partial(self._archive.read, entry, self._limit))

    def _file(self, entry: Entry, name: str) -> Item:
        parts = PurePosixPath(entry.path).parts
        page_id = parts[parts.index("attachments") + 1]
        shown = name or parts[-1]
        place = _Place(f"file/{_below(entry.path)}", shown, shown, ("attachments",), page_id)
        return self._item(place, entry.stamp, partial(self._archive.read, entry, self._limit))

    async def _of_xml(
        self, xml: Entry, entries: Mapping[str, Entry]
    ) -> AsyncIterator[Item | Problem]:
        folder = self._around.folder / "bodies"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            found = await asyncio.to_thread(self._read_entities, xml, folder)
        except UnreadableError as error:
            raise SourceUnreachable(f"The export cannot be read: {error}.") from None
        for page in found.pages.values():
            if page.is_current and page.body_stamp:
                parents = tuple(_parents(page, found.pages))
                key, name = f"page/{page.id}.html", f"{page.title}.html"
                place = _Place(key, page.title, name, parents, page.id)
                stamp = f"{page.version}:{page.body_stamp}"
                yield self._item(place, stamp, partial(self._body, folder, page), page)
        for path, entry in entries.items():
            file = found.files.get(_attachment_id(path))
            if file is not None and _is_attachment(path) and path.endswith(f"/{file.version}"):
                place = _Place(f"file/{file.id}", file.title, file.title, ("attachments",), file.of)
                read = partial(self._archive.read, entry, self._limit)
                yield self._item(place, entry.stamp, read)

    def _read_entities(self, xml: Entry, folder: Path) -> Entities:
        return read_entities(xml, folder, self._around.config.max_repository_bytes)

    async def _body(self, folder: Path, page: WikiPage) -> bytes:
        body = await fetch_file(str(folder / f"{page.id}.html"), self._limit)
        title = f"<html><head><title>{escape(page.title)}</title></head><body>"
        content = f"{title}<h1>{escape(page.title)}</h1>".encode() + body + b"</body></html>"
        if len(content) > self._limit:
            raise too_large("it", self._limit)
        return content

    def _item(
        self,
        place: _Place,
        stamp: str,
        fetch: Callable[[], Awaitable[bytes]],
        page: WikiPage | None = None,
    ) -> Item:
        path = "/".join([*place.parents, place.name])
        site = self._settings.site.rstrip("/")
        link = f"{site}/pages/viewpage.action?pageId={place.page_id}" if site else ""
        parents = " > ".join(place.parents)
        return Item(
            location=f"confluence:{self._around.source_id}/{place.key}",
            root=self._around.root,
            source=path,
            name=place.name.replace("/", "-"),
            fetch=fetch,
            stamp=stamp,
            metadata=metadata_of(
                self._settings,
                path,
                url=link,
                modified_at=page.changed_at if page is not None else None,
                attributes={"path": parents} if parents else None,
            ),
        )

    @property
    def _limit(self) -> int:
        return self._around.max_bytes


def _parents(page: WikiPage, pages: Mapping[str, WikiPage]) -> Iterable[str]:
    """Return the titles above a page, the highest first."""
    titles: list[str] = []
    above = pages.get(page.parent)
    while above is not None and len(titles) < _MOST_PARENTS:
        titles.append(above.title)
        above = pages.get(above.parent)
    return reversed(titles)


def _is_attachment(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return "attachments" in parts[:-2] and not _LOOK.intersection(parts)


def _below(path: str) -> str:
    """Return the path of an attachment as pages link to it, below their own folder."""
    parts = PurePosixPath(path).parts
    return "/".join(parts[parts.index("attachments") :]) if "attachments" in parts else path


def _attachment_id(path: str) -> str:
    """Return the id of the attachment whose version lies at a path: attachments/PAGE/ID/VERSION."""
    parts = PurePosixPath(path).parts
    return parts[-2] if len(parts) > 3 else ""
