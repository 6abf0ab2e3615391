"""What a question becomes on the wire, and an answer of a gateway as evaluations see it."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field

from santral.errors import NotAllowed, NotFound, SantralError, Unauthenticated
from santral.evals.answer import Answer, Chance, Passage, Question
from santral.evals.example import ToolCall
from santral.gateway.context import RequestContext
from santral.traces.record import TraceRecord
from santral.wire.marks import cited_numbers

#: Statuses of what every further question would meet, too: there is no such route or prompt, the key
#: is no key, or is for something else.
HOPELESS: dict[int, type[SantralError]] = {
    401: Unauthenticated,
    403: NotAllowed,
    404: NotFound,
}


def body_of(question: Question) -> dict[str, Any]:
    """Return the body of ``POST /v1/chat/completions`` that asks a question.

    No cache answers it, no copy of it is made, and other callers go first.
    """
    extras: dict[str, Any] = {"cache": False, "shadow": False, "priority": "batch"}
    extras |= question.extras
    if question.prompt:
        extras["prompt"] = _prompt_extra(question)
    if question.tags:
        extras["tags"] = {**extras.get("tags", {}), **question.tags}
    body: dict[str, Any] = {**question.settings, "model": question.model}
    body |= {"messages": question.messages, "santral": extras}
    if question.tools:
        body["tools"] = question.tools
    if question.output_schema is not None:
        extras["output_schema"] = question.output_schema
    if question.top_logprobs:
        body |= {"logprobs": True, "top_logprobs": question.top_logprobs}
    return body


def answer_of(status: int, body: bytes, seen: tuple[RequestContext, TraceRecord] | None) -> Answer:
    """Return an answer; ``seen`` is what the gateway knows of it, where it is in this process.

    Raises:
        SantralError: what the answer says holds for every other question, too.
    """
    answer = _told(body) if status == 200 else _failed(status, body)
    return answer if seen is None else _with_facts(answer, *seen)


def _prompt_extra(question: Question) -> dict[str, Any]:
    name, at, pointer = question.prompt.partition("@")
    extra: dict[str, Any] = {"name": name, "variables": question.variables}
    if at:
        extra["version" if pointer[:1].isdigit() else "label"] = pointer
    return extra


class _Function(Struct, frozen=True):
    name: str = ""
    arguments: str = "{}"


class _Call(Struct, frozen=True):
    function: _Function = _Function()


class _Token(Struct, frozen=True):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: list[Chance] = field(default_factory=list[Chance])


class _Logprobs(Struct, frozen=True):
    content: list[_Token] | None = None


class _Message(Struct, frozen=True):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(Struct, frozen=True):
    message: _Message = _Message()
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Completion(Struct, frozen=True):
    choices: list[_Choice] = field(default_factory=list[_Choice])
    model: str = ""


class _Problem(Struct, frozen=True):
    message: str = ""
    code: str | None = None


class _Refusal(Struct, frozen=True):
    error: _Problem = _Problem()


def _told(body: bytes) -> Answer:
    try:
        told = msgspec.json.decode(body, type=_Completion)
    except msgspec.DecodeError as error:
        return Answer(error="unreadable", error_message=f"The answer is no completion: {error}.")
    if not told.choices:
        return Answer(error="no_choice", error_message="The answer has no choice in it.")
    choice = told.choices[0]
    tokens = (choice.logprobs.content if choice.logprobs else None) or []
    return Answer(
        text=choice.message.content or "",
        refusal=choice.message.refusal or "",
        tool_calls=[_tool_call(call.function) for call in choice.message.tool_calls or []],
        finish_reason=choice.finish_reason or "",
        chances=[token.top_logprobs or [Chance(token.token, token.logprob)] for token in tokens],
        model=told.model,
    )


def _tool_call(function: _Function) -> ToolCall:
    try:
        arguments = msgspec.json.decode(function.arguments or "{}", type=dict[str, Any])
    except msgspec.DecodeError:  # what a model wrote is no JSON: shown as it is, equal to nothing
        arguments = {"": function.arguments}
    return ToolCall(name=function.name, arguments=arguments)


def _failed(status: int, body: bytes) -> Answer:
    try:
        problem = msgspec.json.decode(body, type=_Refusal).error
    except msgspec.DecodeError:
        problem = _Problem(message=f"HTTP {status}")
    code = problem.code or f"http_{status}"
    if status in HOPELESS:
        raise HOPELESS[status](problem.message, code=code)
    return Answer(error=code, error_message=problem.message)


def _with_facts(answer: Answer, ctx: RequestContext, record: TraceRecord) -> Answer:
    cited = cited_numbers(ctx.answer_text) if ctx.sources else frozenset[int]()
    return msgspec.structs.replace(
        answer,
        passages=[
            Passage(
                document=source.document,
                text=source.text,
                document_id=source.document_id,
                chunk_id=source.chunk_id,
                score=source.score,
                is_cited=source.number in cited,
            )
            for source in ctx.sources
        ],
        model=record.model or answer.model,
        deployment=record.deployment,
        prompt=record.prompt,
        prompt_version=record.prompt_version,
        usage=record.usage,
        cost_nanousd=record.cost_nanousd if record.attempts else 0,
        latency_us=record.duration_us,
        ttft_us=record.ttft_us,
        cache=record.cache,
        verdicts={v.check: v.verdict for v in record.verdicts if v.verdict != "passed"},
        trace_id=record.trace_id,
    )
