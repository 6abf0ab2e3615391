"""Works batches off when there is room: our own queue, behind every interactive request.

One process of an installation holds the lock of the cabinet and runs them. What it finished is on
disk before it counts, so a batch goes on where it stopped, after a restart or a kill.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import Callable
from contextlib import suppress

import msgspec

from santral.config.schema import BatchesConfig
from santral.errors import NotFound, SantralError
from santral.gateway.attendance import Attendance
from santral.gateway.batches.batch import (
    Batch,
    Counts,
    Line,
    LineError,
    Result,
    StoredFile,
    answers_id,
    read_lines,
    request_id,
)
from santral.gateway.batches.cabinet import Cabinet
from santral.gateway.batches.inner import Ask, InnerAnswer, ask_inside
from santral.gateway.batches.native import FindBatches, NativeWork
from santral.gateway.batches.progress import (
    LATER,
    LOOK_EVERY_S,
    Progress,
    is_worth_waiting,
    keep,
    result_of,
)
from santral.gateway.state import Current

log = logging.getLogger(__name__)

#: How often what is over its time is looked for, in seconds. Chosen.
SWEEP_EVERY_S = 3600.0
#: How long to wait while interactive requests go first, and before a busy provider is asked again,
#: in seconds. Chosen.
YIELD_S, BUSY_S, MAX_BUSY_S = 0.1, 1.0, 60.0
_DRAIN_LOOK_S = 0.02


class BatchRunner:
    """Advances every open batch; ``run`` it as one task of the worker."""

    def __init__(
        self,
        app: Ask,
        cabinet: Cabinet,
        current: Current,
        attendance: Attendance,
        wall: Callable[[], float],
    ) -> None:
        #: Looks for the providers' own batches; the composition root sets it, where there are any.
        self.find_batches: FindBatches = lambda _: None
        self._app = app
        self._cabinet = cabinet
        self._current = current
        self._attendance = attendance
        self._wall = wall
        self._running: dict[str, asyncio.Task[None]] = {}
        self._busy = 0  # requests of batches under way
        self._unkept = 0  # lines that were asked for and are not kept yet
        self._draining = asyncio.Event()
        self._swept_at = 0.0
        self._lock_fd: int | None = None
        self._woken = asyncio.Event()

    @property
    def settings(self) -> BatchesConfig:
        return self._current.snapshot.config.batches

    def wake(self) -> None:
        """Look at once: a batch was made or cancelled."""
        self._woken.set()

    def drain(self) -> None:
        """Begin nothing more; another worker goes on as soon as this one lets go."""
        self._draining.set()
        self.wake()

    async def drained(self) -> None:
        """Wait until what was asked for is kept, so that nobody asks for it again."""
        while self._unkept:  # noqa: ASYNC110 - at the end of a process, and bounded by its drain
            await asyncio.sleep(_DRAIN_LOOK_S)

    async def run(self) -> None:
        """Advance batches until cancelled; what is under way then is asked again by the next run."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    if self._draining.is_set():
                        self._let_go()
                    elif self.settings.enabled and self._holds_lock():
                        await self._start(tasks)
                        await self._sweep()
                    self._woken.clear()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._woken.wait(), LOOK_EVERY_S)
        finally:
            self._release()

    def _let_go(self) -> None:
        """Let another worker run batches, once none of ours is under way."""
        if all(task.done() for task in self._running.values()):
            self._release()

    def _release(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    async def _start(self, tasks: asyncio.TaskGroup) -> None:
        self._running = {name: task for name, task in self._running.items() if not task.done()}
        for batch in await asyncio.to_thread(self._cabinet.open_batches):
            if len(self._running) >= self.settings.concurrency:
                return
            if batch.id not in self._running:
                self._running[batch.id] = tasks.create_task(self._advance(batch))

    async def _sweep(self) -> None:
        now = self._wall()
        if now < self._swept_at + SWEEP_EVERY_S:
            return
        self._swept_at = now
        before = now - self.settings.keep_days * 86_400
        removed = await asyncio.to_thread(self._cabinet.sweep, before)
        if removed:
            log.info("files_expired", extra={"count": removed})

    async def _advance(self, batch: Batch) -> None:
        try:
            await self._work_off(batch)
        except SantralError as error:  # the disk is full, say: the batch is tried again later
            log.warning("batch_stalled", extra={"batch": batch.id, "reason": error.message})
            await asyncio.sleep(MAX_BUSY_S)
        except Exception:  # one broken batch must not stop the others
            log.exception("batch_stalled", extra={"batch": batch.id})
            await asyncio.sleep(MAX_BUSY_S)

    async def _work_off(self, batch: Batch) -> None:
        lines, errors = await asyncio.to_thread(self._read, batch)
        if errors:
            await self._save(batch.moved("failed", self._now(), errors=errors))
            return
        results = await asyncio.to_thread(self._cabinet.results, batch)
        progress = Progress(batch, len(lines), results)
        progress.batch = batch.moved("in_progress", batch.in_progress_at or self._now())
        await self._save(progress.counted())
        if self.settings.native:
            await self._native(progress, lines)
        await self._ask_all(progress, [x for x in lines if x.custom_id not in progress.results])
        if self._draining.is_set() and len(progress.results) < len(lines):
            return  # the next runner goes on from here
        await self._finish(progress, lines)

    async def _native(self, progress: Progress, lines: list[Line]) -> None:
        work = NativeWork(
            self._app,
            self._cabinet,
            self._current,
            self.find_batches,
            self._wall,
            self._is_cut_short,
        )
        await work.advance(progress, lines)

    def _read(self, batch: Batch) -> tuple[list[Line], list[LineError]]:
        try:
            data = self._cabinet.content(batch.tenant_id, batch.input_file_id)
        except NotFound as error:
            return [], [LineError(code="file_not_found", message=error.message)]
        return read_lines(data, batch.endpoint, self.settings.max_lines)

    async def _ask_all(self, progress: Progress, left: list[Line]) -> None:
        """Ask for every line that is left, a few at a time."""
        queue = iter(left)

        async def work() -> None:
            for line in queue:
                if self._draining.is_set() or await self._is_cut_short(progress.batch):
                    return
                self._unkept += 1
                try:
                    result = await self._ask(progress.batch, line)
                    if result is None:
                        return
                    await keep(self._cabinet, progress, result, self._wall)
                finally:
                    self._unkept -= 1

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(self.settings.concurrency, len(left))):
                workers.create_task(work())

    async def _ask(self, batch: Batch, line: Line) -> Result | None:
        """Return what became of one request; None when time or the tenant ended the batch."""
        wait_s = BUSY_S
        while True:
            await self._yield_to_others()
            answer = await self._ask_once(batch, line)
            if answer.status not in LATER or not is_worth_waiting(answer):
                return result_of(batch, line, answer)
            if self._draining.is_set():
                return None
            hint = float(answer.headers.get("retry-after", 0) or 0)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._draining.wait(), min(max(wait_s, hint), MAX_BUSY_S))
            wait_s = min(wait_s * 2, MAX_BUSY_S)
            if self._draining.is_set() or await self._is_cut_short(batch):
                return None

    async def _ask_once(self, batch: Batch, line: Line) -> InnerAnswer:
        self._busy += 1
        try:
            ring = self._current.snapshot.ring
            return await ask_inside(self._app, ring, self._wall(), batch, line)
        finally:
            self._busy -= 1

    async def _yield_to_others(self) -> None:
        while True:
            is_free = len(self._attendance) - self._busy <= self.settings.yield_above
            if is_free or self._draining.is_set():
                return
            await asyncio.sleep(YIELD_S)

    async def _is_cut_short(self, batch: Batch) -> bool:
        if self._wall() >= batch.expires_at:
            return True
        return await asyncio.to_thread(self._cabinet.is_cancelled, batch)

    async def _finish(self, progress: Progress, lines: list[Line]) -> None:
        """Write the output files and end the batch; done again after a crash, it does the same."""
        batch, now = progress.batch, self._now()
        left = [line for line in lines if line.custom_id not in progress.results]
        is_cancelled = bool(left) and await asyncio.to_thread(self._cabinet.is_cancelled, batch)
        batch = batch.moved("finalizing", now)
        await self._save(batch)
        results = list(progress.results.values())
        if left and not is_cancelled:
            results += [_expired(batch, line) for line in left]
        good = [result for result in results if result.is_success]
        bad = [result for result in results if not result.is_success]
        output = await self._put(batch, "output", good)
        errors = await self._put(batch, "error", bad)
        end = "completed" if not left else "cancelled" if is_cancelled else "expired"
        counts = Counts(total=len(lines), completed=len(good), failed=len(bad))
        await self._save(
            batch.moved(end, now, output_file_id=output, error_file_id=errors, counts=counts)
        )
        log.info("batch_ended", extra={"batch": batch.id, "status": end, "failed": len(bad)})

    async def _put(self, batch: Batch, kind: str, results: list[Result]) -> str:
        if not results:
            return ""
        data = b"".join(msgspec.json.encode(result) + b"\n" for result in results)
        name = answers_id(batch.id, kind)
        file = StoredFile(
            id=name,
            filename=f"{batch.id}_{kind}.jsonl",
            purpose="batch_output",
            bytes=len(data),
            created_at=self._now(),
            groups=self._groups(batch),
            is_of_named_groups=batch.is_of_named_groups,
        )
        await asyncio.to_thread(self._cabinet.put_file, batch.tenant_id, file, data)
        return name

    def _groups(self, batch: Batch) -> list[str]:
        """Return whose documents the answers may rest on: the key's groups of then and of now."""
        groups = set(batch.groups)
        with suppress(SantralError):  # the key is gone by now
            groups |= self._current.snapshot.ring.holder(batch.key_id, self._wall()).key.held_groups
        return sorted(groups)

    async def _save(self, batch: Batch) -> None:
        await asyncio.to_thread(self._cabinet.put_batch, batch)

    def _now(self) -> int:
        return int(self._wall())

    def _holds_lock(self) -> bool:
        """Whether this process is the one that runs batches; a process that dies lets go."""
        if self._lock_fd is not None:
            return True
        self._cabinet.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._cabinet.root / ".batches.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return False
        self._lock_fd = fd
        return True


def _expired(batch: Batch, line: Line) -> Result:
    error = {
        "code": "batch_expired",
        "message": "This request could not be answered before the completion window ended.",
    }
    return Result(id=request_id(batch, line), custom_id=line.custom_id, error=error)
