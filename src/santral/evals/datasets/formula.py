"""Cells of CSV that a spreadsheet would take for formulas: marked when written, plain again when read."""

from __future__ import annotations

#: A spreadsheet takes a cell that begins so for a formula. Source: OWASP, CSV Injection.
_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n")
#: What makes it a text for a spreadsheet.
_MARK = "'"


def marked(cell: str) -> str:
    """Return a cell that no spreadsheet runs; a number stays as it is."""
    return f"{_MARK}{cell}" if _looks_like_one(cell) and not _is_number(cell) else cell


def plain(cell: str) -> str:
    """Return what ``marked`` was given."""
    is_marked = cell.startswith(_MARK) and _looks_like_one(cell)
    return cell.removeprefix(_MARK) if is_marked else cell


def _looks_like_one(cell: str) -> bool:
    return cell.lstrip(_MARK).startswith(_BEGINNINGS)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.isprintable()  # a tab before it is no part of a number
