"""Blocks of source code: what stands at its left edge, each under the name of what it defines.

By indentation, which is the same in every language that people read: no grammar, no parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from textwrap import dedent

from santral.retrieval.document import Block
from santral.retrieval.reading.file import Contents, File

#: The languages by the end of a file's name.
LANGUAGES = {
    ".bash": "shell", ".c": "c", ".cc": "cpp", ".cfg": "ini", ".clj": "clojure", ".cpp": "cpp",
    ".cs": "csharp", ".css": "css", ".cxx": "cpp", ".dart": "dart", ".ex": "elixir",
    ".exs": "elixir", ".go": "go", ".gradle": "groovy", ".graphql": "graphql", ".h": "c",
    ".hpp": "cpp", ".hs": "haskell", ".ini": "ini", ".java": "java", ".jl": "julia",
    ".js": "javascript", ".jsx": "javascript", ".kt": "kotlin", ".lua": "lua", ".m": "objective-c",
    ".mjs": "javascript", ".ml": "ocaml", ".php": "php", ".pl": "perl", ".proto": "protobuf",
    ".ps1": "powershell", ".py": "python", ".pyi": "python", ".r": "r", ".rb": "ruby",
    ".rs": "rust", ".scala": "scala", ".scss": "css", ".sh": "shell", ".sql": "sql",
    ".swift": "swift", ".tf": "terraform", ".toml": "toml", ".ts": "typescript",
    ".tsx": "typescript", ".vue": "vue", ".xml": "xml", ".yaml": "yaml", ".yml": "yaml",
    ".zig": "zig",
}  # fmt: skip

#: A definition longer than this is taken apart at the definitions inside it. Chosen: two screens.
_LONG_LINES = 80

_MODIFIERS = (
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|unsafe|pub"
    r"(?:\([\w:]+\))?|virtual|override|open|data|sealed|inline|extern|partial|create(?: or replace)?)\s+)*"
)
_DEFINITION = re.compile(
    rf"{_MODIFIERS}(?:"
    r"(class|def|function|func|fn|interface|struct|enum|impl|trait|type|module|namespace|record|object|"
    r"protocol|extension|message|service|sub|defmodule|defp?|table|view|procedure)\b"
    r"\s*(?:\([^)]{0,200}\)\s*|<[^>]{0,100}>\s*)?([\w.$]+(?:::[\w.$]+)*)"
    # const name = (a, b) => ...
    r"|(?:const|let|var|val)\s+([\w$]+)\s*=\s*(?:async\s*)?(?:function\b|\([^)]{0,300}\)\s*=>|class\b)"
    # static int name(char *a, int b), and name() {
    r"|(?:[\w<>\[\].,&*:~]+[ \t]+){1,6}[*&]*([\w~:]+)\s*\([^;=]{0,300}[{),]$"
    r"|([\w$]+)\s*\([^;=]{0,300}\)\s*\{$)",
    re.IGNORECASE,
)
# What goes with the definition below it: decorators, attributes, comments.
_LEADING = re.compile(r"^(?:@|#|//|/\*|\*|--|;|\[)")
_CLOSING = re.compile(r"^(?:[)\]}{]|(?:end|else|elif|except|finally|catch|case|then|do|fi|done)\b)")
_NO_NAME = frozenset(
    (
        "if",
        "for",
        "while",
        "switch",
        "return",
        "catch",
        "with",
        "else",
        "match",
        "elif",
        "new",
        "await",
    )
)
_MAX_LINE = 2_000


def read_code(file: File) -> Contents:
    """Read source code: a block for each definition, under a heading with its name."""
    text = file.text.expandtabs(4)
    return Contents(title=file.name.rpartition("/")[2], blocks=list(_units(text.split("\n"), 1)))


def _units(lines: Sequence[str], level: int) -> Iterator[Block]:
    """Yield the blocks of some lines; those without a name stand as they are."""
    for unit in _parts(lines):
        name = _name(unit)
        if name:
            yield Block("heading", name, level)
        if name and len(unit) > _LONG_LINES and level == 1:
            yield from _taken_apart(unit)
        else:
            yield _code(unit)


def _taken_apart(unit: Sequence[str]) -> Iterator[Block]:
    """Yield the head of a long definition, and what is defined in it."""
    first = next((at for at, line in enumerate(unit) if _defines(line)), 0)
    body = [line for line in unit[first + 1 :] if line.strip()]
    indent = min((len(line) - len(line.lstrip()) for line in body if line[0] == " "), default=0)
    if not indent:
        yield _code(unit)
        return
    head = first + 1
    while head < len(unit) and not unit[head].startswith(" " * indent):
        head += 1
    yield _code(unit[:head])
    inner = [line[indent:] if line[:indent].isspace() else line.lstrip() for line in unit[head:]]
    yield from _units(inner, 2)


def _parts(lines: Sequence[str]) -> Iterator[list[str]]:
    """Yield what begins at the left edge behind an empty line, with all that is indented below it."""
    held: list[str] = []
    is_open = False  # an empty line has been seen since the last line at the edge
    for line in lines:
        at_edge = bool(line) and not line[0].isspace() and not _CLOSING.match(line)
        if held and at_edge and (is_open or _defines(line)) and not _is_leading(held):
            yield held
            held = []
        is_open = not line.strip() or (is_open and not at_edge)
        held.append(line)
    if held:
        yield held


def _is_leading(held: Sequence[str]) -> bool:
    """Whether all that is held belongs to what follows, right below it."""
    return bool(held[-1].strip()) and all(_LEADING.match(line) for line in held if line.strip())


def _defines(line: str) -> bool:
    return len(line) < _MAX_LINE and bool(_named(line))


def _name(unit: Sequence[str]) -> str:
    """Return what a part defines, as its first line says it: ``class Till``, ``add``."""
    for line in unit:
        if line and not _LEADING.match(line):
            return _named(line[:_MAX_LINE])
    return ""


def _named(line: str) -> str:
    match = _DEFINITION.match(line)
    if match is None:
        return ""
    keyword, name, bound, called, method = match.groups()
    if _NO_NAME & {called, method, line.split(" ", 1)[0]}:
        return ""
    return f"{keyword} {name}" if keyword else bound or called or method


def _code(lines: Sequence[str]) -> Block:
    return Block("code", dedent("\n".join(lines)).strip("\n"))
