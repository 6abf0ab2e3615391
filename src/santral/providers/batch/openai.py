"""Batches at OpenAI, and at those who take the same files (Groq, Azure).

Source: https://platform.openai.com/docs/guides/batch
"""

from __future__ import annotations

from collections.abc import Sequence

import aiohttp
import msgspec
from msgspec import Raw, Struct

from santral.providers.batch.interface import MAX_BYTES, BatchAnswer, BatchCall, BatchHttp, read_as
from santral.providers.connection import Connection

_OVER = frozenset({"completed", "failed", "expired", "cancelled"})
#: Where our mark stands in a batch's metadata.
_MARK = "santral"


class _Made(Struct, frozen=True):
    id: str


class _Batch(Struct, frozen=True):
    id: str
    status: str
    output_file_id: str | None = None
    error_file_id: str | None = None
    metadata: dict[str, str] | None = None


class _Page(Struct, frozen=True):
    data: list[_Batch]


class _Response(Struct, frozen=True):
    status_code: int
    body: Raw


class _Line(Struct, frozen=True):
    custom_id: str
    response: _Response | None = None


class OpenAIBatches:
    """A file of calls up, a batch over it, a file of answers down."""

    max_bytes = MAX_BYTES

    def __init__(self, connection: Connection) -> None:
        self._base = connection.base_url
        self._http = BatchHttp(connection)

    async def submit(self, calls: Sequence[BatchCall], mark: str) -> str:
        """Begin a batch; see ``ProviderBatches``."""
        endpoint = "/v1" + calls[0].url.removeprefix(self._base).partition("?")[0]
        lines = b"".join(
            msgspec.json.encode(
                {
                    "custom_id": call.id,
                    "method": "POST",
                    "url": endpoint,
                    "body": Raw(call.body),
                }
            )
            + b"\n"
            for call in calls
        )
        form = aiohttp.FormData()
        form.add_field("purpose", "batch")
        form.add_field("file", lines, filename=f"{mark}.jsonl", content_type="application/jsonl")
        file = await self._http.ask(_Made, "POST", f"{self._base}/files", form=form)
        made = await self._http.ask(
            _Made,
            "POST",
            f"{self._base}/batches",
            body={
                "input_file_id": file.id,
                "endpoint": endpoint,
                "completion_window": "24h",
                "metadata": {_MARK: mark},
            },
        )
        return made.id

    async def find(self, mark: str) -> str:
        """Look for a batch by its mark among the latest hundred."""
        page = await self._http.ask(_Page, "GET", f"{self._base}/batches?limit=100")
        found = (batch.id for batch in page.data if (batch.metadata or {}).get(_MARK) == mark)
        return next(found, "")

    async def is_over(self, reference: str) -> bool:
        """Ask how far it is."""
        return (await self._batch(reference)).status in _OVER

    async def answers(self, reference: str) -> dict[str, BatchAnswer]:
        """Read both files."""
        batch = await self._batch(reference)
        found: dict[str, BatchAnswer] = {}
        for name in filter(None, (batch.output_file_id, batch.error_file_id)):
            data = await self._http.bytes("GET", f"{self._base}/files/{name}/content")
            for raw in data.splitlines():
                line = read_as(_Line, raw)
                if line.response is not None:
                    answer = BatchAnswer(line.response.status_code, bytes(line.response.body))
                    found[line.custom_id] = answer
        return found

    async def cancel(self, reference: str) -> None:
        """Ask to end it."""
        await self._http.bytes("POST", f"{self._base}/batches/{reference}/cancel", body={})

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    async def _batch(self, reference: str) -> _Batch:
        return await self._http.ask(_Batch, "GET", f"{self._base}/batches/{reference}")
