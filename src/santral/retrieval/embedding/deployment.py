"""A model of another machine: an embeddings deployment of santral.toml, asked as the gateway asks."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any, Literal, TypeAlias

import numpy as np
from msgspec import Struct

from santral.config.upstreams import DeploymentConfig
from santral.errors import (
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderGarbled,
    ProviderTimeout,
    ProviderUnreachable,
)
from santral.providers.provider import Provider, TaskCall
from santral.retrieval.analysis.counts import Floats
from santral.retrieval.embedding.model import ModelCard, wrong_dimension
from santral.wire.embeddings import Vector, read_embeddings
from santral.wire.usage import Usage

#: In front of a deployment's name, where a model is named.
PREFIX = "deployment:"
#: Texts of one call; the provider's own limits split it further. Chosen.
TEXTS_AT_ONCE = 256
#: Characters of one text that are sent: models read some thousand tokens and refuse more. Chosen.
MOST_CHARACTERS = 24_000
#: Retries beyond the first few that a job may make, as a share of its calls. Chosen, as in routing.
FREE_RETRIES, RETRY_SHARE = 3, 0.1
#: Kinds of providers that are told what a text is for; others may refuse a field they do not know.
TOLD_PURPOSE = frozenset(("cohere", "gemini", "jina", "nvidia", "vertex", "voyage"))

#: Failures of an endpoint that may be over in a moment; a refused key or request is refused again.
MAY_PASS = (ProviderUnreachable, ProviderTimeout, ProviderBusy, ProviderFailed)

Purpose: TypeAlias = Literal["document", "query"]
Sleep: TypeAlias = Callable[[float], Awaitable[None]]


class Asked(Struct, frozen=True):
    """A deployment as the app built it: ``kind`` and settings of its provider, and who asks."""

    name: str
    kind: str
    config: DeploymentConfig
    provider: Provider


class Spent(Struct, frozen=True):
    """What a model of another machine has cost so far, for reports."""

    calls: int = 0
    retries: int = 0
    usage: Usage = Usage()


class DeploymentModel:
    """Asks an endpoint for vectors. Make it with ``open_deployment``.

    A call that fails and may succeed is made again, as often as the deployment says and while the
    retries are a small share of the calls: an endpoint that is down is not asked for hours.
    """

    def __init__(
        self,
        asked: Asked,
        card: ModelCard,
        *,
        asked_dimensions: int | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._asked = asked
        self._card = card
        self._asked_dimensions = asked_dimensions
        self._sleep = sleep
        self.spent = Spent()

    @property
    def card(self) -> ModelCard:
        """Which model this is."""
        return self._card

    async def embed_documents(self, texts: Sequence[str]) -> Floats:
        """Return float32 [texts, dimensions], at unit length.

        Raises:
            ProviderError: no answer, or a refusal, after all retries.
            BadRequest: vectors of another dimension (``wrong_dimension``).
        """
        made = np.zeros((len(texts), self._card.dimensions), np.float32)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            part = texts[start : start + TEXTS_AT_ONCE]
            made[start : start + len(part)] = self._checked(await self.ask(part, "document"))
        return made

    async def embed_query(self, text: str) -> Floats:
        """Return float32 [dimensions] of a question; errors as in ``embed_documents``."""
        return self._checked(await self.ask([text], "query"))[0]

    async def ask(self, texts: Sequence[str], purpose: Purpose) -> Floats:
        """Return what the endpoint gives, whatever its dimension; a text without words is zero."""
        places = [place for place, text in enumerate(texts) if text.strip()]
        if not places:
            return np.zeros((len(texts), self._card.dimensions), np.float32)
        given = await self._with_retries(
            [texts[place][:MOST_CHARACTERS] for place in places], purpose
        )
        made = np.zeros((len(texts), given.shape[1]), np.float32)
        made[places] = given
        return made

    def _checked(self, vectors: Floats) -> Floats:
        if vectors.shape[1] != self._card.dimensions:
            raise wrong_dimension(self._card, vectors.shape[1])
        return vectors

    async def _with_retries(self, texts: Sequence[str], purpose: Purpose) -> Floats:
        call = self._call(texts, purpose)
        attempt = 0
        while True:
            try:
                answer = await self._asked.provider.perform(call)
                break
            except MAY_PASS as error:
                if not self._may_retry(attempt):
                    raise
                await self._sleep(self._pause_s(attempt, error))
                attempt += 1
                self.spent = Spent(self.spent.calls, self.spent.retries + 1, self.spent.usage)
        usage = self.spent.usage.plus(answer.usage)
        self.spent = Spent(self.spent.calls + 1, self.spent.retries, usage)
        return _matrix(read_embeddings(answer.body, len(texts)).vectors)

    def _call(self, texts: Sequence[str], purpose: Purpose) -> TaskCall:
        config = self._asked.config
        fields: dict[str, Any] = {"input": list(texts)}
        if self._asked_dimensions is not None:
            fields["dimensions"] = self._asked_dimensions
        if self._asked.kind in TOLD_PURPOSE:
            fields["input_type"] = purpose
        return TaskCall(
            operation="embed", model=config.model, fields=fields, timeouts=config.timeouts
        )

    def _may_retry(self, attempt: int) -> bool:
        budget = FREE_RETRIES + RETRY_SHARE * self.spent.calls
        return attempt < self._asked.config.retries and self.spent.retries < budget

    def _pause_s(self, attempt: int, error: ProviderError) -> float:
        config = self._asked.config
        wanted = max(config.backoff_s * 2**attempt, error.retry_after_s or 0)
        return min(wanted, config.max_backoff_s)


async def open_deployment(
    asked: Asked, dimensions: int | None, card: ModelCard | None, *, sleep: Sleep = asyncio.sleep
) -> DeploymentModel:
    """Return the model; without a ``card`` the endpoint is asked once, to learn its dimension.

    Raises:
        ProviderError: it does not answer.
    """
    named, digest = PREFIX + asked.name, digest_of(asked, dimensions)
    size = 0 if card is None else card.dimensions
    known = ModelCard(name=named, digest=digest, dimensions=size)
    model = DeploymentModel(asked, known, asked_dimensions=dimensions, sleep=sleep)
    if card is not None:
        return model
    found = (await model.ask(["santral"], "document")).shape[1]
    made = ModelCard(name=named, digest=digest, dimensions=found)
    opened = DeploymentModel(asked, made, asked_dimensions=dimensions, sleep=sleep)
    opened.spent = model.spent
    return opened


def digest_of(asked: Asked, dimensions: int | None) -> str:
    """Return what names the model behind a deployment: its vendor, its name there, what is asked."""
    named = "\0".join((asked.kind, asked.config.model, str(dimensions or "")))
    return sha256(named.encode()).hexdigest()


def _matrix(vectors: Sequence[Vector]) -> Floats:
    """Return vectors as they came, at unit length."""
    rows = [_numbers(vector) for vector in vectors]
    if len({len(row) for row in rows}) != 1 or not len(rows[0]):
        raise ProviderGarbled("The provider's vectors are empty, or have different lengths.")
    matrix = np.stack(rows)
    if not np.isfinite(matrix).all():
        raise ProviderGarbled("The provider gave a vector that holds no number.")
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.divide(matrix, norms, out=np.zeros_like(matrix), where=norms > 0).astype(np.float32)


def _numbers(vector: Vector) -> Floats:
    if not isinstance(vector, str):
        return np.asarray(vector, np.float32)
    try:
        return np.frombuffer(base64.b64decode(vector, validate=True), "<f4").astype(np.float32)
    except (binascii.Error, ValueError):
        raise ProviderGarbled("The provider gave a vector that is no base64 of float32.") from None
