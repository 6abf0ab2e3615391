"""Who is calling: every virtual key in memory, found by the digest of what the caller sent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256

from msgspec import Struct

from santral.config.network import Address, parse_address
from santral.errors import NotAllowed, SantralError, Unauthenticated
from santral.tenants.inherit import inherited
from santral.tenants.key import KEY_LENGTH, MARK, is_intact
from santral.tenants.scope import KeyScope
from santral.tenants.tenant import Tenant, TenantId, VirtualKey
from santral.tenants.tree import TenantTree
from santral.web.peer import Networks

_HOW = "Send the header 'Authorization: Bearer sk-santral-…'."


class Fence(Struct, frozen=True):
    """From where, and for what, a key may be used; most keys have none."""

    networks: Networks | None = None
    scopes: frozenset[KeyScope] | None = None


class Caller(Struct, frozen=True):
    """The tenant and key behind a request."""

    tenant: Tenant
    key: VirtualKey
    fence: Fence | None = None


class KeyRing:
    """Every key and tenant at one moment; never changes, a newer ring replaces it whole."""

    __slots__ = ("_by_id", "_caches_forgotten_at", "_closed", "_entries")

    def __init__(self, keys: Iterable[VirtualKey], tenants: Iterable[Tenant]) -> None:
        known = {tenant.id: tenant for tenant in inherited(tenants)}
        self._closed = _closed_tenants(known)
        moments = (t.caches_forgotten_at for t in known.values() if t.caches_forgotten_at)
        self._caches_forgotten_at = max((moment.timestamp() for moment in moments), default=0.0)
        self._entries: dict[bytes, tuple[Caller, float]] = {}
        self._by_id: dict[str, tuple[Caller, float]] = {}
        for key in keys:
            if key.tenant_id in known:
                self._add(Caller(known[key.tenant_id], key, _fence(key)))

    def _add(self, caller: Caller) -> None:
        key = caller.key
        is_closed = (
            key.revoked_at is not None or not key.is_user_active or key.tenant_id in self._closed
        )
        until = -math.inf if is_closed else _moment(key.expires_at)
        self._by_id[key.id] = self._entries[bytes.fromhex(key.digest)] = (caller, until)
        if key.previous_digest is not None:
            overlap = min(until, _moment(key.previous_expires_at))
            self._entries[bytes.fromhex(key.previous_digest)] = (caller, overlap)

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def caches_forgotten_at(self) -> float:
        """When answers were last to be forgotten, in seconds since 1970: earlier ones are not served."""
        return self._caches_forgotten_at

    def identify(self, plaintext: str, now: float) -> Caller:
        """Return who holds the key ``plaintext`` at ``now`` (seconds since 1970).

        Raises:
            Unauthenticated: no key, not a key of ours, unknown, revoked, replaced or expired.
            NotAllowed: the key is good, but its tenant or owner is switched off.
        """
        # No comparison in constant time is needed: what is compared is the digest, and nobody can
        # choose a key whose SHA-256 shares a beginning with that of a key they do not know. The
        # time a look-up takes therefore says nothing about any stored key.
        digest = sha256(plaintext.encode("utf-8", "replace")).digest()
        entry = self._entries.get(digest)
        if entry is not None and now < entry[1]:
            return entry[0]
        raise _refusal(plaintext) if entry is None else self._why_closed(entry[0], digest)

    def holder(self, key_id: str, now: float) -> Caller:
        """Return who holds the key with this id, for work that goes on after its request.

        Raises:
            Unauthenticated: the key is gone, revoked or expired by now.
            NotAllowed: its tenant or owner is switched off.
        """
        entry = self._by_id.get(key_id)
        if entry is None:
            raise Unauthenticated("The API key that asked for this is not known any more.")
        if now < entry[1]:
            return entry[0]
        raise self._why_closed(entry[0])

    def _why_closed(self, caller: Caller, digest: bytes = b"") -> SantralError:
        key = caller.key
        if key.revoked_at is not None:
            return Unauthenticated(
                f"The API key '{key.name}' was revoked on {_date(key.revoked_at)}. "
                "Ask an administrator for a new one."
            )
        if (closed := self._closed.get(key.tenant_id)) is not None:
            above = "" if closed == key.tenant_id else f", above '{key.tenant_id}',"
            return NotAllowed(
                f"The tenant '{closed}'{above} is switched off. Ask an administrator."
            )
        if not key.is_user_active:
            return NotAllowed(
                f"The owner of the API key '{key.name}' is switched off. Ask an administrator."
            )
        if digest and digest.hex() == key.previous_digest and key.previous_expires_at is not None:
            return Unauthenticated(
                f"This text of the API key '{key.name}' was replaced, and was good until "
                f"{_date(key.previous_expires_at)}. Use the newer one."
            )
        when = _date(key.expires_at) if key.expires_at is not None else "an earlier day"
        return Unauthenticated(
            f"The API key '{key.name}' expired on {when}. Ask an administrator for a new one."
        )


def require_network(caller: Caller, address: Address | str | None) -> None:
    """Return when the key may be used from ``address``.

    Raises:
        NotAllowed: it is for other networks, or nobody can tell where the request came from.
    """
    networks = None if caller.fence is None else caller.fence.networks
    if networks is None or _is_within(networks, address):
        return
    raise NotAllowed(
        f"The API key '{caller.key.name}' is not for the address {address or 'unknown'}. Call from "
        "one of its networks, or ask an administrator to add yours.",
        code="address_not_allowed",
    )


def require_scope(caller: Caller, scope: KeyScope) -> None:
    """Return when the key may be used for ``scope``.

    Raises:
        NotAllowed: it is for other things.
    """
    scopes = None if caller.fence is None else caller.fence.scopes
    if scopes is None or scope in scopes:
        return
    raise NotAllowed(
        f"The API key '{caller.key.name}' is for {', '.join(sorted(scopes))}, not for {scope}. Ask "
        "an administrator for a key that is.",
        code="scope_not_allowed",
    )


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


def _is_within(networks: Networks, address: Address | str | None) -> bool:
    try:
        return (parse_address(address) if isinstance(address, str) else address) in networks
    except ValueError:
        return False


def _moment(when: datetime | None) -> float:
    return math.inf if when is None else when.timestamp()


def _fence(key: VirtualKey) -> Fence | None:
    if key.networks is None and key.scopes is None:
        return None
    return Fence(None if key.networks is None else Networks(key.networks), key.scopes)


def _closed_tenants(known: Mapping[TenantId, Tenant]) -> dict[TenantId, TenantId]:
    """Return the tenants that are off, by themselves or with one above them, and which one is."""
    tree = TenantTree({tenant.id: tenant.parent_id for tenant in known.values()})
    off = {tenant.id for tenant in known.values() if not tenant.is_active}
    if not off:
        return {}
    highest = {id_: [step for step in tree.path(id_) if step in off] for id_ in known}
    return {id_: steps[-1] for id_, steps in highest.items() if steps}


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


def _date(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
