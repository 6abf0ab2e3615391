"""The nouns: a tenant pays, a virtual key is the credential we issue to one of its applications."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NewType, TypeAlias

from msgspec import Struct

from santral.errors import BadRequest
from santral.tenants.scope import KeyScope

TenantId = NewType("TenantId", str)
KeyId = NewType("KeyId", str)
UserId = NewType("UserId", str)

#: What it may do is written out in santral.tenants.permission.
Role: TypeAlias = Literal[
    "owner", "admin", "operator", "developer", "reviewer", "auditor", "viewer"
]

#: What is kept of what a tenant's requests say and are answered: all that passed the checks; the same
#: with every known entity masked; a keyed hash and the length of each message; nothing.
PayloadPolicy: TypeAlias = Literal["full", "redacted", "hashes", "none"]

#: The tenant that the first start makes.
DEFAULT_TENANT = TenantId("default")

#: Stands for the whole installation, where a role or rule can be held over it; no tenant is called so.
EVERYWHERE = TenantId("*")

_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


class Tenant(Struct, frozen=True):
    """Who pays. The id is chosen once and names folders and rows; the name may change."""

    id: TenantId
    name: str
    is_active: bool = True
    parent_id: TenantId | None = None  # whose part it is: a project's team, a team's organisation
    payloads: PayloadPolicy | None = None  # None: as its parent, then as the configuration
    retention_days: int | None = None  # of what it said and was answered; None: likewise
    caches_forgotten_at: datetime | None = None  # every worker forgets what it cached before


class VirtualKey(Struct, frozen=True, kw_only=True):
    """A credential: we keep its digest and enough of its beginning to recognise it."""

    id: KeyId
    tenant_id: TenantId
    name: str
    prefix: str
    digest: str  # SHA-256 of the whole key, hexadecimal
    routes: frozenset[str] | None = None  # None: every route
    models: frozenset[str] | None = None  # names of deployments; None: every one
    networks: tuple[str, ...] | None = None  # None: from anywhere
    scopes: frozenset[KeyScope] | None = None  # None: everything
    role: Role | None = None  # what it may administer; None: nothing
    role_over: TenantId | None = None  # a tenant with what is beneath it, or ``*``
    user_id: UserId | None = None  # whose key it is
    is_user_active: bool = True
    groups: frozenset[str] = frozenset()  # whose documents it may be answered from
    user_groups: frozenset[str] = frozenset()  # the same, of its user
    names_groups: bool = False  # it says with each request whose, in place of what it holds
    created_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    previous_prefix: str | None = None  # of the text before the last rotation
    previous_digest: str | None = None
    previous_expires_at: datetime | None = None

    @property
    def held_groups(self) -> frozenset[str]:
        """The groups whose documents it sees, beside what everybody sees."""
        return self.groups | self.user_groups

    def may_use(self, route: str) -> bool:
        """Whether the key is for ``route``."""
        return self.routes is None or route in self.routes


def tenant_id(text: str) -> TenantId:
    """Return ``text`` as the id of a tenant.

    Raises:
        BadRequest: it is not a name that folders, rows and addresses can all carry.
    """
    is_plain = 1 <= len(text) <= 63 and set(text) <= _ALPHABET and text[0] not in "-_"
    if not is_plain:
        raise BadRequest(
            f"{text[:64]!r} cannot be the id of a tenant. Use up to 63 lower-case letters a-z, digits, "
            "- and _, beginning with a letter or digit.",
            param="id",
        )
    return TenantId(text)
