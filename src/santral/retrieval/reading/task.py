"""What a workshop and its children say to each other: frames of MessagePack over two pipes.

Towards the child: the length of the task, the task, its bytes. Back: the length of the reply, the
reply, its bytes. The first reply says that the child is ready.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from santral.errors import BadRequest, StoreError
from santral.retrieval.collection import Recipe
from santral.retrieval.document import UnreadableError
from santral.retrieval.reading.file import ReadOptions

HEADER_BYTES = 4


class Limits(Struct, frozen=True, kw_only=True):
    """What reading one document may cost.

    Chosen: a book of a thousand pages takes ten seconds and 300 MB; ten times that is an attack.
    ``result_bytes`` bounds what comes back, ``files`` is after how many a child is replaced: parsers
    leak.
    """

    memory_bytes: int = 2 * 1024 * 1024 * 1024
    cpu_s: int = 60
    read_s: float = 120.0
    ocr_s: float = 1800.0
    result_bytes: int = 256 * 1024 * 1024
    files: int = 500


class ReadTask(Struct, frozen=True, tag="read"):
    """Read the bytes that follow."""

    name: str
    media_type: str
    options: ReadOptions
    size_bytes: int


class SplitTask(Struct, frozen=True, tag="split"):
    """Split the document that follows."""

    recipe: Recipe
    size_bytes: int


class Refusal(Struct, frozen=True):
    """Why there is no result."""

    kind: Literal["unreadable", "memory", "missing", "bad_recipe"]
    message: str

    def raised(self) -> Exception:
        """Return the error that the caller gets."""
        if self.kind in ("unreadable", "memory"):
            return UnreadableError(self.message)
        if self.kind == "missing":
            return StoreError(self.message, code="extra_missing")
        return BadRequest(self.message, code="bad_setting")


class Reply(Struct, frozen=True):
    """What became of a task; a result of this many bytes follows."""

    size_bytes: int = 0
    error: Refusal | None = None
