"""Batches of providers: what would be sent one by one goes up at once, at half the price.

Every request goes through the path twice. The first time it is guarded and composed, and stops where
it would be sent: its bytes go into the provider's batch. The second time the provider's answer waits
there, and goes out through the same checks, traces and ledger as any other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from santral.errors import (
    ProviderFailed,
    ProviderGarbled,
    ProviderTimeout,
    ProviderUnreachable,
    SantralError,
)
from santral.gateway.batches.batch import Batch, Line, Native, Result, request_id
from santral.gateway.batches.cabinet import Cabinet
from santral.gateway.batches.inner import Ask, InnerAnswer, ask_inside
from santral.gateway.batches.progress import LATER, Progress, keep, result_of
from santral.gateway.state import Current
from santral.providers.batch.deferred import SLOT, Slot
from santral.providers.batch.interface import BatchAnswer, BatchCall, ProviderBatches

log = logging.getLogger(__name__)

#: Looks for the batch interface of a provider, by its name in the configuration.
FindBatches = Callable[[str], ProviderBatches | None]
#: How long a provider's batch may fail to answer our questions before it is given up, in looks. Chosen.
MAX_FAILURES = 20


class NativeWork:
    """Advances the parts of a batch that providers answer in batches of their own."""

    def __init__(
        self,
        app: Ask,
        cabinet: Cabinet,
        current: Current,
        find: FindBatches,
        wall: Callable[[], float],
        is_cut_short: Callable[[Batch], Awaitable[bool]],
    ) -> None:
        self._app = app
        self._cabinet = cabinet
        self._current = current
        self._find = find
        self._wall = wall
        self._is_cut_short = is_cut_short

    async def advance(self, progress: Progress, lines: list[Line]) -> None:
        """Answer what a provider's batch can answer; what is left is for the queue."""
        batch = progress.batch
        if not batch.native:  # begun before: what was not in it then goes the other way now
            await self._submit(progress, await self._collect(progress, lines))
        for native in progress.batch.native:
            await self._await(progress, native, lines)

    async def _collect(
        self, progress: Progress, lines: list[Line]
    ) -> dict[tuple[str, str], list[BatchCall]]:
        """Return what would be sent, by deployment and address; answers that need no provider stand."""
        groups: dict[tuple[str, str], list[BatchCall]] = {}
        for line in lines:
            if line.custom_id in progress.results:
                continue
            slot = Slot()
            answer = await self._ask(progress.batch, line, slot)
            if slot.url:
                deployment = answer.headers.get("x-santral-deployment", "")
                if self._interface(deployment) is not None:
                    call = BatchCall(
                        id=request_id(progress.batch, line), url=slot.url, body=slot.body
                    )
                    groups.setdefault((deployment, slot.url), []).append(call)
            elif answer.status not in LATER:
                await self._keep(progress, result_of(progress.batch, line, answer))
        return groups

    async def _submit(
        self, progress: Progress, groups: dict[tuple[str, str], list[BatchCall]]
    ) -> None:
        for (deployment, _), calls in groups.items():
            batches = self._interface(deployment)
            if batches is None:
                continue
            for part in _parts(calls, batches.max_bytes):
                number = len(progress.batch.native)
                mark = f"{progress.batch.id}-{number}"
                # First noted, then sent: after a crash between the two it is looked for by its mark.
                await self._note(progress, number, Native(deployment=deployment, reference=""))
                reference = await _submitted(batches, part, mark)
                await self._note(
                    progress,
                    number,
                    Native(deployment=deployment, reference=reference, is_over=not reference),
                )

    async def _await(self, progress: Progress, native: Native, lines: list[Line]) -> None:
        batches = self._interface(native.deployment)
        number = progress.batch.native.index(native)
        if native.is_over or batches is None:
            return
        reference = native.reference or await batches.find(f"{progress.batch.id}-{number}")
        answers = await self._answers(progress.batch, batches, reference) if reference else {}
        for line in lines:
            found = answers.get(request_id(progress.batch, line))
            if found is None or found.status in LATER or line.custom_id in progress.results:
                continue
            await self._deliver(progress, line, found, native.deployment)
        await self._note(
            progress,
            number,
            Native(deployment=native.deployment, reference=reference, is_over=True),
        )

    async def _answers(
        self, batch: Batch, batches: ProviderBatches, reference: str
    ) -> dict[str, BatchAnswer]:
        """Wait for the provider, and return what it answered; nothing where it cannot be asked."""
        poll_s = self._current.snapshot.config.batches.native_poll_s
        failures, is_cancelled = 0, False
        while True:
            try:
                if await batches.is_over(reference):
                    return await batches.answers(reference)
                if not is_cancelled and await self._is_cut_short(batch):
                    is_cancelled = True
                    await batches.cancel(reference)
                failures = 0
            except SantralError as error:
                failures += 1
                log.warning("native_batch_silent", extra={"reason": error.message})
                if failures >= MAX_FAILURES:
                    await _cancelled(batches, reference)
                    return {}
            await asyncio.sleep(poll_s)

    async def _deliver(
        self, progress: Progress, line: Line, found: BatchAnswer, deployment: str
    ) -> None:
        slot = Slot(found.status, found.body)
        answer = await self._ask(progress.batch, line, slot, deployment)
        if answer.status not in LATER:
            await self._keep(progress, result_of(progress.batch, line, answer))

    async def _ask(self, batch: Batch, line: Line, slot: Slot, deployment: str = "") -> InnerAnswer:
        ring = self._current.snapshot.ring
        token = SLOT.set(slot)
        try:
            return await ask_inside(
                self._app, ring, self._wall(), batch, line, deployment=deployment
            )
        finally:
            SLOT.reset(token)

    def _interface(self, deployment: str) -> ProviderBatches | None:
        config = self._current.snapshot.config.deployments.get(deployment)
        return None if config is None else self._find(config.provider)

    async def _keep(self, progress: Progress, result: Result) -> None:
        await keep(self._cabinet, progress, result, self._wall)

    async def _note(self, progress: Progress, number: int, native: Native) -> None:
        noted = [*progress.batch.native]
        noted[number : number + 1] = [native]
        progress.batch = msgspec.structs.replace(progress.batch, native=noted)
        await asyncio.to_thread(self._cabinet.put_batch, progress.counted())


async def _submitted(batches: ProviderBatches, part: list[BatchCall], mark: str) -> str:
    """Begin a provider's batch; nothing where there is none. One that began although its answer was
    lost is found by its mark: else its calls would be made, and paid for, twice."""
    try:
        return await batches.submit(part, mark)
    except SantralError as error:
        log.warning("native_batch_refused", extra={"reason": error.message})
        if not isinstance(error, UNCERTAIN):
            return ""
    return await batches.find(mark)


#: After these nobody knows whether the provider took the batch.
UNCERTAIN = (ProviderUnreachable, ProviderTimeout, ProviderGarbled, ProviderFailed)


async def _cancelled(batches: ProviderBatches, reference: str) -> None:
    """End a batch that is given up: what it holds is asked for in another way."""
    try:
        await batches.cancel(reference)
    except SantralError as error:
        log.error("native_batch_lost", extra={"reason": error.message, "reference": reference})


def _parts(calls: list[BatchCall], max_bytes: int) -> list[list[BatchCall]]:
    """Return the calls in parts that a provider takes."""
    parts: list[list[BatchCall]] = [[]]
    size = 0
    for call in calls:
        if parts[-1] and size + len(call.body) > max_bytes:
            parts.append([])
            size = 0
        parts[-1].append(call)
        size += len(call.body) + 200  # its id and address around it
    return parts
