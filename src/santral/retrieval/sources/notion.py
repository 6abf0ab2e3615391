"""Workspaces of Notion, exported as Markdown or HTML: a tree of pages in a zip file."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import PurePosixPath

from santral.retrieval.sources.archive import Archive, Entry
from santral.retrieval.sources.known import is_taken, metadata_of
from santral.retrieval.sources.settings import NotionSettings
from santral.retrieval.sources.source import Covered, Item, Listed, Problem
from santral.retrieval.sources.surroundings import Surroundings

#: How Notion ends the names of pages and of the folders of their children: the page's id.
_ID = re.compile(r"^(?P<title>.*?) ?(?P<id>[0-9a-f]{32})(?P<rest>_all)?$")


class NotionSource:
    """The pages, tables and attached files of an export."""

    def __init__(self, settings: NotionSettings, around: Surroundings) -> None:
        self._settings = settings
        self._around = around
        self._archive = Archive(settings, around)

    async def list_items(self) -> AsyncIterator[Listed]:
        """Yield the files by path; see ``Source``."""
        count = 0
        seen: set[str] = set()
        for entry in await self._archive.entries():
            item = self._item(entry)
            if not is_taken(self._settings, item.source) or item.location in seen:
                continue
            seen.add(item.location)
            count += 1
            if count > self._settings.max_items:
                most = self._settings.max_items
                yield Problem(item.source, f"the export holds more than {most} files (max_items)")
                return
            yield item
        yield Covered(self._around.root)

    def _item(self, entry: Entry) -> Item:
        path = PurePosixPath(entry.path)
        parents = [_titled(part)[0] for part in path.parts[:-1] if not part.startswith("Export")]
        title, id = _titled(path.stem)
        name = f"{title}{path.suffix}"
        # A page keeps its id when it is renamed or moved; a file has none.
        key = id + path.suffix if id else entry.path
        site = self._settings.site.rstrip("/")
        return Item(
            location=f"notion:{self._around.source_id}/{key}",
            root=self._around.root,
            source="/".join([*parents, name]),
            name=name,
            fetch=partial(self._archive.read, entry, self._around.max_bytes),
            stamp=entry.stamp,
            metadata=metadata_of(
                self._settings,
                "/".join([*parents, name]),
                url=f"{site or 'https://www.notion.so'}/{id}" if id else "",
                attributes={"path": " > ".join(parents)} if parents else None,
            ),
        )


def _titled(name: str) -> tuple[str, str]:
    """Return the title and the id that a name of the export holds; '' where it holds none."""
    found = _ID.match(name)
    if found is None:
        return name, ""
    return found["title"] or "Untitled", found["id"] + (found["rest"] or "")
