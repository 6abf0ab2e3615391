"""What the control database keeps of secrets: ciphertext, and where it belongs."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class DataKeyRow(Struct, frozen=True):
    """One wrapped data key."""

    id: str
    tenant_id: str  # ``*``: of the sealed secrets
    wrapped: bytes
    wrapped_by: str
    created_at: datetime
    retired_at: datetime | None = None


class SecretRow(Struct, frozen=True):
    """One sealed secret."""

    name: str
    data_key_id: str
    sealed: bytes
    updated_at: datetime
