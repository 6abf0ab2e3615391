"""How far a batch is, and what became of its requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from santral.errors import ModelNotFound, ProviderRefusedKey
from santral.gateway.batches.batch import Batch, Counts, Line, Result, request_id
from santral.gateway.batches.cabinet import Cabinet
from santral.gateway.batches.inner import InnerAnswer

#: How often the cabinet is looked through for batches, in seconds. Chosen.
LOOK_EVERY_S = 1.0
#: Answers after which the same request may succeed later: rate limits, overload, providers down.
LATER = frozenset({408, 429, 502, 503, 504, 529})
#: What an operator mends: an SDK is told not to ask again, a batch has hours to wait for it.
_MENDED = frozenset({ProviderRefusedKey.code, ModelNotFound.code})


class Progress:
    """How far a batch is: results by custom id, in the order they came."""

    def __init__(self, batch: Batch, total: int, results: list[Result]) -> None:
        self.batch = batch
        self.results: dict[str, Result] = {}
        self._total = total
        self._completed = 0
        self._saved_at = 0.0
        for result in results:
            self.add(result)

    def add(self, result: Result) -> None:
        self.results[result.custom_id] = result
        self._completed += result.is_success

    def is_due(self, now: float) -> bool:
        """Whether people should see how far it is: once a second is enough."""
        if now - self._saved_at < LOOK_EVERY_S:
            return False
        self._saved_at = now
        return True

    def counted(self) -> Batch:
        failed = len(self.results) - self._completed
        counts = Counts(total=self._total, completed=self._completed, failed=failed)
        self.batch = msgspec.structs.replace(self.batch, counts=counts)
        return self.batch


async def keep(
    cabinet: Cabinet, progress: Progress, result: Result, wall: Callable[[], float]
) -> None:
    """Keep what became of one request, durably; then it counts."""
    await asyncio.to_thread(cabinet.add_results, progress.batch, [result])
    progress.add(result)
    if progress.is_due(wall()):
        await asyncio.to_thread(cabinet.put_batch, progress.counted())


def result_of(batch: Batch, line: Line, answer: InnerAnswer) -> Result:
    """Return what became of one request as a line of an output file."""
    try:  # on one line, whatever the provider's bytes look like
        body: Any = msgspec.Raw(msgspec.json.format(answer.body, indent=-1))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = answer.body.decode(errors="replace")
    name = request_id(batch, line)
    response = {"status_code": answer.status, "request_id": name, "body": body}
    return Result(id=name, custom_id=line.custom_id, response=response)


def is_worth_waiting(answer: InnerAnswer) -> bool:
    """Return False for a spent budget or a refused answer: it is the same a minute later."""
    return answer.headers.get("x-should-retry") != "false" or _code_of(answer.body) in _MENDED


class _Error(Struct, frozen=True):
    code: str | None = None


class _Failure(Struct, frozen=True):
    error: _Error = _Error()


_failure = msgspec.json.Decoder(_Failure)


def _code_of(body: bytes) -> str | None:
    try:
        return _failure.decode(body).error.code
    except msgspec.DecodeError:
        return None
