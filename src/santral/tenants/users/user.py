"""The nouns: a user is a person or a service account; a membership is a role of theirs somewhere."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct

from santral.errors import BadRequest
from santral.tenants.permission import Grant
from santral.tenants.tenant import UserId

Kind: TypeAlias = Literal["person", "service"]

#: Enough to find a typo; whether the address is somebody's, its owner proves by signing in.
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+")
_LONGEST_EMAIL = 320  # as the column. Source: RFC 3696, section 3


class User(Struct, frozen=True, kw_only=True):
    """Who administers by signing in (a person), or whose keys are (both)."""

    id: UserId
    kind: Kind
    name: str
    email: str | None = None  # lower case
    is_active: bool = True
    created_at: datetime | None = None
    last_login_at: datetime | None = None
    grants: tuple[Grant, ...] = ()
    groups: frozenset[str] = frozenset()  # whose documents their keys may be answered from


def checked_email(text: str) -> str:
    """Return an e-mail address as it is stored.

    Raises:
        BadRequest: it is none.
    """
    plain = unicodedata.normalize("NFC", text[: _LONGEST_EMAIL * 2].strip()).lower()
    is_whole = len(plain) <= _LONGEST_EMAIL and plain.isprintable()
    if not is_whole or _EMAIL.fullmatch(plain) is None:
        raise BadRequest(
            f"{text[:64]!r} is not an e-mail address. Write it as name@example.org.", param="email"
        )
    return plain
