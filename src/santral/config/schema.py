"""The settings: one frozen ``Config``, read from santral.toml and ``SANTRAL_*``.

Every setting has a default and a description here, and nowhere else: ``santral config schema``, the
reference page and the error messages are made from these classes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from santral.config.alerts import AlertsConfig
from santral.config.caching import CacheStoreConfig
from santral.config.collections import CollectionConfig, IndexServerConfig
from santral.config.evals import EvalsConfig
from santral.config.experiments import ExperimentConfig, LayerConfig
from santral.config.feedback import FeedbackConfig, HeldConfig
from santral.config.limits import LimitsConfig
from santral.config.policies import PolicyConfig
from santral.config.routes import RouteConfig
from santral.config.safekeeping import AuditConfig, SecretsConfig
from santral.config.secret import OutsideRef
from santral.config.section import Name, NetworkText, Seconds, Section
from santral.config.sources import SourcesConfig
from santral.config.sso import SsoConfig
from santral.config.upstreams import DeploymentConfig, ProviderConfig


class ServerConfig(Section):
    """The gateway: the data plane that applications call."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one."
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Worker processes; more than 1 need `limits.url`, so that limits hold over all.",
    )
    max_body_bytes: int = Field(
        default=8 * 1024 * 1024, ge=1024, description="Largest request body; larger ones get a 413."
    )
    max_in_flight: int = Field(
        default=4096, ge=1, description="Requests a worker holds at once; further ones get a 503."
    )
    drain_s: Seconds = Field(
        default=30.0,
        description="How long a stopping gateway lets streams finish before it cuts them.",
    )
    body_s: Seconds = Field(
        default=30.0, description="How long a client may take to send its body."
    )
    stuck_s: float = Field(
        default=20.0,
        ge=2,
        le=600,
        description="A worker whose event loop stands still for so long is killed and replaced.",
    )
    allow_private_urls: bool = Field(
        default=False,
        description="Pass on images and files whose address is on a private network; engines that "
        "fetch them can then be sent anywhere.",
    )
    trusted_proxies: list[NetworkText] = Field(
        default_factory=list,
        description="Networks of the proxies in front of Santral, such as 10.0.0.0/8: from them alone "
        "X-Forwarded-For is believed, when a key is bound to networks and in the audit log.",
    )


class ControlConfig(Section):
    """The control process: admin API, console, collector and jobs."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=8081, ge=0, le=65535, description="Port to listen on; 0 takes a free one."
    )


class DataConfig(Section):
    """Where the embedded engines keep their files."""

    folder: Path = Field(
        default=Path("santral-data"),
        description="Folder for databases, spool and indexes; relative to santral.toml.",
    )


class DatabaseConfig(Section):
    """The control database: tenants, keys, documents, ledger."""

    url: OutsideRef | None = Field(
        default=None,
        description="SQLAlchemy URL, e.g. env:DATABASE_URL with postgresql+asyncpg://…; "
        "default is SQLite in the data folder.",
    )


class TelemetryConfig(Section):
    """Traces: how they leave the worker and what of them is kept."""

    payloads: Literal["full", "redacted", "hashes", "none"] = Field(
        default="full",
        description="What is kept of prompts and answers, for tenants that say nothing of their own: "
        "all that passed the checks; the same with every known entity masked; a keyed hash and the "
        "length of each message; nothing.",
    )
    retention_days: int | None = Field(
        default=90,
        ge=1,
        le=36_500,
        description="How long traces, payloads, stored responses and files are kept, for tenants that "
        "say nothing of their own; the ledger and the audit log are not meant.",
    )
    hash_key: OutsideRef | None = Field(
        default=None,
        description="Key of the hashes that stand for messages and of the names that stand for erased "
        "people, e.g. env:HASH_KEY; the same on every machine. Default is one made once in "
        "the data folder.",
    )
    max_payload_bytes: int = Field(
        default=65_536,
        ge=0,
        description="Longest request or answer kept; the rest is cut and marked.",
    )
    spool_max_bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=65_536,
        description="Bound of the spool of all workers of this machine together, an equal share for "
        "each; beyond it traces are dropped and counted.",
    )
    spool_fsync: bool = Field(
        default=False,
        description="Sync every record to disk: survives power loss, costs a disk write.",
    )
    collect_every_s: Seconds = Field(
        default=0.5, description="How often the collector moves the spool into the store."
    )


class ResponsesConfig(Section):
    """Responses that are kept for `previous_response_id`, in the data folder."""

    store: bool = Field(
        default=True, description="Whether a response is kept when its request does not say."
    )
    keep_days: float = Field(
        default=30.0, gt=0, le=3650, description="How long a response is kept."
    )
    max_per_tenant: int = Field(
        default=100_000, ge=1, description="Responses kept of a tenant; the oldest ones go first."
    )
    max_bytes_per_tenant: int = Field(
        default=1024 * 1024 * 1024,
        ge=65_536,
        description="Bytes kept of a tenant; the oldest responses go first.",
    )
    max_response_bytes: int = Field(
        default=32 * 1024 * 1024,
        ge=1024,
        description="Largest response kept, with its conversation; a larger one is answered and "
        "not kept, and says so in its field `store`.",
    )


class PromptsConfig(Section):
    """Prompts kept as files."""

    folder: Path = Field(
        default=Path("prompts"),
        description="Folder of <name>/<semver>.md; relative to santral.toml.",
    )


class PricesConfig(Section):
    """Prices of models."""

    file: Path | None = Field(
        default=None,
        description="Your own prices, counted before the catalogue's; relative to santral.toml.",
    )
    unknown: Literal["allow", "refuse"] = Field(
        default="allow",
        description="Whether a model without a price may be called (its cost is unknown, never zero).",
    )


class BatchesConfig(Section):
    """Files and batches: many requests in one file, answered when there is room."""

    enabled: bool = Field(default=True, description="Whether this process works batches off.")
    native: bool = Field(
        default=True,
        description="Use the providers' own batches, at their discount, where they have them.",
    )
    native_poll_s: Seconds = Field(
        default=30.0, description="How often a provider is asked how far its batch is."
    )
    concurrency: int = Field(
        default=4, ge=1, le=256, description="Requests of batches asked at once."
    )
    yield_above: int = Field(
        default=32,
        ge=0,
        description="Interactive requests under way above which batches wait.",
    )
    max_file_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1024, description="Largest uploaded file."
    )
    max_lines: int = Field(default=50_000, ge=1, description="Most requests of one batch.")
    max_tenant_bytes: int = Field(
        default=2 * 1024 * 1024 * 1024,
        ge=1024,
        description="What the files of one tenant may take.",
    )
    keep_days: int = Field(
        default=30, ge=1, le=3650, description="How long files and ended batches are kept."
    )


class LogConfig(Section):
    """Logs of the processes; prompts and answers never enter them."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level."
    )
    format: Literal["auto", "json", "text"] = Field(
        default="auto", description="JSON lines, or text; auto is text on a terminal."
    )


class Config(Section):
    """Everything that santral.toml and the environment say."""

    server: ServerConfig = Field(default_factory=ServerConfig)
    control: ControlConfig = Field(default_factory=ControlConfig)
    data: DataConfig = Field(default_factory=DataConfig)
    database: DatabaseConfig = Field(default_factory=DatabaseConfig)
    secrets: SecretsConfig = Field(default_factory=SecretsConfig)
    audit: AuditConfig = Field(default_factory=AuditConfig)
    telemetry: TelemetryConfig = Field(default_factory=TelemetryConfig)
    log: LogConfig = Field(default_factory=LogConfig)
    sso: SsoConfig | None = Field(default=None)
    batches: BatchesConfig = Field(default_factory=BatchesConfig)
    cache: CacheStoreConfig = Field(default_factory=CacheStoreConfig)
    limits: LimitsConfig = Field(default_factory=LimitsConfig)
    alerts: AlertsConfig = Field(default_factory=AlertsConfig)
    responses: ResponsesConfig = Field(default_factory=ResponsesConfig)
    feedback: FeedbackConfig = Field(default_factory=FeedbackConfig)
    held: HeldConfig = Field(default_factory=HeldConfig)
    prompts: PromptsConfig = Field(default_factory=PromptsConfig)
    prices: PricesConfig = Field(default_factory=PricesConfig)
    evals: EvalsConfig = Field(default_factory=EvalsConfig)
    providers: dict[Name, ProviderConfig] = Field(default_factory=dict)
    deployments: dict[Name, DeploymentConfig] = Field(default_factory=dict)
    routes: dict[Name, RouteConfig] = Field(default_factory=dict)
    residency: dict[Name, list[Name]] = Field(
        default_factory=dict, description="Regions that a tenant's requests may go to, by its id."
    )
    policies: dict[Name, PolicyConfig] = Field(default_factory=dict)
    experiments: dict[Name, ExperimentConfig] = Field(default_factory=dict)
    layers: dict[Name, LayerConfig] = Field(default_factory=dict)
    collections: dict[Name, CollectionConfig] = Field(default_factory=dict)
    indexes: dict[Name, IndexServerConfig] = Field(default_factory=dict)
    sources: SourcesConfig = Field(default_factory=SourcesConfig)


#: What may change without a restart; everything else is refused on reload with its name.
RELOADABLE = frozenset(
    {
        "providers",
        "deployments",
        "routes",
        "residency",
        "policies",
        "experiments",
        "layers",
        "collections",
        "indexes",
        "limits",
        "responses",
        "feedback",
        "held",
        "prompts",
        "prices",
        "batches",
    }
)

VERSION = re.compile(r"^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$")
