"""Markdown that is the same on every machine: no terminal widths, no set orders."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

NOTICE = "<!-- Written by docs/generate.py from the code. Change the code, then run make docs. -->"


def page(title: str, *parts: str) -> str:
    """Return a page with its notice; parts are separated by blank lines."""
    return "\n\n".join([f"# {title}", NOTICE, *(part for part in parts if part)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells may hold any text."""
    lines = [_row(head), _row(["---"] * len(head)), *(_row(row) for row in rows)]
    return "\n".join(lines)


def code(text: str) -> str:
    """Return inline code, or nothing for nothing."""
    return f"`{text}`" if text else ""


def prose(docstring: str | None) -> str:
    """Return a docstring as Markdown text."""
    text = textwrap.dedent(docstring or "").strip()
    return " ".join(text.replace("``", "`").split())


def first_line(docstring: str | None) -> str:
    """Return the first paragraph of a docstring."""
    return prose((docstring or "").strip().split("\n\n")[0])


def words(items: Sequence[str], last: str) -> str:
    """Return ``a, b or c``."""
    return f" {last} ".join(filter(None, [", ".join(items[:-1]), items[-1]])) if items else ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
