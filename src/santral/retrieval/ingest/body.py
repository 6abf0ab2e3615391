"""Bodies: what was read of a document, as the database keeps it, so that it can be split anew."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from santral.retrieval.document import Block, Document

#: Chosen: half the time of zlib's own default, some percent more bytes.
_LEVEL = 3

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Document).decode


def packed(document: Document) -> bytes:
    """Return a document as bytes."""
    return zlib.compress(_encode(document), _LEVEL)


def unpacked(body: bytes) -> Document:
    """Return the document that ``packed`` made bytes of."""
    return _decode(zlib.decompress(body))


def text_hash(document: Document) -> str:
    """Return what names the text: with an equal one and an equal title, chunks are the same."""
    return blake2b(_encode((document.language, document.blocks)), digest_size=32).hexdigest()


def texts_of(document: Document) -> list[str]:
    """Return every text of a document that somebody wrote, in order; ``with_texts`` puts them back."""
    return [
        document.title,
        document.author,
        *(block.text for block in document.blocks),
        *_strings(document.attributes),
        *_strings(document.front_matter),
    ]


def with_texts(document: Document, texts: Sequence[str]) -> Document:
    """Return a document with other texts, in the order of ``texts_of``."""
    given = iter(texts)
    title, author = next(given), next(given)
    blocks: list[Block] = [replace(block, text=next(given)) for block in document.blocks]
    attributes = cast("dict[str, Any]", _with_strings(document.attributes, given))
    front_matter = cast("dict[str, Any]", _with_strings(document.front_matter, given))
    return replace(
        document,
        title=title,
        author=author,
        blocks=tuple(blocks),
        attributes=attributes,
        front_matter=front_matter,
    )


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in cast("dict[str, Any]", value).values() for text in _strings(item)]
    if isinstance(value, list | tuple):
        return [text for item in cast("Sequence[Any]", value) for text in _strings(item)]
    return []


def _with_strings(value: Any, given: Any) -> Any:
    if isinstance(value, str):
        return next(given)
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {name: _with_strings(item, given) for name, item in items}
    if isinstance(value, list | tuple):
        return [_with_strings(item, given) for item in cast("Sequence[Any]", value)]
    return value
