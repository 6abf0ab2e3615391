"""robots.txt: what a site lets be asked, and how fast. Source: RFC 9309."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote

from msgspec import Struct

#: What is read of a file, and rules of one. Source: RFC 9309, section 2.5 (500 KiB at least); chosen.
MAX_BYTES = 512 * 1024
_MOST_RULES = 10_000
#: Longest pause that a site can ask for, in seconds. Chosen.
_MOST_PAUSE_S = 30.0


class Robots(Struct, frozen=True):
    """The rules for one asker: (allows, pattern), and the sitemaps that the file names."""

    rules: tuple[tuple[bool, str], ...] = ()
    pause_s: float = 0.0
    sitemaps: tuple[str, ...] = ()

    def allows(self, path: str) -> bool:
        """Whether a path with its query may be asked: the longest pattern decides, then allowing."""
        wanted = _written(path)
        fitting = [(len(p), allows) for allows, p in self.rules if _fits(p, wanted)]
        return max(fitting)[1] if fitting else True


#: Everything is allowed.
OPEN = Robots()


def parse_robots(content: bytes, agent: str) -> Robots:
    """Return the rules that hold for an agent, by its first word; those of '*' where none names it."""
    lines = list(_lines(content[:MAX_BYTES]))
    name = re.split(r"[^a-zA-Z_-]", agent, maxsplit=1)[0].lower()
    groups = list(_groups(lines))
    named = [rules for agents, rules in groups if name in agents]
    chosen = named or [rules for agents, rules in groups if "*" in agents]
    rules: list[tuple[bool, str]] = []
    pause_s = 0.0
    for field, value in (line for group in chosen for line in group):
        if field == "crawl-delay":
            pause_s = max(pause_s, _seconds(value))
        elif value and len(rules) < _MOST_RULES:
            rules.append((field == "allow", _written(value)))
    sitemaps = tuple(value for field, value in lines if field == "sitemap")
    return Robots(tuple(rules), pause_s, sitemaps)


def _lines(content: bytes) -> Iterator[tuple[str, str]]:
    for line in content.decode("utf-8-sig", "replace").splitlines():
        field, colon, value = line.partition("#")[0].partition(":")
        if colon:
            yield field.strip().lower(), value.strip()


def _groups(
    lines: Iterable[tuple[str, str]],
) -> Iterator[tuple[set[str], list[tuple[str, str]]]]:
    """Yield agents and their rules; lines of agents that follow each other share one group."""
    agents: set[str] = set()
    rules: list[tuple[str, str]] = []
    for field, value in lines:
        if field == "user-agent":
            if rules:
                yield agents, rules
                agents, rules = set(), []
            agents.add(value.lower())
        elif field in ("allow", "disallow", "crawl-delay") and agents:
            rules.append((field, value))
    if agents:
        yield agents, rules


def _fits(pattern: str, path: str) -> bool:
    """Whether a path begins as the pattern says: ``*`` is any letters, ``$`` at its end is the end."""
    ends = pattern.endswith("$")
    first, *rest = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    if not rest:
        return not ends or path == first
    at = len(first)
    for part in rest[:-1]:
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    last = rest[-1]
    return (
        (path.endswith(last) and len(path) - len(last) >= at) if ends else path.find(last, at) >= 0
    )


def _written(path: str) -> str:
    """Return a path as it is compared: what is percent-encoded without need stands plainly."""
    return quote(unquote(path), safe="/?&=*$+,;:@!'()~%")


def _seconds(text: str) -> float:
    try:
        return min(max(float(text), 0.0), _MOST_PAUSE_S)
    except ValueError:
        return 0.0
