"""Settings of single sign-on: the OpenID provider that people sign in with, and what they may do."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from santral.config.secret import SecretRef
from santral.config.section import Section

RoleName = Literal["owner", "admin", "operator", "developer", "reviewer", "auditor", "viewer"]
Domain = Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]
Over = Annotated[str, Field(pattern=r"^(\*|[a-z0-9][a-z0-9_-]{0,62})$")]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class GroupRoleConfig(Section):
    """A role that members of a group of the provider hold."""

    group: str = Field(min_length=1, max_length=256, description="The group, as the claim says it.")
    role: RoleName = Field(description="What its members may do.")
    tenant: Over = Field(
        default="*", description="Over which tenant and what is beneath it; `*` is everything."
    )


class NewcomersConfig(Section):
    """What a person gets who signs in for the first time."""

    role: RoleName | None = Field(
        default=None, description="A role; without one a newcomer has those of the groups alone."
    )
    tenant: Over = Field(default="*", description="Over which tenant the role is held.")


class SsoConfig(Section):
    """Single sign-on by OpenID Connect, for the console and the admin API."""

    issuer: str = Field(
        description="Address of the OpenID provider, as its tokens say it; it must have "
        "/.well-known/openid-configuration beneath it."
    )
    client_id: str = Field(
        min_length=1, max_length=512, description="Santral's id at the provider."
    )
    client_secret: SecretRef | None = Field(
        default=None,
        description="Its secret, by reference; without one PKCE alone protects the code.",
    )
    name: str = Field(
        default="",
        max_length=64,
        description="What the button calls the provider; default its host.",
    )
    redirect_url: str | None = Field(
        default=None,
        description="Where the provider sends people back, as registered there: the console's "
        "address with /sign-in/return. Default is made of the address that the browser asked.",
    )
    scopes: list[str] = Field(
        default_factory=lambda: ["openid", "profile", "email"],
        description="What the provider is asked for; openid is always among them.",
    )
    email_claim: str = Field(default="email", description="The claim with the e-mail address.")
    require_verified_email: bool = Field(
        default=True,
        description="Take an address only with `email_verified`. Without it, whoever may choose an "
        "address at the provider may become its owner here.",
    )
    email_domains: list[Domain] | None = Field(
        default=None, description="Domains whose people may sign in; default all of the provider's."
    )
    groups_claim: str = Field(
        default="groups",
        description="The claim with the groups, by name or, where it lies deeper, by path "
        "(`realm_access.roles`).",
    )
    document_groups_claim: str | None = Field(
        default=None,
        description="The claim with the groups whose documents a person's keys may be answered from, "
        "taken over at each sign-in; may be the same claim. Without it groups are set here by hand.",
    )
    roles: list[GroupRoleConfig] = Field(
        default_factory=list[GroupRoleConfig],
        description="Roles by group, set anew at each sign-in; over a tenant named here the groups "
        "alone decide.",
    )
    newcomers: NewcomersConfig | None = Field(
        default=None,
        description="Take in people whom nobody added before; without this table they are refused.",
    )
    api_audiences: list[str] = Field(
        default_factory=list[str],
        description="Audiences of the provider's tokens that the admin API takes as Bearer; none by "
        "default. An ID token's audience is the client_id.",
    )
    leeway_s: float = Field(
        default=60.0, ge=0, le=600, description="How far clocks may differ, for a token's times."
    )
    timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="How long one call to the provider may take."
    )

    @field_validator("issuer", "redirect_url")
    @classmethod
    def _secure(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        is_secure = parts.scheme == "https" or (
            parts.scheme == "http" and parts.hostname in _LOOPBACK
        )
        if not is_secure or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(
                "give an https address without ? and #; http is for this machine itself alone"
            )
        return value
