"""What every task has in common: read it, find its route, and answer it by the one path."""

from __future__ import annotations

from typing import Protocol

import msgspec

from santral.errors import SantralError
from santral.gateway.body import require_json
from santral.gateway.context import RequestContext
from santral.gateway.desk import find_route
from santral.gateway.dialects.chat import ChatDialect
from santral.gateway.inbound import Inbound
from santral.gateway.pipeline import perform, refuse
from santral.gateway.private_url import refuse_private_urls
from santral.gateway.respond import Responder
from santral.gateway.stages import Stages
from santral.providers.provider import TaskAnswer
from santral.web.errors import ErrorAnswer, openai_error
from santral.wire.task import TaskRequest


class Task(Protocol):
    """One endpoint that is no conversation."""

    @property
    def name(self) -> str:
        """What traces and metrics call it."""
        ...

    def parse(self, body: bytes) -> TaskRequest:
        """Read a request into the canonical form.

        Raises:
            BadRequest: malformed; the message names the place.
        """
        ...

    def finish(self, ctx: RequestContext, task: TaskRequest, answer: TaskAnswer) -> bytes:
        """Return the body for the caller.

        Raises:
            ProviderGarbled: the provider's answer does not fit the request.
        """
        ...


class TaskDialect(ChatDialect):
    """How a task's callers speak: OpenAI's errors and headers under the task's own name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def error(self, error: SantralError, request_id: str) -> ErrorAnswer:
        """Return OpenAI's error body; for rerank also with Cohere's ``message`` beside it.

        Source: https://docs.cohere.com/reference/errors
        """
        answer = openai_error(error)
        if self.name != "rerank":
            return answer
        said = msgspec.json.encode(error.message)
        return answer._replace(body=b'{"message":' + said + b"," + answer.body[1:])


class TaskHandler:
    """Handles the requests of one task."""

    def __init__(self, task: Task, stages: Stages) -> None:
        self._task = task
        self._stages = stages

    async def __call__(self, ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
        """Answer one request; what is wrong with it is a refusal that leaves a trace."""
        try:
            require_json(inbound.headers)
            ctx.task = request = self._task.parse(inbound.body)
            find_route(ctx, request.view.model)
            refuse_private_urls(ctx, request.fields.values())
        except SantralError as error:
            await refuse(ctx, error, self._stages)
            return
        body = await perform(
            ctx, request, lambda answer: self._task.finish(ctx, request, answer), self._stages
        )
        await responder.send_json(body)
