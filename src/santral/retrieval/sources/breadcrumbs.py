"""What a page of an HTML export of Confluence says of itself: its title, parents and attachments."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import unquote

from msgspec import Struct, field

#: Elements that have no end.
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "base", "col", "area", "wbr"})


class Crumbs(Struct):
    """``parents`` from the highest down, without the space itself; ``attachments``: path to name."""

    title: str = "Untitled"
    parents: tuple[str, ...] = ()
    attachments: dict[str, str] = field(default_factory=dict[str, str])


def read_crumbs(content: bytes) -> Crumbs:
    """Return what a page says; a page that is none says little."""
    reader = _Reader()
    reader.feed(content.decode("utf-8", "replace"))
    reader.close()
    title = " ".join(reader.title.split())
    space, colon, own = title.partition(" : ")
    parents = tuple(reader.crumbs[1:])  # the first is the space
    return Crumbs((own if colon else space) or "Untitled", parents, reader.attachments)


class _Reader(HTMLParser):
    """Collects the texts of a page's frame."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.crumbs: list[str] = []
        self.attachments: dict[str, str] = {}
        self._in_title = False
        self._crumbs_depth = 0
        self._link: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "title":
            self._in_title = True
        if self._crumbs_depth and tag not in _VOID:
            self._crumbs_depth += 1
        elif named.get("id") == "breadcrumbs":
            self._crumbs_depth = 1
        if tag == "a":
            self._link, self._text = named.get("href") or "", ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        if tag == "a" and self._link is not None:
            text = " ".join(self._text.split())
            if self._crumbs_depth:
                self.crumbs.append(text)
            elif self._link.startswith("attachments/") and text:
                self.attachments.setdefault(unquote(self._link), text)
            self._link = None
        if self._crumbs_depth and tag not in _VOID:
            self._crumbs_depth -= 1

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        if self._link is not None:
            self._text += data
