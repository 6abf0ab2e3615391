"""Blocks of an HTML page: its main text, without scripts, navigation and forms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from santral.retrieval.document import Block
from santral.retrieval.extra import needed

_DROPPED = (
    "script, style, noscript, template, svg, canvas, iframe, object, nav, aside, form, button, "
    "select, [role=navigation], [aria-hidden=true], [hidden]"
)
_MAIN = ("main", "[role=main]", "article", "body")
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LEAVES = {"p", "li", "dt", "dd", "blockquote", "figcaption", "caption", "td", "th", "summary"}
_INLINE = {
    "a", "abbr", "b", "bdi", "bdo", "br", "cite", "code", "data", "del", "dfn", "em", "font", "i",
    "img", "ins", "kbd", "label", "mark", "q", "s", "samp", "small", "span", "strong", "sub",
    "sup", "time", "tt", "u", "var", "wbr", "-text",
}  # fmt: skip

#: Elements nested deeper are one paragraph of their text. Chosen: pages of people stay below 50, and
#: a page made to exhaust the stack must not stop an ingest.
_DEEPEST = 200


def html_blocks(text: str) -> tuple[str, list[Block]]:
    """Return the title of a page (or nothing) and its blocks.

    Raises:
        StoreError: the ``rag`` extra is not installed.
    """
    tree: Any = needed("selectolax.lexbor", "to read HTML").LexborHTMLParser(text)
    title = tree.css_first("title")
    for node in tree.css(_DROPPED):
        node.decompose()
    root = next((node for name in _MAIN if (node := tree.css_first(name))), None)
    # A page header or footer is furniture, that of an article may be its title.
    if root is not None and root.tag == "body":
        for node in root.css("body > header, body > footer"):
            node.decompose()
    blocks = list(_walk(root)) if root is not None else []
    return (_squeezed(title.text()) if title else ""), blocks


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
    elif node.tag == "table":
        rows = [" | ".join(_cells(row)) for row in node.css("tr")]
        table = "\n".join(row for row in rows if row.strip(" |"))
        if table:
            yield Block("table", table)
    elif node.tag in _LEAVES and not _holds_block(node):
        content = _squeezed(node.text())
        if content:
            yield Block("item", f"- {content}") if node.tag == "li" else Block("paragraph", content)
    elif not node.tag.startswith("-") and not node.tag.startswith("_"):
        yield from _walk(node, depth + 1)


def _cells(row: Any) -> list[str]:
    return [_squeezed(cell.text()) for cell in row.css("th, td")]


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
