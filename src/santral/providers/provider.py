"""What the gateway asks of every provider: one call in, deltas out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Literal, Protocol, TypeAlias

from msgspec import Raw, Struct, field

from santral.config.upstreams import TimeoutsConfig
from santral.errors import ModelNotFound
from santral.wire.delta import Delta, Source
from santral.wire.loss import Losses
from santral.wire.usage import Usage

#: What can be asked of a deployment: ``chat`` streams deltas, the others are one body in and out.
Operation: TypeAlias = Literal["chat", "embed", "rerank", "moderate", "complete", "count_tokens"]


class ProviderCall(Struct, kw_only=True):
    """One call to one model, already composed: what is sent and how long it may take.

    ``fields`` are the top-level fields of the chat request without ``santral``, raw slices where no
    stage changed them; ``messages`` is a list of raw slices or dicts. A provider never changes them:
    the next deployment of the ladder gets the same call. ``native`` are the fields that only the
    dialect in which the request came knows: a provider of that dialect sends them, any other notes
    them in ``losses``.
    """

    model: str
    fields: dict[str, Any]
    is_streaming: bool
    timeouts: TimeoutsConfig
    question: str = ""
    sources: tuple[Source, ...] = ()
    traceparent: str = ""
    max_output_tokens: int | None = None  # upper bound of the output, whatever the fields say
    dialect: str = "chat"
    native: Mapping[str, Raw] = field(default_factory=dict[str, Raw])
    losses: Losses = field(default_factory=Losses)
    caller_headers: Mapping[str, str] = field(default_factory=dict[str, str])  # anthropic-beta, ...
    prompt_cache: Literal["pass", "auto"] = "pass"  # auto: mark what is worth caching, if none is


#: Parts of a batch that were answered, by number, with what each used: another attempt at the same
#: deployment asks for the others alone.
Parts: TypeAlias = dict[int, tuple[Any, Usage]]


class TaskCall(Struct, kw_only=True):
    """One call that is no conversation, in its canonical form.

    ``embed`` and ``moderate`` speak OpenAI's shapes, ``rerank`` Cohere's, ``complete`` OpenAI's
    legacy completions, ``count_tokens`` takes the fields of a chat request.
    """

    operation: Operation
    model: str
    fields: dict[str, Any]
    timeouts: TimeoutsConfig
    traceparent: str = ""
    losses: Losses = field(default_factory=Losses)
    usage: Usage | None = None  # what this attempt used so far, also when the rest of a batch fails
    parts: Parts = field(default_factory=dict[int, tuple[Any, Usage]])

    def spend(self, usage: Usage) -> None:
        """Note what a part of this call used; its provider bills it whatever becomes of the rest."""
        self.usage = usage if self.usage is None else self.usage.plus(usage)


class TaskAnswer(Struct, frozen=True, kw_only=True):
    """The answer in the canonical form of its operation, as JSON, and what it used."""

    body: bytes
    usage: Usage


class ChatOnly:
    """What a provider is that answers conversations and no tasks."""

    operations: frozenset[Operation] = frozenset({"chat"})

    async def perform(self, call: TaskCall) -> TaskAnswer:
        """Refuse: the gateway asks for nothing that ``operations`` does not name.

        Raises:
            ModelNotFound: always.
        """
        raise ModelNotFound(
            f"'{call.model}' is for conversations and cannot do '{call.operation}'."
        )


class Provider(Protocol):
    """A vendor or engine that answers calls in its own dialect."""

    @property
    def operations(self) -> frozenset[Operation]:
        """What it can do; the gateway asks for nothing else."""
        ...

    def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        """Yield the answer: one whole delta, or the deltas of a stream with usage in the last.

        Every answer reports usage, estimated and marked so where the provider gives none. In a
        stream every choice's first delta carries its role, and ``raw`` has no usage beside choices.
        Closing the generator closes the connection to the provider at once. What of the call the
        dialect cannot say goes into ``call.losses`` before the first delta.

        Raises:
            ProviderError: its subclass says what failed and whether another deployment may help.
        """
        ...

    async def perform(self, call: TaskCall) -> TaskAnswer:
        """Return the answer to a task of ``operations``; errors as in ``stream``."""
        ...
