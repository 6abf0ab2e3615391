"""The child of a workshop: reads and splits what it is given, within limits, until its input ends."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import sys
from typing import BinaryIO

import msgspec

from santral.errors import BadRequest, StoreError
from santral.retrieval.document import Document, UnreadableError
from santral.retrieval.reading.read import read_document
from santral.retrieval.reading.task import (
    HEADER_BYTES,
    Limits,
    ReadTask,
    Refusal,
    Reply,
    SplitTask,
)
from santral.retrieval.splitting.registry import split

_encoder = msgspec.msgpack.Encoder()
_tasks = msgspec.msgpack.Decoder(ReadTask | SplitTask)
_documents = msgspec.msgpack.Decoder(Document)


def main(limits: Limits) -> None:
    """Answer tasks on the standard streams; whoever writes to them otherwise writes to nowhere."""
    tasks, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "r+b", buffering=0) as nowhere:
        for number in (0, 1, 2):
            os.dup2(nowhere.fileno(), number)
    _restrict(limits)
    gc.freeze()
    _send(replies, Reply(), b"")
    while header := tasks.read(HEADER_BYTES):
        task = _tasks.decode(tasks.read(int.from_bytes(header, "little")))
        content = tasks.read(task.size_bytes)
        _allow_work(limits)
        _send(replies, *_done(task, content, limits))


def _done(task: ReadTask | SplitTask, content: bytes, limits: Limits) -> tuple[Reply, bytes]:
    try:
        if isinstance(task, ReadTask):
            found = read_document(task.name, content, task.media_type, task.options)
            result = _encoder.encode(found)
        else:
            result = _encoder.encode(split(_documents.decode(content), task.recipe))
    except UnreadableError as error:
        return Reply(error=Refusal("unreadable", str(error))), b""
    except StoreError as error:
        return Reply(error=Refusal("missing", error.message)), b""
    except BadRequest as error:
        return Reply(error=Refusal("bad_recipe", error.message)), b""
    except MemoryError:
        return Reply(error=Refusal("memory", "reading it takes too much memory")), b""
    if len(result) > limits.result_bytes:
        return Reply(error=Refusal("unreadable", "there is too much text in it")), b""
    return Reply(len(result)), result


def _send(replies: BinaryIO, reply: Reply, result: bytes) -> None:
    head = _encoder.encode(reply)
    replies.write(len(head).to_bytes(HEADER_BYTES, "little") + head + result)
    replies.flush()


def _restrict(limits: Limits) -> None:
    """Take from this process what no reader needs: memory without end, files, core dumps."""
    for kind, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        with contextlib.suppress(ValueError, OSError):  # the operator's own limit is lower
            resource.setrlimit(kind, (most, most))


def _allow_work(limits: Limits) -> None:
    """Give the next task its seconds of work; the kernel ends the process that takes more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + limits.cpu_s + 1
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (until, most))


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Limits))
