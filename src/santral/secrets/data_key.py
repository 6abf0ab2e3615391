"""Data keys: made and wrapped, unwrapped, and what one of them seals. Nothing here needs a database."""

from __future__ import annotations

from datetime import datetime

from santral.errors import SealBroken
from santral.secrets.box import KEY_BYTES, Box, RandomBytes, place_of
from santral.secrets.row import DataKeyRow
from santral.secrets.wrappers import Wrappers

#: First byte of everything sealed: which form it has.
FORM = b"\x01"
_ID_BYTES = 12
HEAD_BYTES = 1 + _ID_BYTES
MARK = "dk_"


class TenantBox:
    """The data key that seals for one tenant. Take it anew for every batch: keys are rotated."""

    __slots__ = ("_box", "_head", "key_id", "tenant_id")

    def __init__(self, tenant_id: str, key_id: str, box: Box) -> None:
        self.tenant_id = tenant_id
        self.key_id = key_id
        self._box = box
        self._head = FORM + bytes.fromhex(key_id.removeprefix(MARK))

    def seal(self, place: str, data: bytes) -> bytes:
        """Return ``data`` sealed for ``place``, e.g. ``traces/<id>/request``; other places differ."""
        return self._head + self._box.seal(data, self._bound(place))

    def open(self, place: str, sealed: bytes) -> bytes:
        """Return what this key sealed for ``place``.

        Raises:
            SealBroken: changed, cut, or sealed elsewhere.
        """
        if sealed[:HEAD_BYTES] != self._head:
            raise SealBroken("Sealed bytes name another data key: they were changed or moved.")
        return self._box.open(sealed[HEAD_BYTES:], self._bound(place))

    def __repr__(self) -> str:
        return f"TenantBox({self.tenant_id}, {self.key_id})"

    def _bound(self, place: str) -> bytes:
        return place_of("sealed", self.tenant_id, self.key_id, place)


def new_data_key(wrappers: Wrappers, tenant_id: str, now: datetime, rng: RandomBytes) -> DataKeyRow:
    """Make a data key, wrapped. May ask over the network."""
    id_ = MARK + rng(_ID_BYTES).hex()
    current = wrappers.current
    wrapped = current.wrap(rng(KEY_BYTES), _key_place(tenant_id, id_))
    return DataKeyRow(id_, tenant_id, wrapped, current.id, now)


def unwrapped(wrappers: Wrappers, row: DataKeyRow) -> bytes:
    """Return the data key of a row. May ask over the network.

    Raises:
        ConfigError: the key that wrapped it is not configured.
        SealBroken: the row was changed, or its key belongs to another tenant.
        StoreError: the key management does not answer.
    """
    return wrappers.unwrap(row.wrapped_by, row.wrapped, _key_place(row.tenant_id, row.id))


def rewrapped(wrappers: Wrappers, row: DataKeyRow) -> DataKeyRow:
    """Return the same data key under the key that wraps now."""
    current = wrappers.current
    wrapped = current.wrap(unwrapped(wrappers, row), _key_place(row.tenant_id, row.id))
    return DataKeyRow(row.id, row.tenant_id, wrapped, current.id, row.created_at, row.retired_at)


def _key_place(tenant_id: str, key_id: str) -> bytes:
    return place_of("data_keys", tenant_id, key_id)
