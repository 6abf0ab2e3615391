"""Reading: a file becomes a document, or a reason why it does not."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from santral.errors import StoreError
from santral.retrieval.analysis.language import detect_language
from santral.retrieval.document import Block, Document, UnreadableError
from santral.retrieval.reading.file import Contents, File, ReadOptions
from santral.retrieval.reading.registry import FORMATS, kind_of

#: Largest file that is read. Chosen: a book of a thousand pages with pictures.
MAX_FILE_BYTES = 50 * 1024 * 1024

#: Longest text of a document, in characters. Chosen: twenty long novels; beyond it, it is data.
MAX_TEXT = 20_000_000

#: Blocks of a document at most. Chosen: a table of as many rows has a database that is meant for it.
MAX_BLOCKS = 500_000

_CHARSET = re.compile(r"charset=[\"']?([-\w:.]+)", re.IGNORECASE)
_UNSEEN = re.compile("[\ud800-\udfff\0]")


def read_bytes(path: Path, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        UnreadableError: too large, empty, not a regular file (a pipe or device has no end), or refused
            by the system.
    """
    try:
        # The kind is checked before opening: opening a pipe waits for its writer.
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("it is not a regular file")
        if status.st_size > max_bytes:
            raise UnreadableError(f"it is larger than {max_bytes:,} bytes")
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise UnreadableError(f"it cannot be read: {error.strerror or error}") from None
    if len(content) > max_bytes:
        raise UnreadableError(f"it is larger than {max_bytes:,} bytes")
    if not content.strip():
        raise UnreadableError("it is empty")
    return content


def read_document(
    name: str, content: bytes, media_type: str = "", options: ReadOptions | None = None
) -> Document:
    """Return the document that some bytes hold. A ``Workshop`` does this where it can do no harm.

    Raises:
        UnreadableError: there is no text in it, it is damaged or encrypted, of no format that is read,
            or its name says another one than its bytes.
        StoreError: the ``rag`` extra is not installed.
    """
    if not content.strip():
        raise UnreadableError("it is empty")
    kind = kind_of(name, content, media_type)
    if kind is None:
        raise UnreadableError(f"it is none of the formats that are read: {', '.join(FORMATS)}")
    charset = _CHARSET.search(media_type)
    file = File(name, content, kind, charset[1] if charset else "", options or ReadOptions())
    found = _contents(file)
    blocks = tuple(_cleaned(found.blocks))
    _require_text(blocks)
    heading = next((block.text for block in blocks if block.kind == "heading"), "")
    stem = name.rpartition("/")[2].removesuffix(file.suffix) or name
    return Document(
        title=" ".join(_UNSEEN.sub("", found.title or heading or stem).split())[:300],
        kind=kind,
        language=detect_language(" ".join(block.text[:4000] for block in blocks[:60])),
        blocks=blocks,
        author=_UNSEEN.sub("", found.author)[:300],
        created_at=found.created_at,
        modified_at=found.modified_at,
        url=found.url,
        attributes=found.attributes,
        front_matter=found.front_matter,
    )


def _contents(file: File) -> Contents:
    try:
        return FORMATS[file.kind].read(file)
    except (UnreadableError, StoreError, MemoryError):
        raise
    except RecursionError:
        raise UnreadableError("it is nested too deep") from None
    except Exception as error:
        raise UnreadableError(f"it is damaged ({type(error).__name__})") from error


def _cleaned(blocks: list[Block]) -> list[Block]:
    """Leave out what cannot be stored: NUL, half characters, and blocks that show nothing."""
    found: list[Block] = []
    for block in blocks:
        text = block.text
        if _UNSEEN.search(text):
            text = _UNSEEN.sub("", text)
            block = Block(block.kind, text, block.level, block.page, block.continues)
        if text and not text.isspace():
            found.append(block)
    return found


def _require_text(blocks: tuple[Block, ...]) -> None:
    if not blocks:
        raise UnreadableError("there is no text in it")
    if len(blocks) > MAX_BLOCKS:
        raise UnreadableError(f"it has more than {MAX_BLOCKS:,} paragraphs or rows: divide it")
    if sum(len(block.text) for block in blocks) > MAX_TEXT:
        raise UnreadableError(f"its text is longer than {MAX_TEXT:,} characters: divide it")
