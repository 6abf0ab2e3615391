"""Examples as files: for other tools, for fine-tuning and for preference training."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from santral.errors import BadRequest
from santral.evals.datasets.formula import marked
from santral.evals.datasets.parquet.store import write_rows
from santral.evals.example import Example

#: ``chat`` is OpenAI's fine-tuning format, ``dpo`` its preference format.
Format: TypeAlias = Literal["jsonl", "csv", "parquet", "chat", "dpo"]
FORMATS: tuple[str, ...] = get_args(Format)
#: Metadata in which an answer stands that people liked less.
REJECTED = "rejected"

_COLUMNS = Example.__struct_fields__
_encode = msgspec.json.Encoder().encode


def format_of(path: Path, wanted: str = "") -> Format:
    """Return the format that a file's ending, or a name, means.

    Raises:
        BadRequest: it is none of those known.
    """
    named = wanted or path.suffix.lstrip(".").lower()
    if named not in FORMATS:
        raise BadRequest(
            f"'{named}' is no format to export. Take one of: {', '.join(FORMATS)}.", param="format"
        )
    return msgspec.convert(named, Format)


def write_examples(path: Path, examples: Iterable[Example], as_: Format) -> int:
    """Write examples into a file; return how many were written. It is whole, or not there.

    ``chat`` and ``dpo`` leave out examples that lack what they need: an expected answer; two answers.

    Raises:
        BadRequest: the file cannot be written, or nothing fits the format.
    """
    half = path.with_name(f".{path.name}.half")
    try:
        if as_ == "parquet":
            count = _write_parquet(half, examples)
        else:
            count = _write_lines(half, lines_of(examples, as_), has_head=as_ == "csv")
        if not count:
            raise BadRequest(f"No example has what {as_} needs: {_NEEDS[as_]}.")
        half.replace(path)
    except OSError as error:
        raise BadRequest(f"{path} cannot be written: {error}") from None
    finally:
        half.unlink(missing_ok=True)
    return count


def lines_of(examples: Iterable[Example], as_: Format) -> Iterator[bytes]:
    """Yield the lines of a format that has lines; the first one of CSV is its head."""
    if as_ == "csv":
        yield _csv_line(_COLUMNS)
    for example in examples:
        line = _LINES[as_](example)
        if line is not None:
            yield line


def _jsonl(example: Example) -> bytes:
    return _encode(example) + b"\n"


def _csv(example: Example) -> bytes:
    cells = msgspec.to_builtins(example)
    return _csv_line([marked(_cell(cells.get(name))) for name in _COLUMNS])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _encode(value).decode()


def _csv_line(cells: Iterable[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(list(cells))
    return text.getvalue().encode()


def _chat(example: Example) -> bytes | None:
    """Source: platform.openai.com/docs/guides/supervised-fine-tuning, formatting of training data."""
    if example.expected is None:
        return None
    line: dict[str, Any] = {
        "messages": [*_messages(example), {"role": "assistant", "content": example.expected}]
    }
    if example.tools:
        line["tools"] = example.tools
    return _encode(line) + b"\n"


def _dpo(example: Example) -> bytes | None:
    """Source: platform.openai.com/docs/guides/direct-preference-optimization, preparing data."""
    rejected = example.metadata.get(REJECTED)
    if example.expected is None or not isinstance(rejected, str) or not rejected:
        return None
    line = {
        "input": {"messages": _messages(example), "tools": example.tools},
        "preferred_output": [{"role": "assistant", "content": example.expected}],
        "non_preferred_output": [{"role": "assistant", "content": rejected}],
    }
    return _encode(line) + b"\n"


def _messages(example: Example) -> list[dict[str, Any]]:
    if isinstance(example.input, str):
        return [{"role": "user", "content": example.input}]
    return example.input


def _write_lines(path: Path, lines: Iterable[bytes], *, has_head: bool) -> int:
    count = 0
    with path.open("wb") as file:
        for line in lines:
            file.write(line)
            count += 1
    return count - has_head


def _write_parquet(path: Path, examples: Iterable[Example]) -> int:
    """Write a file of Parquet: texts as they are, everything else as JSON."""
    return write_rows(path, _COLUMNS, (_cells(example) for example in examples))


def _cells(example: Example) -> list[str | None]:
    known = msgspec.to_builtins(example)
    return [_cell(known[name]) if name in known else None for name in _COLUMNS]


_LINES: Mapping[Format, Callable[[Example], bytes | None]] = {
    "jsonl": _jsonl,
    "csv": _csv,
    "chat": _chat,
    "dpo": _dpo,
}
_NEEDS: Mapping[Format, str] = {
    "jsonl": "any example",
    "csv": "any example",
    "parquet": "any example",
    "chat": "an expected answer",
    "dpo": f"an expected answer, and a worse one in metadata.{REJECTED}",
}
