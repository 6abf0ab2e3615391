"""Runs: pieces of text on one line of a page, with their place, size and weight."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from santral.retrieval.reading.pdf.rule import Rule

#: Letters further apart than this many times their size belong to two runs: a column lies between.
#: Measured on set text: words of a justified line are up to 0.7 apart.
_APART = 0.9
#: Characters read of a page. Chosen: ten times a page of the smallest print.
MAX_CHARACTERS = 200_000
# pdfium gives a hyphen at the end of a line as one of these.
_HYPHENS = {0x02: "\u00ad", 0xFFFE: "\u00ad"}
# What stands in front of a list item.
_MARK = re.compile(r"[•‣▪●○◦■□·–—*-]|\(?(?:\d{1,3}|[a-zA-Z])[.)]")
_BREAKS = frozenset((0, 10, 13))


class Run(Struct):
    """Text in one line; ``top`` and ``bottom`` are counted down from the top of the page, in points.

    ``cells`` are those of a table with drawn lines, which stands on the page as one run.
    """

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float
    is_bold: bool = False
    cells: list[list[str]] | None = None

    @property
    def middle(self) -> float:
        """The middle of its height."""
        return (self.top + self.bottom) / 2


class Row(Struct):
    """Runs that stand beside each other, from left to right."""

    runs: list[Run]

    @property
    def text(self) -> str:
        """All of its text."""
        return " ".join(run.text for run in self.runs)

    @property
    def left(self) -> float:
        """Where it begins."""
        return self.runs[0].left

    @property
    def right(self) -> float:
        """Where it ends."""
        return max(run.right for run in self.runs)

    @property
    def top(self) -> float:
        """Its upper edge."""
        return min(run.top for run in self.runs)

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return max(run.bottom for run in self.runs)

    @property
    def size(self) -> float:
        """The size of its longest run."""
        return max(self.runs, key=lambda run: len(run.text)).size

    @property
    def is_bold(self) -> bool:
        """Whether all of it is set in bold."""
        return all(run.is_bold for run in self.runs)


def runs_of(raw: Any, text_page: Any, height: float, walls: Sequence[Rule] = ()) -> list[Run]:
    """Return the runs of a page in the order in which the file holds them.

    ``raw`` is pypdfium2's raw module, ``text_page`` one of its text pages, ``walls`` are upright lines
    that no run crosses.
    """
    found: list[Run] = []
    count = min(raw.FPDFText_CountChars(text_page), MAX_CHARACTERS)
    letters: list[str] = []
    run: Run | None = None
    last = 0
    for index, code, box, size in _letters(raw, text_page, count):
        if box is None:
            # A space or a line's end that pdfium adds where the file has none.
            if run is not None and code == 32 and letters[-1] != " ":
                letters.append(" ")
            continue
        left, right, top, bottom = box[0], box[1], height - box[2], height - box[3]
        if run is None or _is_apart(run, left, top, bottom) or _is_beyond(run, left, walls):
            _finish(run, letters)
            if run is not None and run.is_bold:
                run.is_bold = _is_bold(raw, text_page, last)
            run = Run("", left, top, right, bottom, size, _is_bold(raw, text_page, index))
            found.append(run)
            letters = []
        last = index
        letters.append(_HYPHENS.get(code) or chr(code))
        run.right = max(run.right, right)
        run.top, run.bottom = min(run.top, top), max(run.bottom, bottom)
    _finish(run, letters)
    return [run for run in found if run.text]


def rows_of(runs: Sequence[Run]) -> list[Row]:
    """Return runs as rows from top to bottom: those that share most of their height are one."""
    rows: list[Row] = []
    for run in sorted(runs, key=lambda each: each.middle):
        last = rows[-1].runs[-1] if rows and run.cells is None else None
        shares = (
            last is not None
            and last.cells is None
            and abs(run.middle - last.middle)
            < 0.5 * min(run.bottom - run.top, last.bottom - last.top)
        )
        if shares:
            rows[-1].runs.append(run)
        else:
            rows.append(Row([run]))
    for row in rows:
        row.runs.sort(key=lambda each: each.left)
        first = row.runs[0]
        if len(row.runs) > 1 and _MARK.fullmatch(first.text):
            _lead(first, row.runs.pop(1))
            row.runs[0] = first
    return rows


def _lead(mark: Run, run: Run) -> None:
    """Put the mark of a list item in front of it: what lies between them is no column."""
    mark.text, mark.right = f"{mark.text} {run.text}", run.right
    mark.top, mark.bottom = min(mark.top, run.top), max(mark.bottom, run.bottom)
    mark.size, mark.is_bold = run.size, mark.is_bold and run.is_bold


def _letters(
    raw: Any, text_page: Any, count: int
) -> Iterator[tuple[int, int, tuple[float, float, float, float] | None, float]]:
    """Yield index, code point, box (left, right, top, bottom; None: added by pdfium) and size."""
    rectangle = raw.FS_RECTF()
    place = ctypes.byref(rectangle)
    high = 0
    for index in range(count):
        code = raw.FPDFText_GetUnicode(text_page, index)
        if 0xD800 <= code < 0xDC00:
            high = code
            continue
        if 0xDC00 <= code < 0xE000:
            code = 0x10000 + ((high - 0xD800) << 10) + code - 0xDC00 if high else 0xFFFD
        high = 0
        if code in _BREAKS or code == 32 or code > 0x10FFFF:
            yield index, 32, None, 0.0
        elif raw.FPDFText_GetLooseCharBox(text_page, index, place):
            box = (rectangle.left, rectangle.right, rectangle.top, rectangle.bottom)
            size = raw.FPDFText_GetFontSize(text_page, index)
            yield index, code, box, max(size, box[2] - box[3], 1.0) if size <= 1.5 else size


def _is_apart(run: Run, left: float, top: float, bottom: float) -> bool:
    """Whether a letter does not go on with a run: another line, a column further, or back."""
    size = max(run.bottom - run.top, 1.0)
    if abs((top + bottom) / 2 - run.middle) > 0.5 * size:
        return True
    return left - run.right > _APART * size or run.right - left > 2 * size


def _is_beyond(run: Run, left: float, walls: Sequence[Rule]) -> bool:
    """Whether an upright line stands between a run and the next letter."""
    return left > run.right - 1 and any(
        run.right - 1 <= wall.left <= left + 1 and wall.top <= run.middle <= wall.bottom
        for wall in walls
    )


def _finish(run: Run | None, letters: list[str]) -> None:
    if run is not None:
        run.text = " ".join("".join(letters).split())


def _is_bold(raw: Any, text_page: Any, index: int) -> bool:
    if raw.FPDFText_GetFontWeight(text_page, index) >= 600:
        return True
    buffer = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    size = raw.FPDFText_GetFontInfo(text_page, index, buffer, 128, ctypes.byref(flags))
    return 0 < size <= 128 and b"bold" in buffer.value.lower()
