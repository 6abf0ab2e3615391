"""Open sealed secrets, and seal them anew. Nothing here needs a database: workers do it, too."""

from __future__ import annotations

from collections.abc import Iterable

from santral.errors import SealBroken
from santral.secrets.box import Box
from santral.secrets.data_key import TenantBox, unwrapped
from santral.secrets.row import DataKeyRow, SecretRow
from santral.secrets.wrappers import Wrappers

#: Whose data keys seal the secrets.
EVERYBODY = "*"


def open_secrets(
    wrappers: Wrappers,
    keys: Iterable[DataKeyRow],
    rows: Iterable[SecretRow],
    boxes: dict[str, TenantBox] | None = None,
) -> dict[str, str]:
    """Return the values by name. May ask over the network; use a thread.

    ``boxes`` are data keys unwrapped before, by id; those that are needed are added.

    Raises:
        ConfigError: the key that wrapped a data key is not configured.
        SealBroken: a secret or its data key was changed or moved; the message names the secret.
        StoreError: the key management does not answer.
    """
    boxes = {} if boxes is None else boxes
    rows = list(rows)
    needed = {row.data_key_id for row in rows} - boxes.keys()
    for key in keys:
        if key.id in needed:
            boxes[key.id] = secret_box(wrappers, key)
    return {row.name: opened(boxes, row).decode("utf-8") for row in rows}


def secret_box(wrappers: Wrappers, key: DataKeyRow) -> TenantBox:
    """Return the box of a data key of the secrets. May ask over the network."""
    return TenantBox(EVERYBODY, key.id, Box(unwrapped(wrappers, key)))


def opened(boxes: dict[str, TenantBox], row: SecretRow) -> bytes:
    """Return the value of one secret.

    Raises:
        SealBroken: it does not open; the message names it.
    """
    box = boxes.get(row.data_key_id)
    if box is None:
        raise SealBroken(
            f"The data key of the secret '{row.name}' is gone. "
            f"Set it again: santral secrets set {row.name}"
        )
    try:
        return box.open(secret_place(row.name), row.sealed)
    except SealBroken:
        raise SealBroken(
            f"The secret '{row.name}' does not open: it was changed in the database, or moved there "
            f"from another name. Set it again: santral secrets set {row.name}"
        ) from None


def resealed(boxes: dict[str, TenantBox], row: SecretRow, box: TenantBox) -> SecretRow:
    """Return a secret under the data key of ``box``.

    Raises:
        SealBroken: it does not open; the message names it.
    """
    sealed = box.seal(secret_place(row.name), opened(boxes, row))
    return SecretRow(row.name, box.key_id, sealed, row.updated_at)


def secret_place(name: str) -> str:
    """Return the place for which a secret is sealed."""
    return f"provider_secrets/{name}"
