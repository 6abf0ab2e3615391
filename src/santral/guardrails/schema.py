"""JSON Schemas of answers: compiled once, bounded, never fetched from anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, cast

import jsonschema_rs
import msgspec

from santral.errors import BadRequest

MAX_SCHEMA_BYTES: Final = 64 * 1024  # chosen: ten times the largest schema seen in public prompts
MAX_SCHEMA_DEPTH: Final = 32  # chosen: a parser in the model's place gives up earlier
_MAX_PATTERN_BYTES: Final = 1024 * 1024  # compiled size of one pattern
_MAX_NAMED: Final = 8  # violations told to the model; more confuse it


class CompiledSchema:
    """A schema ready to judge answers; ``digest`` names it in cache keys."""

    __slots__ = ("_validator", "digest", "raw")

    def __init__(self, validator: Any, raw: bytes) -> None:
        self._validator = validator
        self.raw = raw
        self.digest = hashlib.sha256(raw).hexdigest()[:16]

    def violations(self, value: object) -> list[str]:
        """Return what is wrong with ``value``, each with its path, in words a model can act on."""
        named: list[str] = []
        for error in self._validator.iter_errors(value):
            if len(named) == _MAX_NAMED:
                named.append("and more")
                break
            named.append(f"{_path(error.instance_path)}: {_shortened(error.message)}")
        return named


def _path(steps: Sequence[str | int]) -> str:
    return "$" + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps)


def _shortened(message: str) -> str:
    return message if len(message) <= 200 else f"{message[:120]} ... {message[-70:]}"


def compile_schema(raw: bytes) -> CompiledSchema:
    """Compile a JSON Schema (draft 2020-12 unless it names another); equal bytes compile once.

    Raises:
        BadRequest: not JSON, not a schema, too large or deep, a remote reference, or a pattern
            that needs backtracking; the message says which.
    """
    if len(raw) > MAX_SCHEMA_BYTES:
        raise _refused(f"it is larger than {MAX_SCHEMA_BYTES} bytes")
    return _compile(bytes(raw))


@lru_cache(maxsize=256)
def _compile(raw: bytes) -> CompiledSchema:
    try:
        schema: object = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _refused(f"it is not JSON: {error}") from None
    if not isinstance(schema, dict):
        raise _refused("a schema is an object")
    if _depth(cast(object, schema)) > MAX_SCHEMA_DEPTH:
        raise _refused(f"it is nested deeper than {MAX_SCHEMA_DEPTH} levels")
    try:
        validator = jsonschema_rs.validator_for(
            schema,  # pyright: ignore[reportUnknownArgumentType]
            retriever=_refuse_to_fetch,
            pattern_options=jsonschema_rs.RegexOptions(size_limit=_MAX_PATTERN_BYTES),
            validate_formats=True,
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise _refused(_shortened(str(error).partition("\n")[0])) from None
    return CompiledSchema(validator, raw)


def _depth(value: object) -> int:
    """Return how deep objects and lists are nested, without recursion."""
    depth = 0
    level: list[object] = [value]
    while level:
        depth += 1
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
            elif isinstance(item, list):
                inner.extend(item)  # pyright: ignore[reportUnknownArgumentType]
        level = [item for item in inner if isinstance(item, dict | list)]
    return depth


def _refuse_to_fetch(uri: str) -> Any:
    raise ValueError(f"it refers to '{uri}'; put the definition under $defs instead")


def _refused(reason: str) -> BadRequest:
    return BadRequest(
        f"The JSON Schema cannot be used: {reason}.", code="invalid_json_schema", param="schema"
    )
