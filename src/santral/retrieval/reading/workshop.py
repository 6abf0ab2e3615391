"""The workshop: documents are read and split in child processes, so that a bad one costs a child.

Other people's files are read by parsers that were written for good ones. A bomb, a crash or a file
without an end ends in one quarantined document; the process that asked goes on, and its event loop
is never held up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from types import TracebackType
from typing import Any, cast

import msgspec

from santral.errors import StoreError
from santral.retrieval.collection import Recipe
from santral.retrieval.document import Chunk, Document, UnreadableError
from santral.retrieval.reading.file import ReadOptions
from santral.retrieval.reading.task import HEADER_BYTES, Limits, ReadTask, Reply, SplitTask

_MIB = 1024 * 1024
#: How long a new child may take until it is ready: it loads numpy and the parsers. Chosen.
_START_S = 60.0
_task_encoder = msgspec.msgpack.Encoder()
_replies = msgspec.msgpack.Decoder(Reply)
_documents = msgspec.msgpack.Decoder(Document)
_chunks = msgspec.msgpack.Decoder(list[Chunk])


class Workshop:
    """Reads and splits documents in up to ``children`` processes, started when they are needed.

    A child is replaced after a crash and after ``limits.files`` files. More callers than children
    wait their turn. Belongs to one event loop; use it as a context manager, or close it: then no
    process is left. A caller that is cancelled takes the child with it that worked for him.
    """

    def __init__(self, children: int = 1, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        self._limits = limits
        self._free: list[_Child] = []
        self._busy: set[_Child] = set()
        self._turn = asyncio.Semaphore(children)
        self._is_closed = False

    async def __aenter__(self) -> Workshop:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def read(
        self,
        name: str,
        content: bytes,
        media_type: str = "",
        options: ReadOptions | None = None,
    ) -> Document:
        """Return the document that some bytes hold; ``name`` ends as a file of its format does.

        Raises:
            UnreadableError: they hold none, or reading them took too much time or memory, or ended
                the child.
            StoreError: the ``rag`` extra is not installed, or no child can be started.
        """
        task = ReadTask(name, media_type, options or ReadOptions(), len(content))
        wall_s = self._limits.ocr_s if task.options.ocr else self._limits.read_s
        return _documents.decode(await self._done(task, content, wall_s))

    async def split(self, document: Document, recipe: Recipe) -> list[Chunk]:
        """Return the chunks of a document, in reading order.

        Raises:
            UnreadableError: splitting it took too much time or memory.
            BadRequest: the recipe names a chunking that there is not.
        """
        body = _task_encoder.encode(document)
        return _chunks.decode(
            await self._done(SplitTask(recipe, len(body)), body, self._limits.read_s)
        )

    async def close(self) -> None:
        """End all children; what is under way fails."""
        self._is_closed = True
        for child in [*self._free, *self._busy]:
            await child.end()
        self._free.clear()

    async def _done(self, task: ReadTask | SplitTask, content: bytes, wall_s: float) -> bytes:
        async with self._turn:
            child = await self._child()
            self._busy.add(child)
            is_sound = False
            try:
                result = await child.ask(task, content, wall_s)
                is_sound = True
            except _Refused as refused:
                is_sound = True
                raise refused.error from None
            finally:
                self._busy.discard(child)
                if is_sound and child.done < self._limits.files and not self._is_closed:
                    self._free.append(child)
                else:
                    await child.end()
            return result

    async def _child(self) -> _Child:
        if self._is_closed:
            raise StoreError("The workshop is closed: nothing is read any more.")
        while self._free:
            child = self._free.pop()
            if child.is_running:
                return child
            await child.end()
        return await _Child.start(self._limits)


class _Refused(Exception):
    """The child works, and said no."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class _Child:
    """One process that reads; it leads a process group, so that what it starts ends with it."""

    def __init__(self, process: asyncio.subprocess.Process, limits: Limits) -> None:
        self._process = process
        self._stdin = cast("asyncio.StreamWriter", process.stdin)
        self._stdout = cast("asyncio.StreamReader", process.stdout)
        self._limits = limits
        self.done = 0

    @classmethod
    async def start(cls, limits: Limits) -> _Child:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "santral.retrieval.reading.child",
                msgspec.json.encode(limits).decode(),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL, start_new_session=True, limit=_MIB,
                env=_environment(),
            )  # fmt: skip
        except OSError as error:
            raise StoreError(f"No process can be started to read documents: {error}.") from None
        child = cls(process, limits)
        try:
            await asyncio.wait_for(child.answer(), _START_S)
        except (TimeoutError, EOFError, OSError):
            await child.end()
            raise StoreError(
                "The process that reads documents does not start. Is there memory left?"
            ) from None
        except BaseException:
            await child.end()
            raise
        return child

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    async def ask(self, task: ReadTask | SplitTask, content: bytes, wall_s: float) -> bytes:
        """Return the result of a task, or raise what kept the child from it."""
        self.done += 1
        try:
            async with asyncio.timeout(wall_s):
                await self._send(_task_encoder.encode(task), content)
                reply, result = await self.answer()
        except TimeoutError:
            raise UnreadableError(f"reading it took longer than {wall_s:.0f} s") from None
        except (EOFError, OSError):
            raise UnreadableError(await self._end_reason()) from None
        if reply.error is not None and reply.error.kind == "memory":
            raise reply.error.raised()  # what is left of the child's memory is in pieces
        if reply.error is not None:
            raise _Refused(reply.error.raised())
        return result

    async def answer(self) -> tuple[Reply, bytes]:
        """Return the next reply of the child, and the bytes behind it."""
        stdout = self._stdout
        size = int.from_bytes(await stdout.readexactly(HEADER_BYTES), "little")
        reply = _replies.decode(await stdout.readexactly(size))
        if reply.size_bytes > self._limits.result_bytes:
            raise EOFError
        return reply, await stdout.readexactly(reply.size_bytes)

    async def end(self) -> None:
        """Kill the process and what it started, and wait until it is gone."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        # A cancelled caller waits for this too: a killed process is gone in a moment.
        await asyncio.shield(self._process.wait())
        transport: Any = getattr(self._process, "_transport", None)
        if transport is not None:
            transport.close()

    async def _send(self, head: bytes, content: bytes) -> None:
        stdin = self._stdin
        stdin.write(len(head).to_bytes(HEADER_BYTES, "little") + head)
        for start in range(0, len(content), _MIB):
            stdin.write(content[start : start + _MIB])
            await stdin.drain()
        await stdin.drain()

    async def _end_reason(self) -> str:
        """Say of a child that went why it did."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), 5.0)
        status = self._process.returncode
        if status == -signal.SIGXCPU:
            return f"reading it took more than {self._limits.cpu_s} s of work"
        if status is not None and status < 0:
            name = signal.Signals(-status).name
            return f"reading it ended the reader ({name}): it is damaged, or made to do that"
        return "reading it ended the reader: it is damaged, or made to do that"


def _environment() -> dict[str, str]:
    """Return what a child may know: nothing of our secrets, and what programs need to run."""
    kept = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TESSDATA_PREFIX", "PYTHONPATH", "LD_LIBRARY_PATH")
    known = {name: os.environ[name] for name in kept if name in os.environ}
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1"}
    return {**known, **threads, "PYTHONDONTWRITEBYTECODE": "1"}
