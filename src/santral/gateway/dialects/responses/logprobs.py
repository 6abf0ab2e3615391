"""Log-probabilities of chat completions as the Responses protocol says them."""

from __future__ import annotations

from typing import Any

import msgspec


class _Logprobs(msgspec.Struct, frozen=True):
    content: list[dict[str, Any]] | None = None


class _Choice(msgspec.Struct, frozen=True):
    logprobs: _Logprobs | None = None


class _Chunk(msgspec.Struct, frozen=True):
    choices: list[_Choice] = []


_logprobs = msgspec.json.Decoder(_Logprobs)
_chunk = msgspec.json.Decoder(_Chunk)


def read_logprobs(data: bytes) -> list[Any]:
    """Return the entries of ``ChoiceDelta.logprobs``."""
    return _entries(_logprobs.decode(data)) if data else []


def read_raw_logprobs(raw: bytes) -> list[Any]:
    """Return the entries that the bytes of a chat provider's chunk hold."""
    choices = _chunk.decode(raw).choices if raw else []
    return _entries(choices[0].logprobs) if choices else []


def _entries(found: _Logprobs | None) -> list[Any]:
    return [_with_bytes(entry) for entry in (found.content if found else None) or ()]


def _with_bytes(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a token's entry with its bytes, which clients expect and some providers leave out."""
    tops = [_named(top) for top in entry.get("top_logprobs") or ()]
    return {**_named(entry), "top_logprobs": tops}


def _named(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "bytes": entry.get("bytes") or list(str(entry.get("token", "")).encode())}
