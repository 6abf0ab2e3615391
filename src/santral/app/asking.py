"""Models that retrieval asks: embeddings and rerank endpoints, and the model of a route.

These calls are not a caller's: they go to the provider straight, with the clocks of the deployment, and
no guardrail or limit of a tenant stands between. What they cost is in the report of whoever asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from santral.config.schema import Config
from santral.errors import BadRequest, NotFound, ProviderError, ProviderFailed, nearest
from santral.providers.provider import Operation, Provider, ProviderCall, TaskCall
from santral.retrieval.embedding.deployment import Asked
from santral.retrieval.embedding.pulled.model import PulledReranker, open_reranker
from santral.retrieval.embedding.registry import FindDeployment
from santral.retrieval.search.rerank.known import CROSS_ENCODER
from santral.retrieval.search.rerank.registry import Rerankers, ScoreAt, ScoreHere
from santral.retrieval.search.reword import AskModel
from santral.wire.rerank import read_ranking

#: Tokens that a model may answer a question of retrieval with. Chosen: some wordings, or a passage.
_MOST_TOKENS = 400


def deployments_for(config: Config, providers: Mapping[str, Provider]) -> FindDeployment:
    """Return what finds a deployment that makes embeddings; raises BadRequest where there is none."""

    def find(name: str) -> Asked:
        return _asked(config, providers, name, "embed")

    return find


def scores_at(config: Config, providers: Mapping[str, Provider]) -> ScoreAt:
    """Return what asks a rerank endpoint for scores; raises BadRequest, ProviderError."""

    async def ask(name: str, question: str, texts: Sequence[str]) -> Sequence[float]:
        asked = _asked(config, providers, name, "rerank")
        call = TaskCall(
            operation="rerank",
            model=asked.config.model,
            fields={"query": question, "documents": list(texts), "top_n": len(texts)},
            timeouts=asked.config.timeouts,
        )
        answer = await asked.provider.perform(call)
        scores = [0.0] * len(texts)
        for ranked in read_ranking(answer.body, len(texts)).results:
            scores[ranked.index] = ranked.relevance_score
        return scores

    return ask


def rerankers_of(config: Config, providers: Mapping[str, Provider]) -> Rerankers:
    """Return what a process can rerank with beside the learned ranker."""
    return Rerankers(at_deployment=scores_at(config, providers), cross_encoder=scores_here(config))


def scores_here(config: Config) -> ScoreHere:
    """Return what scores with the pulled cross-encoder, which is loaded when it is first asked."""
    opened: PulledReranker | None = None

    async def ask(question: str, texts: Sequence[str]) -> Sequence[float]:
        nonlocal opened
        if opened is None:
            opened = await asyncio.to_thread(open_reranker, config.data.folder, CROSS_ENCODER)
        return (await opened.scores(question, texts)).tolist()

    return ask


def model_of_route(config: Config, providers: Mapping[str, Provider]) -> AskModel:
    """Return what asks the model of a route: its deployments in turn, until one answers."""

    async def ask(route: str, prompt: str) -> str:
        known = config.routes.get(route)
        if known is None:
            raise NotFound(
                f"There is no route '{route}'.{nearest(route, config.routes)}", code="no_such_route"
            )
        failed: ProviderError | None = None
        for rung in known.ladder:
            for name in rung.deployments:
                try:
                    return await _text(_asked(config, providers, name, "chat"), prompt)
                except ProviderError as error:
                    failed = error
        raise failed or ProviderFailed(f"The route '{route}' has no deployment that can be asked.")

    return ask


async def _text(asked: Asked, prompt: str) -> str:
    call = ProviderCall(
        model=asked.config.model,
        fields={"max_tokens": _MOST_TOKENS, "temperature": 0},
        is_streaming=False,
        timeouts=asked.config.timeouts,
        question=prompt,
        max_output_tokens=_MOST_TOKENS,
    )
    call.fields["messages"] = [{"role": "user", "content": prompt}]
    parts = [
        choice.text
        async for delta in asked.provider.stream(call)
        for choice in delta.choices
        if choice.index == 0
    ]
    return "".join(parts)


def _asked(
    config: Config, providers: Mapping[str, Provider], name: str, operation: Operation
) -> Asked:
    """Return a deployment with its provider.

    Raises:
        BadRequest: there is none of the name, or it cannot do this.
    """
    deployment = config.deployments.get(name)
    if deployment is None:
        raise BadRequest(
            f"There is no deployment '{name}'.{nearest(name, config.deployments)} "
            "Deployments stand in santral.toml, under [deployments].",
            code="no_such_deployment",
        )
    provider = providers[deployment.provider]
    if operation not in provider.operations:
        raise BadRequest(
            f"The deployment '{name}' cannot {operation}: name one of a provider that can.",
            code="no_capable_deployment",
        )
    kind = config.providers[deployment.provider].kind
    return Asked(name=name, kind=kind, config=deployment, provider=provider)
