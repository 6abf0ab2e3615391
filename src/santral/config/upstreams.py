"""Settings of what is called: providers, their clocks, deployments."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from santral.config.secret import SecretRef
from santral.config.section import Name, Seconds, Section


class ProviderConfig(Section):
    """A vendor or engine: where it is and how to sign in."""

    kind: str = Field(
        default="openai", description="Row of the provider registry: its dialect and quirks."
    )
    base_url: str | None = Field(
        default=None, description="Where its API begins; default from the registry."
    )
    api_key: SecretRef | None = Field(
        default=None, description="Its key, by reference: env:NAME or file:PATH."
    )
    api_keys: list[SecretRef] = Field(
        default_factory=list[SecretRef],
        description="Further keys, by reference: all of them are used in turn, and one that the "
        "provider refuses or throttles rests.",
    )
    bearer_token: SecretRef | None = Field(
        default=None,
        description="A short-lived token instead of a key, by reference and read again every "
        "minute: an Entra ID token that something else renews.",
    )
    api_version: str | None = Field(
        default=None,
        description="Azure OpenAI: the api-version of the deployment path; without one the path "
        "/openai/v1 is used.",
    )
    region: str | None = Field(
        default=None,
        description="Vertex AI and Bedrock: where the models are, for example europe-west4, global "
        "or eu-central-1.",
    )
    project: str | None = Field(
        default=None, description="Vertex AI: the Google Cloud project that pays."
    )
    credentials: SecretRef | None = Field(
        default=None,
        description="Vertex AI: the JSON key of a service account, by reference: file:PATH.",
    )
    access_key_id: SecretRef | None = Field(
        default=None,
        description="Bedrock: the AWS access key, by reference. Without one, api_key is a Bedrock "
        "API key.",
    )
    secret_access_key: SecretRef | None = Field(
        default=None, description="Bedrock: the secret of the AWS access key, by reference."
    )
    session_token: SecretRef | None = Field(
        default=None,
        description="Bedrock: the session token of temporary AWS credentials, by reference.",
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="Further headers for every call."
    )
    max_connections: int = Field(
        default=256, ge=1, description="Connections kept to it per worker."
    )


class TimeoutsConfig(Section):
    """Four clocks of one attempt, in seconds."""

    connect_s: Seconds = Field(default=5.0, description="Until the connection stands.")
    first_delta_s: Seconds = Field(default=60.0, description="Until the first event with content.")
    between_deltas_s: Seconds = Field(default=30.0, description="Between two events of a stream.")
    total_s: Seconds = Field(default=600.0, description="Until the answer is whole.")


#: What a request may need and a model may lack.
Capability: TypeAlias = Literal[
    "tools",
    "parallel_tools",
    "json_schema",
    "json_object",
    "vision",
    "audio_in",
    "files",
    "reasoning",
    "logprobs",
    "prompt_cache",
    "streaming",
    "n",
]


class DeploymentConfig(Section):
    """One model at one endpoint."""

    provider: Name = Field(description="A name under [providers].")
    model: str = Field(min_length=1, description="The model's name at that provider.")
    timeouts: TimeoutsConfig = Field(default_factory=TimeoutsConfig, description="Its clocks.")
    price: str | None = Field(
        default=None,
        description="Row of the prices; default is the provider's kind and the model.",
    )
    retries: int = Field(
        default=1,
        ge=0,
        le=10,
        description="Further attempts after an error that may pass: no connection, 5xx.",
    )
    backoff_s: Seconds = Field(
        default=0.25,
        description="Longest wait before the first of them; doubled for each further one.",
    )
    max_backoff_s: Seconds = Field(
        default=8.0, description="Longest wait, also where the provider asks for a longer one."
    )
    emulate_stop: bool = Field(
        default=False,
        description="Cut answers at the request's stop sequences here, for a model that refuses or "
        "ignores `stop`.",
    )
    region: Name | None = Field(
        default=None,
        description="Where it runs, such as eu-west-1; 'local' is inside your own walls and "
        "satisfies every allowed_regions.",
    )
    capabilities: dict[Capability, bool] = Field(
        default_factory=dict[Capability, bool],
        description="What it can and cannot do, over what the model catalogue says; what neither "
        "names is unknown and tried.",
    )
    context_tokens: int | None = Field(
        default=None, ge=1, description="Its context window, over the catalogue's."
    )
    max_output_tokens: int | None = Field(
        default=None, ge=1, description="Most output tokens of one answer, over the catalogue's."
    )
    quality: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Its measured quality on your own evaluation; routes compare it with min_quality.",
    )
