"""Blocks of an Excel file: a sheet is a page, what stands together in it is a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element

from santral.retrieval.document import Block, UnreadableError
from santral.retrieval.reading.archive import Archive, parse_xml
from santral.retrieval.reading.file import Contents, File
from santral.retrieval.reading.table import MAX_COLUMNS, table_text

#: Cells read of one file. Chosen: beyond it, it is a database.
MAX_CELLS = 2_000_000

#: Formats of dates and times that have no text. Source: ECMA-376, 18.8.30.
_DATE_FORMATS = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
_DATE_CODE = re.compile(r"[ymdhs]", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')
_EPOCH = {False: datetime(1899, 12, 30), True: datetime(1904, 1, 1)}  # noqa: DTZ001 - sheets have no zone


def read_xlsx(file: File) -> Contents:
    """Read every sheet: what formulas gave when it was saved, dates in ISO 8601."""
    archive = Archive(file.content)
    about = archive.about()
    book = archive.tree("xl/workbook.xml")
    related = archive.related("xl/workbook.xml")
    sheets = _Sheets(archive, book)
    blocks: list[Block] = []
    for page, sheet in enumerate(book.iter("sheet"), 1):
        name = related.get(sheet.get("id", ""), "")
        if name in archive and name.startswith("xl/worksheets/"):
            found = [Block("table", text, page=page) for text in sheets.tables(name)]
            if found:
                title = sheet.get("name", "") or f"Sheet {page}"
                blocks.extend([Block("heading", title, 1, page), *found])
    return Contents(
        title=about.title,
        author=about.author,
        created_at=about.created_at,
        modified_at=about.modified_at,
        blocks=blocks,
    )


class _Sheets:
    """Reads sheets row by row: a sheet may be longer than what its tree would fit into."""

    def __init__(self, archive: Archive, book: Element) -> None:
        self._archive = archive
        self._strings = _shared(archive)
        self._dates = _date_styles(archive)
        properties = book.find("workbookPr")
        is_1904 = properties is not None and properties.get("date1904") in ("1", "true")
        self._epoch = _EPOCH[is_1904]
        self._cells = 0

    def tables(self, name: str) -> Iterator[str]:
        """Yield what stands together in a sheet: between empty rows."""
        held: list[list[str]] = []
        last = 0
        for number, row in self._rows(name):
            if held and number > last + 1:
                yield table_text(held)
                held = []
            held.append(row)
            last = number
        if held:
            yield table_text(held)

    def _rows(self, name: str) -> list[tuple[int, list[str]]]:
        """Return the rows that hold something, with their numbers."""
        rows: list[tuple[int, list[str]]] = []
        row: list[str] = []
        cell: dict[str, str] = {}
        text: list[str] = []
        number = 0
        is_value = False

        def start(tag: str, attributes: dict[str, str]) -> None:
            nonlocal row, cell, number, is_value
            if tag == "row":
                row, number = [], _whole(attributes.get("r", "")) or number + 1
            elif tag == "c":
                cell = attributes
                text.clear()
            is_value = tag in ("v", "t")

        def end(tag: str) -> None:
            nonlocal is_value
            is_value = False
            if tag == "c" and text:
                self._put(row, cell, "".join(text))
            elif tag == "row" and any(row):
                rows.append((number, row))

        def data(part: str) -> None:
            if is_value:
                text.append(part)

        parse_xml(self._archive.part(name), start, end, data)
        return rows

    def _put(self, row: list[str], cell: dict[str, str], text: str) -> None:
        self._cells += 1
        column = _column(cell.get("r", "")) or len(row) + 1
        if self._cells > MAX_CELLS:
            raise UnreadableError(f"it has more than {MAX_CELLS:,} cells")
        if column > MAX_COLUMNS:
            return
        row.extend([""] * (column - len(row)))
        row[column - 1] = self._shown(cell, text)

    def _shown(self, cell: dict[str, str], text: str) -> str:
        kind = cell.get("t", "n")
        if kind == "s":
            place = _whole(text)
            return self._strings[place] if place < len(self._strings) else ""
        if kind == "b":
            return "TRUE" if text == "1" else "FALSE"
        if kind == "n":
            return self._number(text, _whole(cell.get("s", "0")))
        return text

    def _number(self, text: str, style: int) -> str:
        try:
            number = float(text)
            if style in self._dates:
                return _date(self._epoch + timedelta(days=number), number)
        except (ValueError, OverflowError):
            return text
        # What a sheet shows: 0.1 + 0.2 is kept as 0.30000000000000004.
        return f"{number:.15g}" if "e" not in f"{number:.15g}" else text


def _date(moment: datetime, number: float) -> str:
    rounded = (moment + timedelta(microseconds=500_000)).replace(microsecond=0)
    if number < 1:
        return rounded.time().isoformat()
    return rounded.date().isoformat() if number == int(number) else rounded.isoformat(" ")


def _shared(archive: Archive) -> list[str]:
    """Return the texts that cells refer to by number; readings beside Japanese are left out."""
    if "xl/sharedStrings.xml" not in archive:
        return []
    found: list[str] = []
    for item in archive.tree("xl/sharedStrings.xml"):
        direct = [item.find("t"), *(run.find("t") for run in item.findall("r"))]
        found.append("".join(part.text or "" for part in direct if part is not None))
    return found


def _date_styles(archive: Archive) -> frozenset[int]:
    """Return the styles that show a number as a date."""
    if "xl/styles.xml" not in archive:
        return frozenset()
    tree = archive.tree("xl/styles.xml")
    own = {
        _whole(item.get("numFmtId", ""))
        for item in tree.iter("numFmt")
        if _DATE_CODE.search(_QUOTED.sub("", item.get("formatCode", "")))
    }
    styles = tree.find("cellXfs")
    formats = [_whole(item.get("numFmtId", "0")) for item in styles] if styles is not None else []
    return frozenset(
        number for number, known in enumerate(formats) if known in _DATE_FORMATS or known in own
    )


def _column(reference: str) -> int:
    """Return the number of a cell's column: 28 for ``AB7``."""
    number = 0
    for letter in reference[:4]:
        if not "A" <= letter <= "Z":
            break
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
