"""Looks for a question that means the same: what is compared, and what has to be equal for that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec
import numpy as np

from santral.cache.caches import Caches
from santral.cache.key import Scope, partition_key
from santral.cache.meaning.embed import Embed, Floats, LocalEmbed, unit
from santral.cache.meaning.signature import read
from santral.cache.semantic import Found, Question
from santral.errors import SantralError
from santral.gateway.context import RequestContext
from santral.gateway.stages.meter import Meter
from santral.providers.batch.deferred import SLOT
from santral.providers.provider import TaskCall
from santral.routing.route import Deployment
from santral.traces.cached import EMBED, CacheMetrics
from santral.wire.chat import CacheExtra
from santral.wire.delta import Delta

#: Longest question that is compared by meaning, in letters. Chosen: beyond it, two texts that sound
#: alike differ somewhere.
MAX_LETTERS = 600

_content = msgspec.json.Decoder(dict[str, Any])


class Alike:
    """The semantic cache as a request meets it."""

    def __init__(self, caches: Caches, metrics: CacheMetrics) -> None:
        self._cache = caches
        self._metrics = metrics
        self._local = LocalEmbed()

    async def question(
        self, ctx: RequestContext, scope: Scope, fields: Mapping[str, Any]
    ) -> Question | None:
        """Return the request as a question, or None where only an equal one may share its answer.

        None for requests with tools' results, images or other files, for those hotter than the
        route allows, for long ones, and where the caller said so.
        """
        settings, extra = ctx.route.cache.semantic, ctx.call.extras.cache
        if settings.mode == "off" or (isinstance(extra, CacheExtra) and extra.semantic is False):
            return None
        text = _question_text(ctx, fields, settings.max_temperature)
        if not text:
            return None
        if settings.embedding != "local" and SLOT.get() is not None:
            return None  # of a batch: its slot is for the answer, and not for a vector
        embed = self._embed(ctx, settings.embedding)
        vector = await embed(text)
        if vector is None:
            return None
        native = {**ctx.call.native, "santral.embedding": embed.name}
        others = ctx.call.messages[:-1]
        partition = partition_key(scope, fields, others, native, ctx.caller_headers)
        return Question(partition, vector, read(text))

    def find(self, ctx: RequestContext, question: Question) -> Found | None:
        """Return a question that means the same, if there is one."""
        settings, extra = ctx.route.cache.semantic, ctx.call.extras.cache
        threshold = settings.threshold
        if isinstance(extra, CacheExtra) and extra.threshold is not None:
            threshold = max(threshold, extra.threshold)
        found = self._cache.find_alike(question, threshold)
        if settings.mode == "shadow":
            self._cache.budgets[ctx.route.name] = settings.false_budget
            self._cache.shadow.looked_up(ctx.caller.tenant.id, ctx.route.name)
            ctx.cache_similarity = found.similarity if found is not None else 0.0
        self._metrics.looked_up(f"semantic_{settings.mode}", found is not None)
        return found

    def _embed(self, ctx: RequestContext, name: str) -> Embed:
        if name == "local":
            return self._local
        deployment = ctx.snapshot.routes[name].route.rungs[0][0][0]
        return _DeploymentEmbed(ctx, deployment)


class _DeploymentEmbed:
    """Vectors from a deployment that can embed; its calls are attempts of the request."""

    def __init__(self, ctx: RequestContext, deployment: Deployment) -> None:
        self._ctx = ctx
        self._deployment = deployment
        self.name = f"{deployment.name}/{deployment.model}"

    async def __call__(self, text: str) -> Floats | None:
        """Return the vector; None where the deployment cannot say: the request goes on without."""
        ctx, deployment = self._ctx, self._deployment
        meter = Meter(ctx, deployment, EMBED)
        try:
            answer = await deployment.provider.perform(
                TaskCall(
                    operation="embed",
                    model=deployment.model,
                    fields={"input": text},
                    timeouts=deployment.timeouts,
                )
            )
        except SantralError as error:
            meter.failed(error.detail_code, None)
            return None
        else:
            meter.take(Delta(usage=answer.usage))
        finally:
            ctx.attempts.append(meter.record())
        return _vector(answer.body)


class _Embedding(msgspec.Struct):
    embedding: list[float]


class _Embeddings(msgspec.Struct):
    data: list[_Embedding]


_embeddings = msgspec.json.Decoder(_Embeddings)


def _vector(body: bytes) -> Floats | None:
    try:
        data = _embeddings.decode(body).data
    except msgspec.DecodeError:
        return None
    return unit(np.array(data[0].embedding, np.float32)) if data else None


def _question_text(ctx: RequestContext, fields: Mapping[str, Any], hottest: float) -> str:
    """Return the text of the last message, if that is a question and all else is text too."""
    messages = ctx.call.messages
    if not messages or _temperature(fields) > hottest:
        return ""
    read_messages = [_fields_of(message) for message in messages]
    if any(not _is_plain(message) for message in read_messages):
        return ""
    last = read_messages[-1]
    if last.get("role") != "user" or last.keys() - {"role", "content"}:
        return ""
    text = _text_of(last.get("content"))
    return text if len(text) <= MAX_LETTERS else ""


def _temperature(fields: Mapping[str, Any]) -> float:
    """Return the temperature; one that is not given is a provider's default, taken as 1."""
    raw = fields.get("temperature")
    if isinstance(raw, msgspec.Raw):
        raw = msgspec.json.decode(raw)
    return float(raw) if isinstance(raw, int | float) else 1.0


def _fields_of(message: msgspec.Raw | dict[str, Any]) -> dict[str, Any]:
    return message if isinstance(message, dict) else _content.decode(message)


def _is_plain(message: Mapping[str, Any]) -> bool:
    """Whether a message is nothing but text, and no tool's result."""
    if message.get("role") in ("tool", "function") or message.get("tool_calls"):
        return False
    content = message.get("content")
    return isinstance(content, str) or all(part.get("type") == "text" for part in _parts(content))


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = _parts(content)
    return parts[0].get("text", "") if len(parts) == 1 and len(parts[0]) == 2 else ""


def _parts(content: object) -> list[dict[str, Any]]:
    """Return the parts of a message; what is none counts as one that nobody can read."""
    entries = cast("list[Any]", content) if isinstance(content, list) else [content]
    return [cast("dict[str, Any]", e) if isinstance(e, dict) else {} for e in entries]
