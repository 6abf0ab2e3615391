"""Where in a TOML file a setting stands, so that an error can name the line."""

from __future__ import annotations

import re

_TABLE = re.compile(r"^\s*\[{1,2}\s*(?P<path>[^\]]+?)\s*\]{1,2}\s*(?:#.*)?$")
_KEY = re.compile(
    r"""^\s*(?P<path>(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


def locate(text: str, path: tuple[str, ...]) -> int | None:
    """Return the 1-based line of the setting at ``path``, or of the nearest table around it.

    List positions in ``path`` count the ``[[tables]]`` seen; a setting inside an inline table is
    found at the line where that table stands.
    """
    wanted = tuple(part for part in path if not part.isdigit())
    best_line, best_length = None, 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = _TABLE.match(line)
        if header:
            table = _parts(header["path"])
            here = table
        else:
            key = _KEY.match(line)
            if not key:
                continue
            here = (*table, *_parts(key["path"]))
        if here == wanted[: len(here)] and len(here) > best_length:
            best_line, best_length = number, len(here)
    return best_line


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
