"""Batches at Google's Gemini API, with their requests inline.

Source: https://ai.google.dev/api/batch-api
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from santral.providers.batch.interface import BatchAnswer, BatchCall, BatchHttp
from santral.providers.connection import Connection

_OVER = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"})


class _Metadata(Struct, frozen=True):
    key: str = ""


class _Error(Struct, frozen=True):
    code: int = 13
    message: str = ""


class _Inlined(Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    response: Raw = Raw(b"null")
    error: _Error | None = None


class _Answers(Struct, frozen=True, rename="camel"):
    inlined_responses: list[_Inlined] = []


class _Output(Struct, frozen=True, rename="camel"):
    inlined_responses: _Answers = _Answers()


class _State(Struct, frozen=True, rename="camel"):
    state: str = ""
    display_name: str = ""
    output: _Output | None = None


class _Batch(Struct, frozen=True):
    """A batch comes as a long-running operation, whose state is its metadata."""

    name: str
    done: bool = False
    metadata: _State = _State()
    response: _Output | None = None


class _Page(Struct, frozen=True):
    operations: list[_Batch] = []


class GeminiBatches:
    """One call begins a batch; its answers come with its state."""

    #: Requests inline are 20 MB at most; some room for what is around them.
    max_bytes = 18 * 1024 * 1024

    def __init__(self, connection: Connection) -> None:
        self._base = connection.base_url
        self._http = BatchHttp(connection)

    async def submit(self, calls: Sequence[BatchCall], mark: str) -> str:
        """Begin a batch; see ``ProviderBatches``."""
        url = calls[0].url.partition(":generateContent")[0] + ":batchGenerateContent"
        requests = [{"request": Raw(call.body), "metadata": {"key": call.id}} for call in calls]
        batch = {"displayName": mark, "inputConfig": {"requests": {"requests": requests}}}
        made = await self._http.ask(_Batch, "POST", url, body={"batch": batch})
        return made.name

    async def find(self, mark: str) -> str:
        """Look for a batch by its display name among the latest hundred."""
        page = await self._http.ask(_Page, "GET", f"{self._base}/batches?pageSize=100")
        found = (batch.name for batch in page.operations if batch.metadata.display_name == mark)
        return next(found, "")

    async def is_over(self, reference: str) -> bool:
        """Ask how far it is."""
        batch = await self._batch(reference)
        return batch.done or batch.metadata.state.rpartition("STATE_")[2] in _OVER

    async def answers(self, reference: str) -> dict[str, BatchAnswer]:
        """Read the answers, which stand in the batch."""
        batch = await self._batch(reference)
        output = batch.response or batch.metadata.output or _Output()
        inlined = output.inlined_responses.inlined_responses
        return {entry.metadata.key: _answer(entry) for entry in inlined if entry.metadata.key}

    async def cancel(self, reference: str) -> None:
        """Ask to end it."""
        await self._http.bytes("POST", f"{self._base}/{reference}:cancel", body={})

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    async def _batch(self, reference: str) -> _Batch:
        return await self._http.ask(_Batch, "GET", f"{self._base}/{reference}")


#: HTTP status of a Google RPC code. Source: google.rpc.Code.
_STATUS = {3: 400, 5: 404, 7: 403, 8: 429, 9: 400, 16: 401}


def _answer(entry: _Inlined) -> BatchAnswer:
    if entry.error is None and bytes(entry.response) != b"null":
        return BatchAnswer(200, bytes(entry.response))
    error = entry.error or _Error(message="The batch holds no answer.")
    status = _STATUS.get(error.code, 500)
    body = {"error": {"code": status, "message": error.message}}
    return BatchAnswer(status, msgspec.json.encode(body))
