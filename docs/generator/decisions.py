"""docs/decisions/README.md: the index of the decision notes."""

from __future__ import annotations

import re
from pathlib import Path

from generator.markdown import page, table

FOLDER = Path(__file__).parents[1] / "decisions"

INTRO = """\
A decision note says what the situation was, what was chosen and what that costs. Notes are numbered
and dated, and never rewritten: a decision that no longer holds gets a new note that names the old
one. Only the tables of 0001 are kept current, because every dependency has to stand there."""

_NAME = re.compile(r"\d{4}-[a-z0-9-]+\.md")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")


def decisions_page() -> str:
    """Return the page."""
    notes = [path for path in sorted(FOLDER.glob("*.md")) if _NAME.fullmatch(path.name)]
    return page("Decisions", INTRO, table(("Note", "Date", "About"), [_note(p) for p in notes]))


def _note(path: Path) -> tuple[str, str, str]:
    text = path.read_text(encoding="utf-8")
    title = next(line for line in text.splitlines() if line.startswith("# "))[2:]
    title = re.sub(r"^\d{4}[.:]?\s*", "", title)
    date = _DATE.search(text)
    return f"[{path.stem[:4]}]({path.name})", date[0] if date else "", title
