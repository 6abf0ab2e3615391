"""Keeps an answer back for a reviewer, and waits for one as long as the route lets its callers wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from santral.errors import HeldForReview, OutputRefused
from santral.gateway.context import RequestContext
from santral.gateway.held.answer import Asked, Decision, Held
from santral.gateway.held.cabinet import HeldCabinet
from santral.gateway.stages.payload import payload_policy
from santral.gateway.stages.trace import session_of, user_of
from santral.guardrails.redact import redacted_json, redacted_texts
from santral.guardrails.verdict import Verdict
from santral.wire.delta import ChoiceDelta, Delta

#: How often a waiting request looks for a decision, in seconds. Chosen: a reviewer takes longer.
LOOK_EVERY_S = 0.25
_encode = msgspec.json.Encoder().encode


class Holder:
    """Holds answers of one worker; they lie where every worker and the control process find them."""

    def __init__(self, cabinet: HeldCabinet, wall: Callable[[], float]) -> None:
        self._cabinet = cabinet
        self._wall = wall

    async def hold(
        self, ctx: RequestContext, answer: Delta, verdict: Verdict | None
    ) -> Delta | None:
        """Keep ``answer``, and wait for a reviewer as long as the route's ``hold_wait_s``.

        Return what they put in its place; None where it may leave as it is.

        ``verdict`` is that of the check which wants it looked at; None: the route holds every one.

        Raises:
            HeldForReview: nobody has decided yet; says where to ask for it.
            OutputRefused: a reviewer refused it, or this tenant's policy keeps no words.
            TooLarge: it is too large to be held.
        """
        if payload_policy(ctx) in ("hashes", "none"):
            raise _refused(verdict, "it cannot wait for a reviewer: this tenant keeps no words")
        held = self._held(ctx, answer, verdict)
        await self._cabinet.put(held, ctx.snapshot.config.held)
        decision = await self._decided(held, ctx.route.hold_wait_s)
        if decision is None:
            raise HeldForReview(
                f"This answer waits for a reviewer. Ask GET /v1/held/{held.id} for it.",
                held_id=held.id,
            )
        if decision.status == "refused":
            raise _refused(
                verdict, f"a reviewer refused it: {decision.reason or 'no reason given'}"
            )
        return held.delta(decision.replacement) if decision.status == "replaced" else None

    async def _decided(self, held: Held, wait_s: float) -> Decision | None:
        end = asyncio.get_running_loop().time() + wait_s
        while wait_s:
            decision = await self._cabinet.decision(held.tenant_id, held.id)
            left = end - asyncio.get_running_loop().time()
            if decision is not None or left <= 0:
                return decision
            await asyncio.sleep(min(LOOK_EVERY_S, left))
        return None

    def _held(self, ctx: RequestContext, answer: Delta, verdict: Verdict | None) -> Held:
        settings, now, inbound = ctx.snapshot.config.held, self._wall(), ctx.inbound
        held = Held(
            trace_id=ctx.trace_id,
            request_id=ctx.request_id,
            tenant_id=ctx.caller.tenant.id,
            key_id=ctx.caller.key.id,
            route=ctx.route.name,
            model=answer.model or ctx.requested_model,
            held_at=now,
            expires_at=now + settings.expires_after_s,
            on_expiry=settings.on_expiry,
            check=verdict.check if verdict else "",
            reason=verdict.reason if verdict else "",
            asked=Asked(
                path=inbound.path, body=inbound.body, query=inbound.query, parts={**inbound.parts}
            ),
            messages=Raw(_encode(ctx.call.messages)),
            choices=list(answer.choices),
            usage=answer.usage,
            sources=list(ctx.sources),
            groups=sorted(ctx.groups) if ctx.sources else [],
            dialect=ctx.dialect.name,
            answer_id=answer.id,
            created=answer.created,
            user=user_of(ctx),
            session=session_of(ctx),
        )
        return _redacted(ctx, held) if payload_policy(ctx) == "redacted" else held


def _redacted(ctx: RequestContext, held: Held) -> Held:
    """Return what may be kept where every known entity is masked: that is released, too."""
    body = redacted_json(msgspec.json.decode(held.asked.body), ctx.placeholders)
    said = redacted_json(msgspec.json.decode(held.messages), ctx.placeholders)
    sources = [
        replace(source, text=redacted_texts((source.text,), ctx.placeholders)[0])
        for source in held.sources
    ]
    return replace(
        held,
        asked=replace(held.asked, body=_encode(body)),
        messages=Raw(_encode(said)),
        choices=[_masked(ctx, choice) for choice in held.choices],
        sources=sources,
    )


def _masked(ctx: RequestContext, choice: ChoiceDelta) -> ChoiceDelta:
    """Return a choice with its texts masked, and without what cannot be."""
    texts = [choice.text, choice.refusal, *(call.arguments for call in choice.tool_calls)]
    text, refusal, *arguments = redacted_texts(texts, ctx.placeholders)
    calls = [
        replace(call, arguments=masked, signature="")
        for call, masked in zip(choice.tool_calls, arguments, strict=True)
    ]
    return ChoiceDelta(
        choice.index,
        text,
        refusal,
        tool_calls=tuple(calls),
        finish_reason=choice.finish_reason,
    )


def _refused(verdict: Verdict | None, reason: str) -> OutputRefused:
    check = verdict.check if verdict else "hold"
    return OutputRefused(
        f"The model's answer was held back ({check}), and {reason}.", check=check, reason=reason
    )
