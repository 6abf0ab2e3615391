"""What each kind of source is told: one class for each, with a description for every setting."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from santral.config.secret import SecretRef
from santral.config.section import Section
from santral.retrieval.document import Attribute, Lifecycle

Url = Annotated[str, Field(min_length=8, max_length=4096)]
Prefix = Annotated[str, Field(max_length=1024)]
Group = Annotated[str, Field(min_length=1, max_length=128)]
Pattern = Annotated[str, Field(min_length=1, max_length=256)]


class SourceSettings(Section):
    """What is known of all documents of a source, and which are taken."""

    groups: dict[Prefix, Annotated[list[Group], Field(min_length=1)]] = Field(
        default_factory=dict[str, list[str]],
        max_length=1000,
        description="Who may see documents, by how their path begins; the longest beginning decides, "
        "'' is every other one: { '' = ['staff'], 'hr/' = ['hr'] }. Default is everybody.",
    )
    owner: str = Field(default="", max_length=256, description="Who answers for the documents.")
    lifecycle: Lifecycle = Field(default="current", description="Where they stand in their life.")
    attributes: dict[str, Attribute] = Field(
        default_factory=dict[str, Attribute],
        max_length=64,
        description="Fields of your own, to filter by.",
    )
    include: list[Pattern] = Field(
        default_factory=list[str],
        max_length=100,
        description="Only paths that fit one of these, e.g. 'docs/*.md' (* also crosses folders).",
    )
    exclude: list[Pattern] = Field(
        default_factory=list[str], max_length=100, description="No paths that fit one of these."
    )
    max_items: int = Field(
        default=100_000, ge=1, le=10_000_000, description="Most documents; more are not taken."
    )
    hook_secret: SecretRef | None = Field(
        default=None,
        description="Secret by which GitHub signs its webhooks; others send the token of the source.",
    )


class WebSettings(SourceSettings):
    """What sites are asked with."""

    bearer: SecretRef | None = Field(
        default=None, description="Token to send to the first host, e.g. env:WIKI_TOKEN."
    )
    basic: SecretRef | None = Field(
        default=None, description="User and password to send, as user:password behind a reference."
    )

    @model_validator(mode="after")
    def _one(self) -> WebSettings:
        if self.bearer is not None and self.basic is not None:
            raise ValueError("bearer and basic are both set: take one of them")
        return self


class UrlSettings(WebSettings):
    """Pages, one by one."""

    urls: list[Url] = Field(min_length=1, max_length=10_000, description="The pages.")
    pause_s: float = Field(
        default=0.2, ge=0, le=60, description="Pause between two requests to one host."
    )


class SitemapSettings(WebSettings):
    """The pages that a site lists."""

    url: Url = Field(description="Its sitemap or sitemap index, or the site: then robots.txt says.")
    pause_s: float = Field(
        default=0.2, ge=0, le=60, description="Pause between two requests to one host."
    )
    hosts: list[str] = Field(
        default_factory=list[str],
        max_length=100,
        description="Other hosts whose pages may be taken; default is that of url alone.",
    )
    max_total_bytes: int = Field(
        default=2 * 1024 * 1024 * 1024, ge=1024, description="Bytes of all pages of one run."
    )
    robots: bool = Field(default=True, description="Whether robots.txt is obeyed.")
    trust_lastmod: bool = Field(
        default=False,
        description="Ask only for pages whose <lastmod> has changed: much faster, where a site keeps it.",
    )


class FolderSettings(SourceSettings):
    """A folder of this machine."""

    path: str = Field(min_length=1, max_length=4096, description="The folder, as a whole path.")
    url_template: str = Field(
        default="", max_length=2048, description="Link of a document; {path} is its path below."
    )


class S3Settings(SourceSettings):
    """A bucket, or a part of it."""

    bucket: str = Field(
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="Name of the bucket."
    )
    prefix: str = Field(
        default="", max_length=1024, description="Only keys in this folder, e.g. handbook/."
    )
    region: str = Field(
        default="us-east-1", pattern=r"^[a-z0-9-]{1,32}$", description="Its region."
    )
    endpoint: str | None = Field(
        default=None,
        max_length=2048,
        description="https://HOST of a server that is not Amazon's, such as MinIO.",
    )
    access_key: SecretRef | None = Field(
        default=None, description="Reference to the access key; default is to ask without one."
    )
    secret_key: SecretRef | None = Field(default=None, description="Reference to its secret.")
    session_token: SecretRef | None = Field(
        default=None, description="Reference to the session token, where there is one."
    )
    url_template: str = Field(
        default="", max_length=2048, description="Link of a document; {key} is its key."
    )

    @model_validator(mode="after")
    def _pair(self) -> S3Settings:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key go together: set both or neither")
        return self


class GitSettings(SourceSettings):
    """A branch of a repository."""

    url: str = Field(min_length=1, max_length=4096, description="https://… of the repository.")
    branch: str = Field(
        default="",
        pattern=r"^$|^[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}$",
        description="Its branch; default is the repository's own.",
    )
    folder: str = Field(default="", max_length=1024, description="Only what is in this folder.")
    token: SecretRef | None = Field(default=None, description="Token or password to fetch with.")
    user: str = Field(
        default="x-access-token", max_length=128, description="Name that goes with the token."
    )
    history: int = Field(
        default=200,
        ge=1,
        le=1_000_000,
        description="Commits fetched at first, to know when each file last changed.",
    )
    url_template: str = Field(
        default="",
        max_length=2048,
        description="Link of a document, of {path}, {branch} and {commit} (the one that last changed "
        "it); default is the page of GitHub, GitLab, Bitbucket or Gitea.",
    )


class ExportSettings(WebSettings):
    """A zip file that another program exported."""

    path: str = Field(default="", max_length=4096, description="The file on this machine, or")
    url: str = Field(default="", max_length=4096, description="where it is fetched.")
    site: str = Field(
        default="", max_length=2048, description="Address of the wiki, for links to its pages."
    )

    @model_validator(mode="after")
    def _one_place(self) -> ExportSettings:
        if bool(self.path) == bool(self.url):
            raise ValueError("give either path or url")
        return self


class ConfluenceSettings(ExportSettings):
    """A space of Confluence, exported as HTML or XML."""


class NotionSettings(ExportSettings):
    """A workspace of Notion, exported as Markdown or HTML."""


class PushSettings(SourceSettings):
    """Documents that an application pushes through the API."""
