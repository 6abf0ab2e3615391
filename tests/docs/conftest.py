"""What the documents say, and the generator that writes a part of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))  # generate.py and its package live beside the pages


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def pages() -> dict[str, str]:
    """Every page a reader gets, by its path in the repository."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in found}


@pytest.fixture(scope="session")
def written(pages: dict[str, str]) -> str:
    """The pages that people wrote: those that docs/generate.py writes are left out."""
    return "\n".join(
        text for text in pages.values() if "docs/generate.py from the code" not in text
    )
