"""Settings of sources: where documents may be fetched from, and how patiently."""

from __future__ import annotations

from pydantic import Field

from santral.config.secret import SecretRef
from santral.config.section import NetworkText, Seconds, Section


class SourcesConfig(Section):
    """Sources of documents: pages, buckets, repositories and exports that are fetched again and again."""

    allow_networks: list[NetworkText] = Field(
        default_factory=list[NetworkText],
        description="Networks inside, such as 10.1.0.0/16, that sources may be fetched from; default is "
        "the public internet alone.",
    )
    tenant_secrets: list[SecretRef] = Field(
        default_factory=list[SecretRef],
        description="Secrets, e.g. env:WIKI_TOKEN, that whoever may write collections can name in a "
        "source, and so send anywhere; owners of the installation can name every one.",
    )
    timeout_s: Seconds = Field(
        default=20.0, description="Longest wait for a connection, and for the next bytes."
    )
    fetch_s: Seconds = Field(
        default=300.0, description="How long one page, object or file may take as a whole."
    )
    clone_s: Seconds = Field(
        default=900.0, description="How long fetching a Git repository may take."
    )
    max_repository_bytes: int = Field(
        default=2 * 1024 * 1024 * 1024,
        ge=1024 * 1024,
        description="Largest repository, or export, that is fetched.",
    )
    least_every_s: int = Field(
        default=60, ge=1, le=86_400, description="Shortest schedule that a source may have."
    )
    most_sources: int = Field(default=200, ge=1, le=100_000, description="Sources of one tenant.")
    user_agent: str = Field(
        default="Santral (documents for retrieval)",
        pattern=r"^[\x20-\x7e]{1,200}$",
        description="How sites are told who asks; robots.txt is read for its first word.",
    )
