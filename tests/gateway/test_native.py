"""Providers' own batches when something breaks between the two: nothing is asked or paid for twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import Raw

from santral.errors import (
    ProviderRefusedRequest,
    ProviderUnreachable,
    SantralError,
    Unauthenticated,
)
from santral.gateway.batches.batch import Batch, Line, request_id
from santral.gateway.batches.cabinet import Cabinet
from santral.gateway.batches.native import MAX_FAILURES, NativeWork
from santral.gateway.batches.progress import Progress
from santral.providers.batch.deferred import SLOT
from santral.providers.batch.interface import BatchAnswer, BatchCall

LINES = [Line(custom_id=name, url="/v1/chat/completions", body=Raw(b"{}")) for name in "ab"]


def batch() -> Batch:
    return Batch(
        id="batch-" + "a" * 32, tenant_id="acme", key_id="k", endpoint="/v1/chat/completions",
        input_file_id="file-1", completion_window="24h", created_at=0, expires_at=9,
    )  # fmt: skip


class Provider:
    """A provider's batch interface whose connection breaks."""

    max_bytes = 1000

    def __init__(self) -> None:
        self.begun: dict[str, list[str]] = {}
        self.cancelled: list[str] = []
        self.submitting: SantralError | None = None
        self.is_taken = True
        self.is_silent = False

    async def submit(self, calls: Sequence[BatchCall], mark: str) -> str:
        if self.is_taken:
            self.begun[mark] = [call.id for call in calls]
        if self.submitting is not None:
            raise self.submitting
        return mark

    async def find(self, mark: str) -> str:
        return mark if mark in self.begun else ""

    async def is_over(self, reference: str) -> bool:
        if self.is_silent:
            raise ProviderUnreachable("gone")
        return True

    async def answers(self, reference: str) -> dict[str, BatchAnswer]:
        return {name: BatchAnswer(200, b'{"ok": true}') for name in self.begun[reference]}

    async def cancel(self, reference: str) -> None:
        self.cancelled.append(reference)

    async def close(self) -> None:
        return


def holder(*_: Any) -> Any:
    return SimpleNamespace()


def revoked(*_: Any) -> Any:
    raise Unauthenticated("The key was revoked.")


def work(folder: Path, provider: Provider, find_holder: Any = holder) -> Progress:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        slot = SLOT.get()
        assert slot is not None
        await receive()
        body = b"{}"
        if slot.is_collecting:
            slot.collect("https://api.example.com", b"{}")
        else:
            body = await slot.take().read()
        headers = [(b"x-santral-deployment", b"d")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def is_cut_short(_: Batch) -> bool:
        return False

    config = SimpleNamespace(
        deployments={"d": SimpleNamespace(provider="p")},
        batches=SimpleNamespace(native_poll_s=0),
    )
    ring = SimpleNamespace(holder=find_holder)
    current: Any = SimpleNamespace(snapshot=SimpleNamespace(config=config, ring=ring))
    progress = Progress(batch(), len(LINES), [])
    native = NativeWork(
        app, Cabinet(folder), current, lambda _: provider, lambda: 0.0, is_cut_short
    )
    asyncio.run(native.advance(progress, LINES))
    return progress


def test_a_batch_that_began_although_its_answer_was_lost_is_found(tmp_path: Path) -> None:
    provider = Provider()
    provider.submitting = ProviderUnreachable("the connection broke")
    progress = work(tmp_path, provider)
    assert sorted(progress.results) == ["a", "b"], "else both would be asked again"
    assert len(provider.begun) == 1


@pytest.mark.parametrize("error", [ProviderUnreachable("no"), ProviderRefusedRequest("no")])
def test_a_batch_that_never_began_is_left_to_the_queue(tmp_path: Path, error: SantralError) -> None:
    provider = Provider()
    provider.submitting, provider.is_taken = error, False
    progress = work(tmp_path, provider)
    assert progress.results == {}
    assert [native.is_over for native in progress.batch.native] == [True]


def test_a_batch_that_is_given_up_is_ended_at_its_provider(tmp_path: Path) -> None:
    provider = Provider()
    provider.is_silent = True
    progress = work(tmp_path, provider)
    assert progress.results == {}
    assert MAX_FAILURES > 1
    assert provider.cancelled == list(provider.begun), "else it goes on, and is paid for"


def test_a_batch_of_a_revoked_key_fails_and_does_not_stall(tmp_path: Path) -> None:
    provider = Provider()
    progress = work(tmp_path, provider, revoked)
    assert provider.begun == {}
    statuses = {
        name: r.response["status_code"] for name, r in progress.results.items() if r.response
    }
    assert statuses == {"a": 401, "b": 401}
    assert request_id(batch(), LINES[0]) == progress.results["a"].id
