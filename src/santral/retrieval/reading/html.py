"""Blocks of an HTML page: its main text, without scripts, navigation and forms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from santral.retrieval.document import Block, UnreadableError
from santral.retrieval.extra import needed
from santral.retrieval.reading.file import Contents, File, moment
from santral.retrieval.reading.table import table_text

_DROPPED = (
    "script, style, noscript, template, svg, canvas, iframe, object, nav, aside, form, button, "
    "select, [role=navigation], [role=search], [role=banner], [role=contentinfo], "
    "[aria-hidden=true], [hidden]"
)
_MAIN = ("main", "[role=main]", "article", "body")
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LEAVES = {"p", "li", "dt", "dd", "blockquote", "figcaption", "caption", "td", "th", "summary"}
_INLINE = {
    "a", "abbr", "b", "bdi", "bdo", "br", "cite", "code", "data", "del", "dfn", "em", "font", "i",
    "img", "ins", "kbd", "label", "mark", "q", "s", "samp", "small", "span", "strong", "sub",
    "sup", "time", "tt", "u", "var", "wbr", "-text",
}  # fmt: skip
# What pages say of themselves, the surer first.
_CREATED = (
    "meta[property='article:published_time']", "meta[name='date']", "meta[itemprop=datePublished]",
    "meta[name='dcterms.created']", "meta[name='DC.date']", "time[pubdate]",
)  # fmt: skip
_MODIFIED = (
    "meta[property='article:modified_time']", "meta[property='og:updated_time']",
    "meta[itemprop=dateModified]", "meta[name='last-modified']", "meta[name='dcterms.modified']",
)  # fmt: skip
_AUTHOR = ("meta[name=author]", "meta[property='article:author']", "meta[name='dcterms.creator']")

#: Elements nested deeper are one paragraph of their text. Chosen: pages of people stay below 50, and
#: a page made to exhaust the stack must not stop an ingest.
_DEEPEST = 200
#: The parser's time grows with the square of the depth: a second for this one. Measured.
_DEEPEST_PARSED = 25_000
_TAG = re.compile(r"<(/?)([a-zA-Z][\w:-]{0,30})")
# Tags that nobody closes: the parser does.
_NOT_NESTED = frozenset(
    ("area", "base", "body", "br", "col", "dd", "dt", "embed", "head", "hr", "html", "img", "input",
     "li", "link", "meta", "option", "p", "param", "path", "source", "tbody", "td", "tfoot", "th",
     "thead", "tr", "track", "wbr")
)  # fmt: skip
#: A list in which so much of the text is links is a menu. Chosen: tables of contents are left out too,
#: and say nothing that the headings do not.
_MENU_SHARE, _MENU_ITEMS = 0.9, 4
_MAX_URL = 2_000


def read_html(file: File) -> Contents:
    """Read a page; the address and dates are those that it gives itself.

    Raises:
        UnreadableError: it is nested so deep that the parser would take hours.
        StoreError: the ``rag`` extra is not installed.
    """
    text = file.text
    depth = _depth(text)
    if depth > _DEEPEST_PARSED:
        raise UnreadableError(f"it is nested more than {_DEEPEST_PARSED:,} deep")
    tree: Any = needed("selectolax.lexbor", "to read HTML").LexborHTMLParser(text)
    title, address = tree.css_first("title"), tree.css_first("link[rel=canonical]")
    found = Contents(
        title=_squeezed(title.text()) if title else "",
        blocks=[],
        author=_said(tree, _AUTHOR),
        created_at=_moment(tree, _CREATED),
        modified_at=_moment(tree, _MODIFIED),
        url=_address(address),
    )
    found.blocks = _blocks(tree, has_menus=depth <= _DEEPEST)
    return found


def html_blocks(text: str) -> tuple[str, list[Block]]:
    """Return the title of a page (or nothing) and its blocks.

    Raises:
        StoreError: the ``rag`` extra is not installed.
    """
    found = read_html(File("page.html", text.encode("utf-8", "replace"), "html"))
    return found.title, found.blocks


def _depth(text: str) -> int:
    """Return how deep a page is nested at most, by its tags."""
    depth = deepest = 0
    for tag in _TAG.finditer(text):
        if tag[2].lower() not in _NOT_NESTED:
            depth = max(depth - 1, 0) if tag[1] else depth + 1
            deepest = max(deepest, depth)
    return deepest


def _blocks(tree: Any, has_menus: bool) -> list[Block]:
    for node in tree.css(_DROPPED):
        node.decompose()
    root = _main(tree)
    if root is None:
        return []
    # A page header or footer is furniture, that of an article may be its title.
    if root.tag == "body":
        for node in root.css("body > header, body > footer"):
            node.decompose()
    for menu in root.css("ul, ol") if has_menus else ():
        if _is_menu(menu):
            menu.decompose()
    return list(_walk(root))


def _main(tree: Any) -> Any:
    """Return the element that holds the text of the page; several articles are a page of them."""
    for name in _MAIN:
        nodes = tree.css(name)
        if len(nodes) == 1 or (nodes and name != "article"):
            return nodes[0]
    return None


def _is_menu(node: Any) -> bool:
    items, links = node.css("li"), node.css("a")
    if len(items) < _MENU_ITEMS or len(links) < len(items):
        return False
    linked = sum(len(_squeezed(link.text())) for link in links)
    return linked >= _MENU_SHARE * len(_squeezed(node.text()))


def _said(tree: Any, selectors: tuple[str, ...]) -> str:
    for selector in selectors:
        node = tree.css_first(selector)
        value = node.attributes.get("content") or node.attributes.get("datetime") if node else ""
        if value:
            return _squeezed(value)
    return ""


def _moment(tree: Any, selectors: tuple[str, ...]) -> datetime | None:
    said = _said(tree, selectors)
    return moment(said) if said else None


def _address(node: Any) -> str:
    address = (node.attributes.get("href") or "").strip() if node else ""
    is_web = address.startswith(("https://", "http://")) and len(address) <= _MAX_URL
    return address if is_web else ""


def _walk(parent: Any, depth: int = 0) -> Iterator[Block]:
    """Yield the blocks below an element; loose inline text between them is a paragraph."""
    if depth > _DEEPEST:
        yield from _paragraph([parent.text()])
        return
    loose: list[str] = []
    for node in parent.iter(include_text=True):
        if node.tag in _INLINE and not _holds_block(node):
            loose.append("\n" if node.tag == "br" else node.text())
            continue
        yield from _paragraph(loose)
        yield from _element(node, depth)
    yield from _paragraph(loose)


def _element(node: Any, depth: int) -> Iterator[Block]:
    if node.tag in _HEADINGS:
        heading = _squeezed(node.text())
        if heading:
            yield Block("heading", heading, _HEADINGS[node.tag])
    elif node.tag == "pre":
        if node.text().strip():
            yield Block("code", node.text().strip("\n"))
    elif node.tag == "table" and not _is_frame(node):
        table = table_text([cell.text() for cell in row.css("th, td")] for row in node.css("tr"))
        if table:
            yield Block("table", table)
    elif node.tag in _LEAVES and not _holds_block(node):
        content = _squeezed(node.text())
        if content:
            yield Block("item", f"- {content}") if node.tag == "li" else Block("paragraph", content)
    elif not node.tag.startswith("-") and not node.tag.startswith("_"):
        yield from _walk(node, depth + 1)


def _is_frame(table: Any) -> bool:
    """Whether a table only puts parts of a page beside each other."""
    return table.css_first("table table, h1, h2, h3, pre") is not None


def _holds_block(node: Any) -> bool:
    if node.tag == "-text":
        return False
    return any(child.tag not in _INLINE for child in node.traverse() if child.mem_id != node.mem_id)


def _paragraph(loose: list[str]) -> Iterator[Block]:
    content = _squeezed("".join(loose))
    loose.clear()
    if content:
        yield Block("paragraph", content)


def _squeezed(text: str) -> str:
    return " ".join(text.split())
