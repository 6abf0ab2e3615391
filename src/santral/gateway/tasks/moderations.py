"""``POST /v1/moderations``."""

from __future__ import annotations

from santral.gateway.context import RequestContext
from santral.providers.provider import TaskAnswer
from santral.wire.moderations import count_of, parse_moderation, render_moderation
from santral.wire.task import TaskRequest


class ModerationsTask:
    """What a provider's classifier finds harmful in texts and images."""

    name = "moderations"

    def parse(self, body: bytes) -> TaskRequest:
        """Read a request; see ``parse_moderation``."""
        return parse_moderation(body)

    def finish(self, ctx: RequestContext, task: TaskRequest, answer: TaskAnswer) -> bytes:
        """Return the provider's results as they came."""
        return render_moderation(
            answer.body,
            count=count_of(task.fields["input"]),
            request_id=ctx.request_id,
            model=ctx.requested_model,
        )
