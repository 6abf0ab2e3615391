"""What is asked of a target, and what it answered."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol

from msgspec import Struct, field

from santral.evals.example import ToolCall
from santral.wire.usage import Usage


class Question(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request to a route, with everything that an answer depends on."""

    model: str  # a route, or a deployment by its bare name
    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    prompt: str = ""  # NAME, NAME@LABEL or NAME@1.2.0; empty: the route's own
    variables: dict[str, Any] = field(default_factory=dict[str, Any])
    tools: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    settings: dict[str, Any] = field(default_factory=dict[str, Any])  # temperature, seed, ...
    output_schema: dict[str, Any] | None = None
    top_logprobs: int = 0  # of each token of the answer; 0: none are asked for
    extras: dict[str, Any] = field(default_factory=dict[str, Any])  # of the body's field santral
    tags: dict[str, str] = field(default_factory=dict[str, str])  # of its trace and ledger rows
    timeout_s: float = 120.0


class Passage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A passage that was given to the model."""

    document: str  # the name people see
    text: str = ""  # empty: the target does not tell it (a server elsewhere)
    document_id: str = ""
    chunk_id: str = ""
    score: float = 0.0
    is_cited: bool = False


class Chance(Struct, frozen=True):
    """A token that a model might have said, and the logarithm of its probability."""

    token: str
    logprob: float


class Answer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came back. ``error`` is a stable code; an answer with one has no text to score."""

    text: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list[ToolCall])
    passages: list[Passage] = field(default_factory=list[Passage])
    hides_passages: bool = False  # a server elsewhere tells those that are cited, at most
    finish_reason: str = ""
    refusal: str = ""  # the model's own words of refusal, where the provider marks them
    chances: list[list[Chance]] = field(default_factory=list[list[Chance]])  # by token, best first
    model: str = ""
    deployment: str = ""
    prompt: str = ""
    prompt_version: str = ""
    usage: Usage | None = None
    cost_nanousd: int | None = None  # None: the price is unknown
    latency_us: int = 0
    ttft_us: int | None = None
    cache: str = "off"
    verdicts: dict[str, str] = field(default_factory=dict[str, str])  # check to found, failed
    trace_id: str = ""
    error: str = ""
    error_message: str = ""
    is_replayed: bool = False  # it was stored before: latency and cost are of then


class Ask(Protocol):
    """Puts one question to a gateway: in this process, or at a server elsewhere.

    What goes wrong with one question is an answer with ``error``; only what will go wrong with all of
    them is raised (``SantralError``: no such route, no such prompt).
    """

    def __call__(self, question: Question) -> Awaitable[Answer]: ...
