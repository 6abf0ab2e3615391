"""How the audit log is kept, and what wraps the keys under which secrets and payloads lie."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from santral.config.secret import OutsideRef, SecretRef
from santral.config.section import Name, Seconds, Section


class AuditConfig(Section):
    """The log of who did what."""

    keep_months: int = Field(
        default=12,
        ge=6,
        le=1200,
        description="How long rows are kept; older ones are cut, and the chain still verifies.",
    )
    decisions: bool = Field(
        default=True,
        description="Whether what guardrails refuse or mask becomes a row, too (never the text).",
    )
    witness_every_s: Seconds = Field(
        default=2.0,
        description="How often the newest row's number and hash are written to a file beside the "
        "database; rows cut off the end within that time cannot be missed.",
    )


class TransitConfig(Section):
    """A key management that speaks the transit interface of HashiCorp Vault or OpenBao."""

    url: str = Field(pattern=r"^https?://[^/?#\s]+/?$", description="Its address, without a path.")
    key: Name = Field(description="The key there that wraps; of a type with associated data.")
    token: OutsideRef = Field(description="The token that may encrypt and decrypt with it.")
    mount: str = Field(
        default="transit", pattern=r"^[A-Za-z0-9._/-]+$", description="Where the engine is mounted."
    )
    namespace: str = Field(default="", description="Its namespace, where it has such.")
    timeout_s: Seconds = Field(default=5.0, description="How long one answer may take.")


class SecretsConfig(Section):
    """What wraps the data keys under which secrets and payloads are sealed."""

    master_key: OutsideRef | None = Field(
        default=None,
        description="32 bytes in base 64, by reference, e.g. env:MASTER_KEY or "
        "file:/run/secrets/santral. Make one with: openssl rand -base64 32.",
    )
    previous_master_keys: list[OutsideRef] = Field(
        default_factory=list[SecretRef],
        description="Keys that still open what they wrapped, until `santral secrets rewrap` is done.",
    )
    transit: TransitConfig | None = Field(
        default=None, description="Key management that wraps instead of a master key."
    )
    wrap_with: Literal["master_key", "transit"] | None = Field(
        default=None,
        description="Which of the two wraps where both are set; default is transit. The other one "
        "still opens.",
    )
