"""What the source says that cannot be imported: strings and calls, read from its syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SRC = Path(__file__).parents[2] / "src" / "santral"


@cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    """Return every module of Santral: its path below src/santral and its syntax tree."""
    return tuple(
        (path.relative_to(SRC).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted(SRC.rglob("*.py"))
    )


def strings(tree: ast.AST) -> Iterator[str]:
    """Yield every string and bytes constant, also those inside f-strings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                yield node.value
            elif isinstance(node.value, bytes):
                yield node.value.decode("latin-1")
