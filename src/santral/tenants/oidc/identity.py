"""What a checked token says of a person, read as the settings say."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace

from santral.config.sso import RoleName, SsoConfig
from santral.errors import BadRequest, NotAllowed
from santral.tenants.group import MOST_GROUPS, checked_groups

#: Lengths of the columns, and most groups that are looked at. The latter chosen.
_LONGEST_EMAIL, _LONGEST_NAME, _LONGEST_SUBJECT, _MOST_GROUPS = 320, 128, 512, 1000

#: Weakest last: where several groups give a role over one tenant, the first of these holds.
_BY_RANK: tuple[RoleName, ...] = (
    "owner",
    "admin",
    "operator",
    "developer",
    "reviewer",
    "auditor",
    "viewer",
)


class Identity(Struct, frozen=True, kw_only=True):
    """A person, as the provider vouches for them."""

    issuer: str
    subject: str  # never changes, and means nothing elsewhere
    email: str  # lower case; empty where none is given, or none that may be trusted
    name: str
    groups: frozenset[str]
    document_groups: frozenset[str] | None = None  # None: the provider is not asked for them


def identify(claims: Mapping[str, Any], settings: SsoConfig) -> Identity:
    """Return the person of ``claims``.

    Raises:
        NotAllowed: the address is not verified, or of a domain whose people may not sign in.
    """
    bare = bare_identity(claims, settings)
    email = _email(claims, settings)
    return replace(
        bare,
        email=email,
        name=_name(claims, email or bare.subject),
        groups=_groups(claims, settings.groups_claim),
        document_groups=_document_groups(claims, settings.document_groups_claim),
    )


def bare_identity(claims: Mapping[str, Any], settings: SsoConfig) -> Identity:
    """Return the person of ``claims`` by the provider's name for them alone.

    Raises:
        NotAllowed: it cannot be kept.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise _refusal("The provider names the person in a way that cannot be kept (claim sub).")
    return Identity(
        issuer=settings.issuer, subject=subject, email="", name=subject, groups=frozenset()
    )


def lacks(claims: Mapping[str, Any], settings: SsoConfig) -> bool:
    """Whether something that the settings look at is missing, and might stand in the userinfo."""
    wanted = [settings.email_claim, *([settings.groups_claim] if settings.roles else [])]
    if settings.document_groups_claim is not None:
        wanted.append(settings.document_groups_claim)
    return any(_at(claims, name) is None for name in wanted)


def roles_of(identity: Identity, settings: SsoConfig) -> dict[str, RoleName | None]:
    """Return what the groups give over every tenant that the mapping names; ``None``: no role there."""
    given: dict[str, RoleName | None] = {}
    for line in settings.roles:
        before = given.setdefault(line.tenant, None)
        if line.group in identity.groups:
            given[line.tenant] = min(filter(None, (before, line.role)), key=_BY_RANK.index)
    return given


def _email(claims: Mapping[str, Any], settings: SsoConfig) -> str:
    given = _at(claims, settings.email_claim)
    email = given.strip().lower() if isinstance(given, str) else ""
    if "@" not in email or len(email) > _LONGEST_EMAIL or not email.isprintable():
        email = ""
    if email and settings.require_verified_email and not _is_verified(claims):
        raise _refusal(
            f"The provider does not say that the address {email} is verified. Verify it there; if the "
            "provider never says so and nobody can choose an address there, set "
            "sso.require_verified_email = false."
        )
    if (
        settings.email_domains is not None
        and email.rpartition("@")[2] not in settings.email_domains
    ):
        raise _refusal(
            f"People with the address '{email or 'none'}' may not sign in: sso.email_domains allows "
            f"{', '.join(settings.email_domains)}. Sign in with another account at the provider."
        )
    return email


def _is_verified(claims: Mapping[str, Any]) -> bool:
    # Amazon Cognito says it as a text.
    said = claims.get("email_verified")
    return said is True or said == "true"


def _name(claims: Mapping[str, Any], otherwise: str) -> str:
    for claim in ("name", "preferred_username"):
        value = claims.get(claim)
        if isinstance(value, str) and value.strip() and value.isprintable():
            return value.strip()[:_LONGEST_NAME]
    return otherwise[:_LONGEST_NAME]


def _groups(claims: Mapping[str, Any], claim: str) -> frozenset[str]:
    found = _at(claims, claim)
    if isinstance(found, str):
        return frozenset(found.split())
    if not isinstance(found, list):
        return frozenset()
    listed = cast("list[Any]", found)[:_MOST_GROUPS]
    return frozenset(group for group in listed if isinstance(group, str))


def _document_groups(claims: Mapping[str, Any], claim: str | None) -> frozenset[str] | None:
    """Return the groups that can be kept: names which no group of ours can have are left out."""
    if claim is None:
        return None
    kept: set[str] = set()
    for name in sorted(_groups(claims, claim)):
        with suppress(BadRequest):
            kept |= checked_groups((name,))
    return frozenset(sorted(kept)[:MOST_GROUPS])


def _at(claims: Mapping[str, Any], claim: str) -> Any:
    """Return a claim by its name, which may hold points, or else by its path."""
    if claim in claims:
        return claims[claim]
    found: Any = claims
    for part in claim.split("."):
        found = cast("Mapping[str, Any]", found).get(part) if isinstance(found, Mapping) else None
    return found


def _refusal(message: str) -> NotAllowed:
    return NotAllowed(message, code="person_not_allowed")
