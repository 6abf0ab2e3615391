"""docs/reference/errors.md from the classes of errors.py and the codes that modules pass."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from generator.error_notes import CLASS_REMEDIES, PASSED, TRACE_ONLY
from generator.markdown import code, page, prose, table
from generator.source import modules, strings
from santral import errors
from santral.errors import (
    OutputRefused,
    ProviderError,
    QuotaExceeded,
    RequestError,
    SantralError,
)
from santral.quota.rule import MEASURES, WINDOWS, Rule, Scope

INTRO = """\
Every error body has OpenAI's shape, so that the official SDKs raise their usual exceptions:

```json
{"error": {"message": "...", "type": "...", "param": "...", "code": "..."}}
```

`code` is stable: programs may depend on it, and never on the message. `message` says what happened
and what to do. `param` names the field at fault, where there is one. Codes that begin with
`provider_` and `context_window_exceeded` come from the provider; every other code means that
Santral itself refused. An error that happens after a stream has begun is sent as the last event of
the stream, in the same shape, because the status 200 is already on its way.

A *retryable* error is one where another attempt or deployment may succeed: a route goes on to its
next deployment only after such an error."""

#: Whose fault an error is, in the order of the page.
FAULTS = {
    "caller": "The caller has to change the request",
    "limit": "The caller is over a limit",
    "model": "The model's answer may not leave",
    "provider": "The provider failed",
    "operator": "The operator has to act",
    "santral": "Santral is at fault",
}

_CODE = re.compile(r"[a-z]+(?:_[a-z]+)+")


class Code(NamedTuple):
    """One stable code."""

    name: str
    status: int
    kind: str
    retryable: bool
    fault: str
    meaning: str
    remedy: str


def errors_page() -> str:
    """Return the page."""
    found = codes()
    parts = [
        part
        for fault, title in FAULTS.items()
        for part in (f"## {title}", _table([c for c in found if c.fault == fault]))
    ]
    only = [(code(name), text) for name, text in TRACE_ONLY.items()]
    title = "## Codes that only traces carry"
    return page("Errors", INTRO, *parts, title, table(("Code", "Meaning"), only))


def _table(found: list[Code]) -> str:
    rows = [(code(c.name), _status(c), c.meaning, c.remedy) for c in found]
    return table(("Code", "Status and type", "Meaning", "What to do"), rows)


def _status(entry: Code) -> str:
    return f"{entry.status} {code(entry.kind)}" + (", retryable" if entry.retryable else "")


def codes() -> list[Code]:
    """Return every code: those of the classes in the order of errors.py, then those passed."""
    found = {cls.code: _of_class(cls) for cls in classes()}
    for name, cls in passed_codes().items():
        found.setdefault(name, _passed(name, cls))
    for name in PASSED:
        if name not in found:
            raise SystemExit(f"docs/generator/error_notes.py: nothing passes '{name}' any more")
    return sorted(found.values(), key=lambda c: (c.status, c.name))


def classes() -> list[type[SantralError]]:
    """Return the error classes, one for each code: the most general one that has it."""
    found: dict[str, type[SantralError]] = {}
    for thing in vars(errors).values():
        if isinstance(thing, type) and issubclass(thing, SantralError):
            found.setdefault(thing.code, thing)
    return list(found.values())


def passed_codes() -> dict[str, type[SantralError]]:
    """Return the codes that modules pass to an error, with the class they pass it to.

    In a module that computes a code, every string that looks like one is taken for one.
    """
    found: dict[str, type[SantralError]] = {}
    for path, tree in modules():
        if path == "errors.py":
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                for value in (k.value for k in node.keywords if k.arg == "code"):
                    cls = getattr(errors, getattr(node.func, "id", ""), None)
                    if cls is not None:
                        found.update((name, cls) for name in _values(value, tree))
    return found | dict.fromkeys(_limit_codes(), QuotaExceeded)


def _limit_codes() -> list[str]:
    """Return the codes of refusals by limits: one for each measure and window that can be set."""
    rules = [
        Rule(id="", tenant_id="", scope=Scope("tenant", ""), measure=measure, window=window)
        for measure in MEASURES
        for window in WINDOWS
        if (window == "") == (measure == "concurrent")
        and (window != "second" or measure == "requests")
    ]
    return [rule.code for rule in rules]


def _values(value: ast.expr, tree: ast.Module) -> list[str]:
    if isinstance(value, ast.Constant):
        return [str(value.value)]
    if isinstance(value, ast.IfExp):
        return [*_values(value.body, tree), *_values(value.orelse, tree)]
    return [text for text in strings(tree) if _CODE.fullmatch(text)]


def _of_class(cls: type[SantralError]) -> Code:
    if cls.code not in CLASS_REMEDIES:
        raise SystemExit(f"docs/generator/error_notes.py: CLASS_REMEDIES lacks '{cls.code}'")
    return _code(cls.code, cls, prose(cls.__doc__), CLASS_REMEDIES[cls.code])


def _passed(name: str, cls: type[SantralError]) -> Code:
    if name not in PASSED:
        raise SystemExit(f"docs/generator/error_notes.py: PASSED lacks '{name}' ({cls.__name__})")
    return _code(name, cls, *PASSED[name])


def _code(name: str, cls: type[SantralError], meaning: str, remedy: str) -> Code:
    return Code(name, cls.status, cls.kind, cls.retryable, _fault(cls), meaning, remedy)


def _fault(cls: type[SantralError]) -> str:
    if issubclass(cls, QuotaExceeded):
        return "limit"
    if issubclass(cls, RequestError):
        return "caller"
    if issubclass(cls, ProviderError):
        return "provider"
    if issubclass(cls, OutputRefused):
        return "model"
    return "santral" if cls is SantralError else "operator"
