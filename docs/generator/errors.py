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
    ConfigError,
    OutputRefused,
    ProviderError,
    QuotaExceeded,
    RequestError,
    SantralError,
)

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

*Another attempt may help* is what the fallback looks at: a route goes on to its next deployment
only after an error with "yes"."""

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
    rows = [
        (code(c.name), str(c.status), code(c.kind), c.fault, _yes(c), c.meaning, c.remedy)
        for c in codes()
    ]
    head = (
        "Code",
        "Status",
        "Type",
        "Whose fault",
        "Another attempt may help",
        "Meaning",
        "What to do",
    )
    only = [(code(name), text) for name, text in TRACE_ONLY.items()]
    return page(
        "Errors",
        INTRO,
        table(head, rows),
        "## Codes that only traces carry",
        table(("Code", "Meaning"), only),
    )


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
    return found


def _values(value: ast.expr, tree: ast.Module) -> list[str]:
    if isinstance(value, ast.Constant):
        return [str(value.value)]
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
        return "caller, over a limit"
    if issubclass(cls, RequestError):
        return "caller"
    if issubclass(cls, ProviderError):
        return "provider"
    if issubclass(cls, OutputRefused):
        return "model"
    return "operator" if cls is not SantralError or issubclass(cls, ConfigError) else "Santral"


def _yes(entry: Code) -> str:
    return "yes" if entry.retryable else "no"
