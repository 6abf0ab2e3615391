"""Payloads of records, sealed under their tenant's data key and opened again."""

from __future__ import annotations

from base64 import b64decode, b64encode

from msgspec.structs import replace

from santral.errors import DataKeyGone
from santral.secrets.sealer import Sealer
from santral.traces.record import Payload, TraceRecord

#: What a reader sees of a payload that cannot be opened here.
ERASED = "[erased: its data key was destroyed]"
CLOSED = "[sealed: no master key is configured here]"


async def sealed(record: TraceRecord, sealer: Sealer) -> TraceRecord:
    """Return the record with its payload sealed; one that is sealed stays as it is."""
    payload = record.payload
    if payload is None or payload.is_sealed:
        return record
    box = await sealer.box(record.tenant_id)
    texts = {
        name: b64encode(box.seal(_place(record, name), getattr(payload, name).encode())).decode()
        for name in ("request", "response")
    }
    return replace(record, payload=Payload(**texts, is_sealed=True))


async def opened(record: TraceRecord, sealer: Sealer | None) -> TraceRecord:
    """Return the record with its payload in clear, or with a sentence where that cannot be had.

    Raises:
        SealBroken: it was changed, or moved from another record.
        StoreError: the database or the key management do not answer.
    """
    payload = record.payload
    if payload is None or not payload.is_sealed:
        return record
    if sealer is None:
        return replace(record, payload=Payload(request=CLOSED, response=CLOSED))
    try:
        texts = {
            name: (
                await sealer.open(
                    record.tenant_id, _place(record, name), b64decode(getattr(payload, name))
                )
            ).decode()
            for name in ("request", "response")
        }
    except DataKeyGone:
        return replace(record, payload=Payload(request=ERASED, response=ERASED))
    return replace(record, payload=Payload(request=texts["request"], response=texts["response"]))


def _place(record: TraceRecord, name: str) -> str:
    return f"traces/{record.trace_id}/{record.request_id}/{name}"
