"""Message batches at Anthropic.

Source: https://platform.claude.com/docs/en/api/creating-message-batches
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw, Struct

from santral.providers.batch.interface import (
    MAX_BYTES,
    UNANSWERED,
    BatchAnswer,
    BatchCall,
    BatchHttp,
    read_as,
)
from santral.providers.connection import Connection

#: Status of an answer by the type of its error. Source: Anthropic's reference, errors.
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}


class _Batch(Struct, frozen=True):
    id: str
    processing_status: str


class _Kind(Struct, frozen=True):
    type: str = ""


class _Error(Struct, frozen=True):
    error: _Kind | None = None


class _Result(Struct, frozen=True):
    type: str
    message: Raw = Raw(b"null")
    error: Raw = Raw(b"null")


class _Line(Struct, frozen=True):
    custom_id: str
    result: _Result


class AnthropicBatches:
    """One call begins a batch, with every request in it."""

    max_bytes = MAX_BYTES

    def __init__(self, connection: Connection) -> None:
        self._base = f"{connection.base_url}/messages/batches"
        self._http = BatchHttp(connection)

    async def submit(self, calls: Sequence[BatchCall], mark: str) -> str:
        """Begin a batch; see ``ProviderBatches``."""
        requests = [{"custom_id": call.id, "params": Raw(call.body)} for call in calls]
        made = await self._http.ask(_Batch, "POST", self._base, body={"requests": requests})
        return made.id

    async def find(self, mark: str) -> str:
        """Return nothing: Anthropic's batches carry no mark."""
        return ""

    async def is_over(self, reference: str) -> bool:
        """Ask how far it is."""
        batch = await self._http.ask(_Batch, "GET", f"{self._base}/{reference}")
        return batch.processing_status == "ended"

    async def answers(self, reference: str) -> dict[str, BatchAnswer]:
        """Read the lines of results."""
        data = await self._http.bytes("GET", f"{self._base}/{reference}/results")
        lines = [read_as(_Line, line) for line in data.splitlines() if line.strip()]
        return {line.custom_id: _answer(line.result) for line in lines}

    async def cancel(self, reference: str) -> None:
        """Ask to end it."""
        await self._http.bytes("POST", f"{self._base}/{reference}/cancel", body={})

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()


def _answer(result: _Result) -> BatchAnswer:
    if result.type == "succeeded":
        return BatchAnswer(200, bytes(result.message))
    if result.type == "errored":
        error = read_as(_Error, bytes(result.error)).error or _Kind()
        return BatchAnswer(_STATUS.get(error.type, 500), bytes(result.error))
    return UNANSWERED  # canceled or expired
