"""Where in a TOML file a setting stands, so that an error can name the line."""

from __future__ import annotations

import re
from functools import lru_cache

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
    lines = _lines(text)
    wanted = tuple(part for part in path if not part.isdigit())
    found = (lines.get(wanted[:length]) for length in range(len(wanted), 0, -1))
    return next((line for line in found if line is not None), None)


@lru_cache(maxsize=4)
def _lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the first line of every table and setting.

    Read once per file: looking at every line for every setting took 14 s for 230 deployments.
    """
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = _TABLE.match(line)
        if header:
            table = here = _parts(header["path"])
        else:
            key = _KEY.match(line)
            if not key:
                continue
            here = (*table, *_parts(key["path"]))
        lines.setdefault(here, number)
    return lines


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
