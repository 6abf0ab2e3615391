"""``POST /v1/rerank``, also as ``/v2/rerank``."""

from __future__ import annotations

from typing import cast

import msgspec

from santral.gateway.context import RequestContext
from santral.providers.provider import TaskAnswer
from santral.wire.rerank import RerankView, parse_rerank, read_ranking, render_ranking
from santral.wire.task import TaskRequest


class RerankTask:
    """Documents by how well they answer a query, best first."""

    name = "rerank"

    def parse(self, body: bytes) -> TaskRequest:
        """Read a request; see ``parse_rerank``."""
        return parse_rerank(body)

    def finish(self, ctx: RequestContext, task: TaskRequest, answer: TaskAnswer) -> bytes:
        """Return the ranking; documents come back as they were sent on, and as they may be shown."""
        view, documents = cast("RerankView", task.view), task.shown["documents"]
        ranking = read_ranking(answer.body, len(documents))
        return render_ranking(
            msgspec.structs.replace(ranking, results=ranking.results[: view.top_n]),
            request_id=ctx.request_id,
            model=ranking.model or ctx.requested_model,
            tokens=answer.usage.input_tokens,
            documents=documents if view.return_documents else None,
        )
