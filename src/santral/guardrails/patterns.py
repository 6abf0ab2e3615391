"""Many patterns in one pass: a google-re2 Set says which hit, spans are looked for only then.

RE2 has no backtracking: time is linear in the text for every pattern. Patterns see plain views
(``normalise``), bytes of ASCII, so byte positions are positions in the view.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import re2  # pyright: ignore[reportMissingTypeStubs]

from santral.errors import ConfigError

#: Chosen: the DFA of all rules stays below 8 MB on mixed text; a Set that runs out gets slow.
MAX_MEM_BYTES: Final = 64 * 1024 * 1024

_re2: Final[Any] = re2  # ships no types
NOTHING: Final[frozenset[str]] = frozenset()


def _options() -> Any:
    options = _re2.Options()
    options.max_mem = MAX_MEM_BYTES
    options.log_errors = False
    return options


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Any:
    """Return a compiled RE2 pattern over bytes, with the methods of ``re.Pattern``."""
    return _re2.compile(pattern.encode("ascii"), _options())


class PatternSet:
    """Patterns by name, matched all at once."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self.names = tuple(patterns)
        self._all = frozenset(self.names)
        self._set: Any = None
        if patterns:
            self._set = _re2.Set.SearchSet(_options())
            for name, pattern in patterns.items():
                self._add(name, pattern)
            self._set.Compile()

    def _add(self, name: str, pattern: str) -> None:
        try:
            self._set.Add(pattern.encode("ascii"))
        except (_re2.error, UnicodeEncodeError) as error:
            raise ConfigError(f"Pattern '{name}' cannot be compiled: {error}") from None

    def hits(self, data: bytes) -> frozenset[str]:
        """Return the names of the patterns that occur in ``data``."""
        if self._set is None:
            return NOTHING
        try:
            found: list[int] | None = self._set.Match(data)
        except _re2.error:
            return self._all  # out of memory inside RE2: look for every one
        if not found:
            return NOTHING
        names = self.names
        return frozenset([names[index] for index in found])


def any_of(words: Iterable[str]) -> str:
    """Return a group that matches any of the patterns."""
    return f"(?:{'|'.join(words)})"
