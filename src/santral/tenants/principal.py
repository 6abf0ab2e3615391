"""Who administers by a key: what its role allows, as long as the key is in force."""

from __future__ import annotations

from santral.db.engine import Connection
from santral.errors import NotAllowed
from santral.tenants import store
from santral.tenants.key import digest
from santral.tenants.keyring import Caller, KeyRing, require_network
from santral.tenants.permission import Grant, Principal


async def key_principal(conn: Connection, text: str, origin: str, now: float) -> Principal:
    """Return the administrator who holds the key ``text`` and asks from the address ``origin``.

    Raises:
        Unauthenticated: not a key of ours, unknown, revoked, replaced or expired.
        NotAllowed: it administers nothing, is not for that address, or is switched off.
    """
    key = await store.find_by_digest(conn, digest(text).hex())
    ring = KeyRing([] if key is None else [key], await store.list_tenants(conn))
    return await principal_of(conn, ring.identify(text, now), origin)


async def principal_of(conn: Connection, caller: Caller, origin: str) -> Principal:
    """Return who administers with the key of ``caller``, from the address ``origin``.

    Raises:
        NotAllowed: the key administers nothing, or is not for that address.
    """
    key = caller.key
    if key.role is None:
        raise NotAllowed(
            "This key administers nothing. Use the admin key of the first start, or one with a role: "
            "santral keys create --role …"
        )
    require_network(caller, origin)
    grant = Grant(key.role, key.role_over or key.tenant_id)
    tree = await store.load_tree(conn)
    return Principal(name=f"key:{key.id}", origin=origin, grants=(grant,), tree=tree)
