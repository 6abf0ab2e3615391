"""Tasks beside conversations: which kind of provider does which, and how it is asked.

A row here goes with the row of the same kind in ``registry.VENDORS``; a kind without one answers
conversations alone.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from fnmatch import fnmatch
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from santral.config.upstreams import TimeoutsConfig
from santral.errors import ModelNotFound
from santral.providers.connection import Connection
from santral.providers.gemini.provider import GeminiProvider, VertexProvider
from santral.providers.openai.provider import OpenAIProvider
from santral.providers.provider import Operation, Provider, ProviderCall, TaskAnswer, TaskCall
from santral.providers.tasks.complete import CompletionProvider, stream_of
from santral.providers.tasks.embed import Embedder, EmbedWords
from santral.providers.tasks.embed_own import (
    cohere_embedder,
    gemini_embedder,
    ollama_embedder,
    tei_embedder,
    vertex_embedder,
)
from santral.providers.tasks.http import Address, Doer
from santral.providers.tasks.moderate import mistral_moderator, openai_moderator
from santral.providers.tasks.rerank import (
    cohere_reranker,
    jina_reranker,
    nvidia_reranker,
    sglang_reranker,
    tei_reranker,
    voyage_reranker,
)
from santral.providers.upstream import UpstreamClient, UpstreamResponse
from santral.wire.delta import Delta

Build = Callable[[Connection, Address], Doer]


class Endpoint(Struct, frozen=True):
    """Where a task is asked below the provider's address, and who asks.

    A ``path`` that begins with ``:`` is a verb of a model of Google. ``is_root`` means below the
    address without its version.
    """

    path: str
    build: Build
    is_root: bool = False


class TaskRow(Struct, frozen=True, kw_only=True):
    """The tasks of one kind of provider.

    ``names_tell`` says that a model's name tells what it is for: the vendor's embedding models are
    called so, and all others answer conversations.
    """

    embed: Endpoint | None = None
    rerank: Endpoint | None = None
    moderate: Endpoint | None = None
    completes: tuple[str, ...] = ()  # patterns of models that take /completions natively
    names_tell: bool = False


def _openai(words: EmbedWords) -> Endpoint:
    return Endpoint("/embeddings", lambda at, address: Embedder(at, address, words))


_PLAIN = EmbedWords()
_PASSAGES = {"query": "query", "document": "passage"}
_JINA = {
    "query": "retrieval.query",
    "document": "retrieval.passage",
    "classification": "classification",
    "clustering": "separation",
    "similarity": "text-matching",
}

_ALL = ("*",)

#: Sources: each vendor's API reference, as of 2026-11; limits of a call are the vendor's own.
TASKS: Mapping[str, TaskRow] = {
    "openai": TaskRow(
        embed=_openai(_PLAIN),
        moderate=Endpoint("/moderations", openai_moderator),
        completes=("gpt-3.5-turbo-instruct*", "davinci-002", "babbage-002"),
        names_tell=True,
    ),
    "azure": TaskRow(embed=_openai(_PLAIN)),
    "together": TaskRow(
        completes=_ALL,
        embed=_openai(EmbedWords(takes_tokens=False, takes_base64=False)),
        rerank=Endpoint("/rerank", jina_reranker),
    ),
    "fireworks": TaskRow(
        completes=_ALL,
        embed=_openai(EmbedWords(takes_base64=False)),
        rerank=Endpoint("/rerank", jina_reranker),
    ),
    "openrouter": TaskRow(embed=_openai(_PLAIN), rerank=Endpoint("/rerank", cohere_reranker)),
    "nvidia": TaskRow(
        embed=_openai(
            EmbedWords(
                purpose="input_type",
                purposes=_PASSAGES,
                default_purpose="passage",
                takes_tokens=False,
            )
        ),
        rerank=Endpoint("/ranking", nvidia_reranker),
    ),
    "mistral": TaskRow(
        embed=_openai(
            EmbedWords(
                most_inputs=512,
                dimensions="output_dimension",
                takes_tokens=False,
                takes_base64=False,
            )
        ),
        moderate=Endpoint("/moderations", mistral_moderator),
        names_tell=True,
    ),
    "cohere": TaskRow(
        embed=Endpoint("/v2/embed", cohere_embedder, is_root=True),
        rerank=Endpoint("/v2/rerank", cohere_reranker, is_root=True),
        names_tell=True,
    ),
    "gemini": TaskRow(embed=Endpoint(":batchEmbedContents", gemini_embedder), names_tell=True),
    "vertex": TaskRow(embed=Endpoint(":predict", vertex_embedder), names_tell=True),
    "voyage": TaskRow(
        embed=_openai(
            EmbedWords(
                most_inputs=1000,
                dimensions="output_dimension",
                purpose="input_type",
                purposes={"query": "query", "document": "document"},
                takes_tokens=False,
                takes_base64=False,
            )
        ),
        rerank=Endpoint("/rerank", voyage_reranker),
    ),
    "jina": TaskRow(
        embed=_openai(
            EmbedWords(purpose="task", purposes=_JINA, takes_tokens=False, takes_base64=False)
        ),
        rerank=Endpoint("/rerank", jina_reranker),
    ),
    "tei": TaskRow(
        embed=Endpoint("/embed", tei_embedder, is_root=True),
        rerank=Endpoint("/rerank", tei_reranker, is_root=True),
    ),
    "vllm": TaskRow(
        embed=_openai(_PLAIN), rerank=Endpoint("/rerank", jina_reranker), completes=_ALL
    ),
    "sglang": TaskRow(
        embed=_openai(_PLAIN), rerank=Endpoint("/rerank", sglang_reranker), completes=_ALL
    ),
    "llamacpp": TaskRow(
        embed=_openai(_PLAIN), rerank=Endpoint("/rerank", jina_reranker), completes=_ALL
    ),
    "localai": TaskRow(
        completes=_ALL,
        embed=_openai(EmbedWords(takes_base64=False)),
        rerank=Endpoint("/rerank", jina_reranker),
    ),
    "lmstudio": TaskRow(embed=_openai(EmbedWords(takes_tokens=False)), completes=_ALL),
    "ollama": TaskRow(embed=Endpoint("/api/embed", ollama_embedder, is_root=True)),
    "ollama-openai": TaskRow(embed=Endpoint("/api/embed", ollama_embedder, is_root=True)),
    "transformers": TaskRow(completes=_ALL),
    "triton-openai": TaskRow(embed=_openai(_PLAIN), completes=_ALL),
    "openai-compatible": TaskRow(
        embed=_openai(_PLAIN),
        rerank=Endpoint("/rerank", jina_reranker),
        moderate=Endpoint("/moderations", openai_moderator),
    ),
}

#: What a model is for, by its name, where names tell.
_BY_NAME: tuple[tuple[re.Pattern[str], Operation], ...] = (
    (re.compile("rerank"), "rerank"),
    (re.compile("embed"), "embed"),
    (re.compile("moderation"), "moderate"),
)
_TASKS: frozenset[Operation] = frozenset({"embed", "rerank", "moderate"})


class Tasked:
    """A provider that does tasks beside what it does already."""

    def __init__(
        self,
        provider: Provider,
        doers: Mapping[Operation, Doer],
        *,
        names_tell: bool = False,
        purposes: Mapping[str, Operation] | None = None,
        completer: Provider | None = None,
        completes: tuple[str, ...] = (),
    ) -> None:
        """``purposes`` names models that are for one thing; their siblings answer conversations.

        ``completer`` completes text natively with the models that ``completes`` has patterns of.
        """
        self.provider = provider
        self._doers = doers
        self._names_tell = names_tell
        self._purposes = purposes or {}
        self._completer = completer
        self._completes = completes
        own: set[Operation] = {*provider.operations, *doers}
        if completer is not None:
            own.add("complete")
        self.operations: frozenset[Operation] = frozenset(own)

    def __repr__(self) -> str:
        return repr(self.provider)

    def operations_of(self, model: str) -> frozenset[Operation]:
        """Return what can be asked of one model."""
        known = self._known_of(model)
        return known if self._native(model) is not None else known - {"complete"}

    def _native(self, model: str) -> Provider | None:
        return self._completer if any(fnmatch(model, p) for p in self._completes) else None

    def _known_of(self, model: str) -> frozenset[Operation]:
        if model in self._purposes:
            return frozenset({self._purposes[model]})
        if self._purposes:
            return self.provider.operations
        if not self._names_tell:
            return self.operations
        name = model.lower()
        named: set[Operation] = {
            operation
            for mark, operation in _BY_NAME
            if mark.search(name) and operation in self.operations
        }
        if named:
            return frozenset(named)
        return (self.operations - _TASKS) or self.operations

    def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        """Yield the provider's own deltas; a completion's by the way that the model takes."""
        if call.dialect != "completions":
            return self.provider.stream(call)
        return stream_of(self.provider, call, self._native(call.model))

    async def perform(self, call: TaskCall) -> TaskAnswer:
        """Do a task; errors as in ``Provider``."""
        doer = self._doers.get(call.operation)
        if doer is None:
            return await self.provider.perform(call)
        return await doer(call)


class TasksAlone:
    """A provider without conversations: Jina, Voyage, TEI."""

    operations: frozenset[Operation] = frozenset()

    def __init__(self, base_url: str = "") -> None:
        self._base_url = base_url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._base_url!r})"

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        """Refuse: no conversation is sent to a provider that names no ``chat``."""
        raise ModelNotFound(f"'{call.model}' embeds or reranks and answers no conversations.")
        yield Delta()  # makes this a generator

    async def perform(self, call: TaskCall) -> TaskAnswer:
        """Refuse: every task it can do has its own doer."""
        raise ModelNotFound(f"'{call.model}' cannot do '{call.operation}'.")


def operations_of(provider: Provider, model: str) -> frozenset[Operation]:
    """Return what can be asked of a model at a provider."""
    return provider.operations_of(model) if isinstance(provider, Tasked) else provider.operations


def with_tasks(provider: Provider, connection: Connection) -> Provider:
    """Return the provider with the tasks that its kind does."""
    row = TASKS.get(connection.vendor.kind, TaskRow())
    if isinstance(provider, VertexProvider):
        signing = SigningClient(connection.client, provider.signature)
        connection = msgspec.structs.replace(connection, client=signing)
    endpoints: tuple[tuple[Operation, Endpoint | None], ...] = (
        ("embed", row.embed),
        ("rerank", row.rerank),
        ("moderate", row.moderate),
    )
    doers: dict[Operation, Doer] = {
        operation: endpoint.build(
            connection, _address(provider, connection, endpoint.path, is_root=endpoint.is_root)
        )
        for operation, endpoint in endpoints
        if endpoint is not None
    }
    completer: Provider | None = None
    if row.completes and isinstance(provider, OpenAIProvider):
        address = _address(provider, connection, "/completions")
        completer = CompletionProvider(connection, address)
    return Tasked(
        provider,
        doers,
        names_tell=row.names_tell,
        completer=completer,
        completes=row.completes,
    )


_VERSION = re.compile(r"/(?:compatibility/)?v\d+(?:beta\d*)?$")


def _address(
    provider: Provider, connection: Connection, path: str, *, is_root: bool = False
) -> Address:
    """Return where each model is asked: beside the provider's own conversations where it names them."""
    if isinstance(provider, GeminiProvider):
        return lambda model: provider.address(model, path.removeprefix(":"))
    root = _VERSION.sub("", connection.base_url) if is_root else connection.base_url
    if is_root or not isinstance(provider, OpenAIProvider):
        return lambda model: root + path

    def beside(model: str) -> str:
        parts = urlsplit(provider.address(model))
        return urlunsplit(parts._replace(path=parts.path.removesuffix("/chat/completions") + path))

    return beside


class SigningClient:
    """A client that adds a signature to every call: Google's tokens, which are renewed."""

    def __init__(
        self, client: UpstreamClient, signature: Callable[[], Awaitable[dict[str, str]]]
    ) -> None:
        self._client = client
        self._signature = signature

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeouts: TimeoutsConfig,
        *,
        is_streaming: bool = False,
    ) -> UpstreamResponse:
        """Sign and send; see ``UpstreamClient``."""
        signed = {**headers, **await self._signature()}
        return await self._client.post(url, signed, body, timeouts, is_streaming=is_streaming)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()
