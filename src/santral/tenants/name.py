"""Names that people give to tenants, keys and users."""

from __future__ import annotations

import unicodedata

from santral.errors import BadRequest
from santral.tenants.key import MARK

_LONGEST = 128  # as the columns


def checked_name(name: str) -> str:
    """Return a name in one spelling, without blanks around it.

    Raises:
        BadRequest: it is empty or too long, holds what cannot be seen, or holds a key.
    """
    plain = unicodedata.normalize("NFC", name[: _LONGEST * 8].strip())
    if not plain or len(plain) > _LONGEST or not plain.isprintable() or MARK in plain:
        raise BadRequest(
            f"A name has 1 to {_LONGEST} printable characters and is not a key.", param="name"
        )
    return plain
