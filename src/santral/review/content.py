"""What raters see of a trace, and how it is kept: sealed wherever the tenant's payloads are."""

from __future__ import annotations

from base64 import b64decode, b64encode

import msgspec
from msgspec.structs import replace

from santral.errors import DataKeyGone
from santral.review.item import Content, Item, Said, Shown
from santral.review.queue import Queue
from santral.secrets.sealer import Sealer
from santral.traces.readable import messages
from santral.traces.record import TraceRecord
from santral.traces.sealed import CLOSED, ERASED


def shown_of(record: TraceRecord, note: str = "") -> Shown | None:
    """Return what raters see of a trace whose payload is open; None where nothing was kept of it."""
    payload = record.payload
    if payload is None or not payload.response or payload.response in (CLOSED, ERASED):
        return None
    return Shown(
        said=[Said(role, text) for role, text in messages(payload.request)],
        answers=[payload.response],
        passages=list(dict.fromkeys(source.document for source in record.sources)),
        note=note,
    )


async def kept(sealer: Sealer | None, tenant_id: str, item_id: str, content: Content) -> Content:
    """Return content as its row holds it."""
    if sealer is None or content.shown is None:
        return content
    data = msgspec.json.encode(content.shown)
    sealed = await sealer.seal(tenant_id, _place(item_id), data)
    return replace(content, shown=None, sealed=b64encode(sealed).decode())


async def opened(sealer: Sealer | None, item: Item) -> Shown:
    """Return what is shown of an item; a sentence in its place where that cannot be had."""
    content = item.content
    if content.shown is not None:
        return content.shown
    if not content.sealed:
        return Shown(answers=[ERASED])
    if sealer is None:
        return Shown(answers=[CLOSED])
    try:
        data = await sealer.open(item.tenant_id, _place(item.id), b64decode(content.sealed))
    except DataKeyGone:
        return Shown(answers=[ERASED])
    return msgspec.json.decode(data, type=Shown)


def for_rater(queue: Queue, shown: Shown, order: list[int] | None) -> Shown:
    """Return the parts that a queue shows, two answers in the order of this rater.

    Passages stand in the conversation before its last message: without them that one is shown alone.
    """
    parts = queue.settings.shows
    answers = [shown.answers[i] for i in order] if order else shown.answers
    said = shown.said if "passages" in parts else shown.said[-1:]
    return Shown(
        said=said if "question" in parts else [],
        answers=answers if "answer" in parts else [],
        passages=shown.passages if "passages" in parts else [],
        note=shown.note,
    )


def _place(item_id: str) -> str:
    return f"review/{item_id}"
