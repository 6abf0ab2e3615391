"""One row of the audit log, and the hash that ties it to the row before.

The hash is SHA-256 over one line of JSON (RFC 8259): an array of the hash before and every other
column in the order of ``Entry``, keys sorted, no spaces, characters beyond ASCII escaped, the moment
as whole microseconds since 1970. So any language can verify an export.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

#: What the first row stands on.
GENESIS = "0" * 64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Actor(Struct, frozen=True):
    """Who acts, and from where."""

    name: str  # key:key_…, user:usr_…, cli:<user of the operating system>, system
    origin: str  # an address, "cli", "first start"


#: What Santral does by itself.
SYSTEM = Actor("system", "system")


class Note(Struct, frozen=True, kw_only=True):
    """One act, before the log gives it a number."""

    actor: Actor
    action: str  # keys.revoke, guardrails.refused
    object: str  # what was acted on, by kind and id: key:key_…
    tenant_id: str  # whom it is about; ``*``: the whole installation
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    occurred_at: datetime | None = None  # None: when it is noted


class Link(Struct, frozen=True):
    """A place in the chain: the number of a row and its hash."""

    number: int
    hash: str


class Entry(Struct, frozen=True):
    """One row of the log, as it stands."""

    number: int
    occurred_at: datetime
    tenant_id: str
    actor: str
    action: str
    object: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    origin: str
    previous_hash: str
    hash: str

    @property
    def link(self) -> Link:
        """Its place in the chain."""
        return Link(self.number, self.hash)


def digest(entry: Entry) -> str:
    """Return the hash that ``entry`` must have, hexadecimal; the one it carries is not looked at."""
    columns = [
        entry.previous_hash,
        entry.number,
        microseconds(entry.occurred_at),
        entry.tenant_id,
        entry.actor,
        entry.action,
        entry.object,
        entry.before,
        entry.after,
        entry.origin,
    ]
    line = json.dumps(columns, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(line.encode("ascii")).hexdigest()


def chained(note: Note, previous: Link, now: datetime) -> Entry:
    """Return ``note`` as the row after ``previous``."""
    bare = Entry(
        number=previous.number + 1,
        occurred_at=(note.occurred_at or now).astimezone(UTC),
        tenant_id=note.tenant_id,
        actor=_plain(note.actor.name),
        action=note.action,
        object=_plain(note.object),
        before=_storable(note.before),
        after=_storable(note.after),
        origin=_plain(note.actor.origin),
        previous_hash=previous.hash,
        hash="",
    )
    return replace(bare, hash=digest(bare))


def microseconds(moment: datetime) -> int:
    """Return a moment as whole microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def _plain(text: str) -> str:
    """Return what both databases keep as it is: PostgreSQL refuses NUL, and halves of characters."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _storable(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return ``values`` as they come back from a JSON column; what JSON lacks becomes its text."""
    if values is None:
        return None
    return {_plain(str(key)): _value(value) for key, value in values.items()}


def _value(value: Any) -> Any:
    match value:
        case None | bool() | int():
            return value
        case float():
            return (
                value if value - value == 0 else str(value)
            )  # JSON knows neither NaN nor infinity
        case str():
            return _plain(value)
        case Mapping():
            return {_plain(str(key)): _value(inner) for key, inner in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case set() | frozenset():
            return sorted((_value(inner) for inner in value), key=str)  # pyright: ignore[reportUnknownVariableType]
        case list() | tuple():
            return [_value(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return _plain(str(value))
