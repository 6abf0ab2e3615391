"""Who is calling: every virtual key in memory, found by the digest of what the caller sent."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256

from msgspec import Struct

from santral.errors import NotAllowed, SantralError, Unauthenticated
from santral.tenants.key import KEY_LENGTH, MARK, is_intact
from santral.tenants.tenant import Tenant, VirtualKey

_HOW = "Send the header 'Authorization: Bearer sk-santral-…'."


class Caller(Struct, frozen=True):
    """The tenant and key behind a request."""

    tenant: Tenant
    key: VirtualKey


class KeyRing:
    """Every key and tenant at one moment; never changes, a newer ring replaces it whole."""

    __slots__ = ("_entries",)

    def __init__(self, keys: Iterable[VirtualKey], tenants: Iterable[Tenant]) -> None:
        known = {tenant.id: tenant for tenant in tenants}
        self._entries = {
            bytes.fromhex(key.digest): (
                Caller(known[key.tenant_id], key),
                _valid_until(key, known[key.tenant_id]),
            )
            for key in keys
            if key.tenant_id in known
        }

    def __len__(self) -> int:
        return len(self._entries)

    def identify(self, plaintext: str, now: float) -> Caller:
        """Return who holds the key ``plaintext`` at ``now`` (seconds since 1970).

        Raises:
            Unauthenticated: no key, not a key of ours, unknown, revoked or expired.
            NotAllowed: the key is good, but its tenant is switched off.
        """
        # No comparison in constant time is needed: what is compared is the digest, and nobody can
        # choose a key whose SHA-256 shares a beginning with that of a key they do not know. The
        # time a look-up takes therefore says nothing about any stored key.
        entry = self._entries.get(sha256(plaintext.encode("utf-8", "replace")).digest())
        if entry is not None and now < entry[1]:
            return entry[0]
        raise _refusal(plaintext) if entry is None else _closed(entry[0])

    def holder(self, key_id: str, now: float) -> Caller:
        """Return who holds the key with this id, for work that goes on after its request.

        Looks at every key: for batches, not for requests.

        Raises:
            Unauthenticated: the key is gone, revoked or expired by now.
            NotAllowed: its tenant is switched off.
        """
        for caller, valid_until in self._entries.values():
            if caller.key.id == key_id:
                if now < valid_until:
                    return caller
                raise _closed(caller)
        raise Unauthenticated("The API key that asked for this is not known any more.")


def presented_key(authorization: str, x_api_key: str = "") -> str:
    """Return the key in the headers ``Authorization: Bearer`` or ``x-api-key``.

    Raises:
        Unauthenticated: neither header carries one.
    """
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "bearer" and (key := rest.strip()):
        return key
    if key := x_api_key.strip():
        return key
    if authorization.strip():
        raise Unauthenticated(f"The Authorization header holds no bearer key. {_HOW}")
    raise Unauthenticated(f"The request carries no API key. {_HOW}")


def _valid_until(key: VirtualKey, tenant: Tenant) -> float:
    if key.revoked_at is not None or not tenant.is_active:
        return -math.inf
    return math.inf if key.expires_at is None else key.expires_at.timestamp()


def _refusal(plaintext: str) -> SantralError:
    if not plaintext:
        return Unauthenticated(f"The request carries no API key. {_HOW}")
    if not plaintext.startswith(MARK):
        return Unauthenticated(
            f"This is not a key of Santral: those begin with {MARK}. A provider's own key belongs "
            "in the gateway's configuration, not in the application."
        )
    if not is_intact(plaintext):
        return Unauthenticated(
            f"The API key is mistyped or cut: its check characters do not match. A whole key "
            f"has {KEY_LENGTH} characters; copy it again."
        )
    return Unauthenticated(
        "The API key is not known here. It may be of another installation; list yours with: "
        "santral keys list"
    )


def _closed(caller: Caller) -> SantralError:
    key = caller.key
    if key.revoked_at is not None:
        return Unauthenticated(
            f"The API key '{key.name}' was revoked on {_date(key.revoked_at)}. "
            "Ask an administrator for a new one."
        )
    if not caller.tenant.is_active:
        return NotAllowed(f"The tenant '{caller.tenant.id}' is switched off. Ask an administrator.")
    when = _date(key.expires_at) if key.expires_at is not None else "an earlier day"
    return Unauthenticated(
        f"The API key '{key.name}' expired on {when}. Ask an administrator for a new one."
    )


def _date(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
