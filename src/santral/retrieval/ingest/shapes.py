"""Bodies of the admin API of documents: what comes in, what goes out."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from santral.errors import BadRequest
from santral.jobs.api import JobBody
from santral.retrieval.document import StoredDocument
from santral.retrieval.ingest.push import MOST_AT_ONCE, Pushed
from santral.retrieval.reading.registry import FORMATS


class DocumentBody(BaseModel):
    """A document as the collection holds it."""

    id: str
    source: str = Field(description="The name that people see.")
    location: str = Field(description="Its key at its source.")
    source_id: str = Field(description="What brought it: a source, push, or nothing for files.")
    title: str
    kind: str
    language: str
    status: Literal["indexed", "quarantined"]
    reason: str = Field(description="Why it is quarantined.")
    duplicate_of: str = Field(description="The document whose text it nearly repeats.")
    size_bytes: int
    content_hash: str
    metadata: dict[str, Any]


class ChunkBody(BaseModel):
    """A passage of a document."""

    id: str
    position: int
    section: str
    page: int | None
    start: int = Field(description="Its place in the text of the document, in characters.")
    end: int
    tokens: int
    text: str


class DocumentDetail(DocumentBody):
    """A document with what the searched version made of it."""

    chunks: list[ChunkBody]
    text: str


class DocumentPage(BaseModel):
    """Documents by source; ``next`` asks for those behind them."""

    documents: list[DocumentBody]
    next: str | None


class Accepted(BaseModel):
    """Documents that are stored, and the job that makes them searchable; null: nothing changed."""

    documents: list[DocumentBody]
    job: JobBody | None


class Deleted(BaseModel):
    """The job that takes documents out of the index."""

    job: JobBody


class Retried(BaseModel):
    """The jobs that read documents again."""

    jobs: list[JobBody]


class PushedBody(BaseModel):
    """A document to push: text, or any file in base 64."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(None, description="Its text; Markdown, unless media_type says else.")
    content_base64: str | None = Field(None, description="Or the bytes of a file.")
    media_type: str = Field("", max_length=200, description="What the bytes are, e.g. text/html.")
    name: str = Field("", max_length=1000, description="File name, where the key is none.")
    metadata: dict[str, Any] = Field(
        default_factory=dict[str, Any],
        description="title, url, owner, lifecycle, created_at, modified_at, expires_at, "
        "allowed_groups, attributes.",
    )


class KeyedBody(PushedBody):
    """One document of a batch."""

    key: str = Field(max_length=1000, description="The application's own id of it.")


class BatchBody(BaseModel):
    """Documents to push together."""

    model_config = ConfigDict(extra="forbid")

    documents: list[KeyedBody] = Field(min_length=1, max_length=MOST_AT_ONCE)


class ChangeBody(BaseModel):
    """What to say of a document otherwise; null takes a value away."""

    model_config = ConfigDict(extra="forbid")

    metadata: dict[str, Any] = Field(description="As when it is pushed; only what changes.")


class RetryBody(BaseModel):
    """Which documents to read again."""

    model_config = ConfigDict(extra="forbid")

    documents: list[str] = Field(
        default_factory=list[str], max_length=1000, description="Ids; none: all quarantined ones."
    )


def pushed_of(key: str, body: PushedBody) -> Pushed:
    if (body.text is None) == (body.content_base64 is None):
        raise BadRequest("Give text or content_base64, one of them.", param="text")
    if body.text is not None:
        media_type = body.media_type or "text/markdown"
        content = body.text.encode("utf-8", "replace")
    else:
        media_type, content = body.media_type, _bytes(body.content_base64 or "")
    name = body.name or name_of(key, media_type)
    return Pushed(key=key, content=content, name=name, media_type=media_type, fields=body.metadata)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("content_base64 is not base 64.", param="content_base64") from None


def name_of(key: str, media_type: str) -> str:
    """Return a name whose end says what the media type does, where the key does not."""
    for known in FORMATS.values():
        if media_type in known.media_types:
            is_named = key.lower().endswith(known.extensions)
            return key if is_named else f"{key}{known.extensions[0]}"
    return key


def first_fault(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return "The body is not JSON."
    faults = error.errors()
    place = ".".join(str(part)[:64] for part in faults[0]["loc"])
    return f"{place or 'body'}: {faults[0]['msg']}"


def document_body(document: StoredDocument) -> DocumentBody:
    return DocumentBody(**document_fields(document))


def document_fields(document: StoredDocument) -> dict[str, Any]:
    fields = {name: getattr(document, name) for name in DocumentBody.model_fields}
    return fields | {"metadata": msgspec.to_builtins(document.metadata)}
