"""Payloads of records, sealed under their tenant's data key and opened again."""

from __future__ import annotations

from base64 import b64decode, b64encode

from msgspec.structs import replace

from santral.errors import DataKeyGone, SealBroken
from santral.secrets.sealer import Sealer
from santral.traces.record import Payload, TraceRecord
from santral.traces.waiting import Owner, owner_of, place_of_text

#: What a reader sees of a payload that cannot be opened here.
ERASED = "[erased: its data key was destroyed]"
CLOSED = "[sealed: no master key is configured here]"
CHANGED = "[lost: it was changed while it waited in the spool]"


async def sealed(record: TraceRecord, sealer: Sealer) -> TraceRecord:
    """Return the record with its payload sealed; one that is sealed stays as it is.

    Raises:
        ConfigError: a worker sealed under a master key that is not configured here.
    """
    payload = record.payload
    if payload is None or payload.is_sealed:
        return record
    owner = owner_of(record)
    if payload.waits_under:
        payload = _arrived(owner, payload, sealer)
    return replace(record, payload=await seal_payload(owner, payload, sealer))


def _arrived(owner: Owner, payload: Payload, sealer: Sealer) -> Payload:
    keys, wrapped = sealer.waiting, payload.waits_under
    try:
        return Payload(
            request=keys.open(wrapped, place_of_text(owner, "request"), payload.request),
            response=keys.open(wrapped, place_of_text(owner, "response"), payload.response),
        )
    except SealBroken:  # one record that was changed must not keep the others out
        return Payload(request=CHANGED, response=CHANGED)


async def opened(record: TraceRecord, sealer: Sealer | None) -> TraceRecord:
    """Return the record with its payload in clear, or with a sentence where that cannot be had.

    Raises:
        SealBroken: it was changed, or moved from another record.
        StoreError: the database or the key management do not answer.
    """
    if record.payload is None or not record.payload.is_sealed:
        return record
    return replace(record, payload=await open_payload(owner_of(record), record.payload, sealer))


async def seal_payload(owner: Owner, payload: Payload, sealer: Sealer) -> Payload:
    """Return a payload sealed for its place."""
    box = await sealer.box(owner[0])
    request, response = (
        b64encode(box.seal(place_of_text(owner, name), text.encode())).decode()
        for name, text in (("request", payload.request), ("response", payload.response))
    )
    return Payload(request=request, response=response, is_sealed=True)


async def open_text(owner: Owner, name: str, text: str, sealer: Sealer | None) -> str:
    """Return one sealed text of a payload, ``request`` or ``response``; nothing where it is lost.

    Raises:
        SealBroken: it was changed, or moved from another record.
    """
    if sealer is None:
        return ""
    try:
        data = await sealer.open(owner[0], place_of_text(owner, name), b64decode(text))
    except DataKeyGone:
        return ""
    return data.decode()


async def open_payload(owner: Owner, payload: Payload, sealer: Sealer | None) -> Payload:
    """Return a sealed payload in clear; see ``opened``."""
    if sealer is None:
        return Payload(request=CLOSED, response=CLOSED)
    texts: list[str] = []
    try:
        for name, text in (("request", payload.request), ("response", payload.response)):
            data = await sealer.open(owner[0], place_of_text(owner, name), b64decode(text))
            texts.append(data.decode())
    except DataKeyGone:
        return Payload(request=ERASED, response=ERASED)
    return Payload(request=texts[0], response=texts[1])
