"""Prompt injection and jailbreaks by rule, also where a text hides them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import ClassVar, Final, Literal

from msgspec import Struct

from santral.guardrails.check import Inspection
from santral.guardrails.decode import TRIGGERS, squashed, views
from santral.guardrails.injection_rules import CATEGORIES, PATTERNS, RULES, SQUASHED, Category, Rule
from santral.guardrails.normalise import View
from santral.guardrails.patterns import PatternSet, compiled
from santral.guardrails.verdict import NOTHING_FOUND, Action, Finding, Span

#: How often a decoded text is decoded again. Chosen: nested encodings in the wild are two deep.
_MAX_DEPTH: Final = 2
#: Words of somebody who talks about attacks rather than making one.
_DISCUSSION: Final = compiled(
    r"(?i)\b(?:attacks?|injections?|defend\w*|defen[cs]e|prevent\w*|detect\w*|mitigat\w*|protect\w*|phrases?"
    r"|sentences?|means?|meaning|explain|examples?|such as|guardrails?|filters?|classif\w+|saldiri\w*|onle\w*|koru\w*"
    r"|tespit|ornek\w*|ne demek|anlam\w*|ifade\w*|cumle\w*)\b"
)
_QUOTES: Final = re.compile(rb"[\"'`]")


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of ``injection``: which rules, and what happens to attacks that are only quoted."""

    categories: tuple[Category, ...] = CATEGORIES
    quoted: Literal["report", "refuse"] = "report"


class _Hit(Struct, frozen=True):
    rule: Rule
    where: str  # the view it was found in; empty for the plain one
    is_quoted: bool
    span: tuple[int, int]


class Injection:
    """Looks for instructions that want to replace the application's own."""

    Params: ClassVar[type[Struct]] = Params
    places: ClassVar[frozenset[str]] = frozenset({"input", "retrieved"})
    actions: ClassVar[tuple[Action, ...]] = ("refuse", "report")
    reads_whole = False
    only_patterns = True

    def __init__(self, params: Params) -> None:
        self._params = params
        self._rules = tuple(rule for rule in RULES if rule.category in params.categories)
        needed = {name for rule in self._rules for name in rule.needs}
        rules = {f"injection.{name}": p for name, p in PATTERNS.items() if name in needed}
        self.patterns: Mapping[str, str] = rules | TRIGGERS
        _compile_all()

    async def __call__(self, looked: Inspection) -> Finding:
        if looked.is_clean:
            return NOTHING_FOUND
        found: list[_Hit] = []
        spans: list[Span] = []
        for number, (view, hits) in enumerate(zip(looked.views, looked.hits, strict=True)):
            if hits:
                here = list(self._look(view, hits))
                found += here
                spans += [Span(number, *hit.span, hit.rule.category) for hit in here]
        return self._finding(found, tuple(spans)) if found else NOTHING_FOUND

    def _finding(self, found: list[_Hit], spans: tuple[Span, ...]) -> Finding:
        serious = [hit for hit in found if not hit.is_quoted]
        first = (serious or found)[0]
        reason = first.rule.reason + (f" (hidden as {first.where})" if first.where else "")
        if serious or self._params.quoted == "refuse":
            return Finding(len(found), reason, spans)
        return Finding(len(found), f"{reason}, in a quotation", spans, "report")

    def _look(self, view: View, hits: frozenset[str]) -> Iterator[_Hit]:
        names = frozenset(n.removeprefix("injection.") for n in hits if n.startswith("injection."))
        for rule in self._matching(names):
            start, end = _place(view.data, rule)
            quoted = _is_quoted(view.data, start, end)
            yield _Hit(rule, "", quoted, view.span(start, end))
        for where, names in _hidden(view.data, hits, _MAX_DEPTH):
            for rule in self._matching(names):
                yield _Hit(rule, where, False, (0, view.index(len(view.data))))

    def _matching(self, names: frozenset[str]) -> list[Rule]:
        if not names:
            return []
        return [rule for rule in self._rules if names.issuperset(rule.needs)]


def _hidden(data: bytes, hits: frozenset[str], depth: int) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the names of patterns that hit in each further view of ``data``."""
    for where, made in views(data, hits):
        names = _rule_set().hits(made)
        if where == "spaced":
            names |= _squashed_set().hits(squashed(made))
        plain_names = names - TRIGGERS.keys()
        if plain_names:
            yield where, plain_names
        if depth > 1 and where in ("base64", "hex", "percent"):
            yield from _hidden(made, names, depth - 1)


def _compile_all() -> None:
    """Compile everything now: the first attack must not wait for it."""
    _rule_set()
    _squashed_set()
    for rule in RULES:
        compiled(PATTERNS.get(rule.needs[0]) or SQUASHED[rule.needs[0]])


@lru_cache(maxsize=1)
def _rule_set() -> PatternSet:
    return PatternSet(PATTERNS | TRIGGERS)


@lru_cache(maxsize=1)
def _squashed_set() -> PatternSet:
    return PatternSet(SQUASHED)


def _place(data: bytes, rule: Rule) -> tuple[int, int]:
    match = compiled(PATTERNS[rule.needs[0]]).search(data)
    return match.span() if match else (0, 0)


def _is_quoted(data: bytes, start: int, end: int) -> bool:
    """Whether the match stands inside quotation marks of a text that talks about attacks."""
    line = data.rfind(b"\n", 0, start) + 1
    stop = data.find(b"\n", end)
    before = data[max(line, start - 200) : start]
    after = data[end : stop if stop >= 0 else len(data)][:200]
    opened = [m.group() for m in _QUOTES.finditer(before)]
    if not opened or opened.count(opened[-1]) % 2 == 0 or opened[-1] not in after:
        return False
    outside = before + b" " + after[after.index(opened[-1]) :]
    return _DISCUSSION.search(outside) is not None
