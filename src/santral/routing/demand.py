"""What a request demands of a deployment, read from the request once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from msgspec import Raw, Struct

from santral.routing.complexity_features import effort_of
from santral.routing.route import Rules
from santral.wire.chat import ChatCall
from santral.wire.usage import estimate_tokens

#: Needs that a request can do without, the first to be let go first: what names them in a request.
#: The others are hard: an answer without them would be an answer to another request.
SOFT: Mapping[str, str] = {
    "prompt_cache": "",  # a marker: no answer changes without it
    "logprobs": "logprobs",
    "parallel_tools": "parallel_tool_calls",
    "reasoning": "reasoning_effort",
    "json_object": "response_format",
    "n": "n",
}

#: Tokens of one image, sound or file where only a length in bytes is known. Chosen: what OpenAI
#: bills for an image at high detail, 765, rounded up.
_TOKENS_PER_PART = 1000


class Demand(Struct, frozen=True, kw_only=True):
    """What one request needs. An empty demand is met by every deployment."""

    needs: frozenset[str] = frozenset()
    input_tokens: int = 0  # estimated; 0 where no window can be too short and no price decides
    output_tokens: int | None = None  # asked for
    tenant: str = ""
    unit: str = ""  # what stays together: tenant and session, else user; empty: nothing does
    is_streaming: bool = False
    dialects: frozenset[str] = frozenset()  # whose opaque reasoning the conversation carries


def demand_of(call: ChatCall, rules: Rules, *, tenant: str = "", body_bytes: int = 0) -> Demand:
    """Return what ``call`` demands, as far as the deployments of a route can differ in it.

    ``body_bytes`` is the size of the request: no text has more tokens than bytes.
    """
    extras, view = call.extras, call.view
    session = extras.session or extras.user or view.user
    may_be_long = rules.least_context is not None and (
        not body_bytes or body_bytes >= rules.least_context
    )
    is_priced = any(rung.strategy == "cheapest" for rung in rules.rungs)
    return Demand(
        needs=_needs(call, rules.lacked) if rules.lacked else frozenset(),
        input_tokens=input_tokens(call) if may_be_long or is_priced else 0,
        output_tokens=call.max_output_tokens,
        tenant=tenant,
        unit=f"{tenant}/{session}" if session else "",
        is_streaming=bool(view.stream),
        dialects=_reasoned_by(call) if rules.has_dialects else frozenset(),
    )


def asks_nothing_special(call: ChatCall, rules: Rules, body_bytes: int) -> bool:
    """Whether every deployment can answer as far as is known, so that no plan has to be made."""
    if rules.least_context is not None and body_bytes >= rules.least_context:
        return False
    asked = call.max_output_tokens
    if asked is not None and rules.least_output is not None and asked > rules.least_output:
        return False
    return not _needs(call, rules.lacked)


def input_tokens(call: ChatCall) -> int:
    """Estimate the input of a call; an image is not counted by its bytes."""
    tokens = 0
    for message in call.view.messages:
        tokens += estimate_tokens(message.text)
        if isinstance(message.content, list):
            tokens += sum(_TOKENS_PER_PART for part in message.content if part.type in _PART_NEEDS)
    tools = call.fields.get("tools")
    return tokens + (estimate_tokens(str(bytes(tools), "utf-8", "replace")) if tools else 0)


def _needs(call: ChatCall, lacked: frozenset[str]) -> frozenset[str]:
    asked, looks_at_parts = _asked_for(lacked)
    found = [need for need, asks in asked if asks(call)]
    if looks_at_parts:
        found += lacked & _part_needs(call)
    return frozenset(found)


@lru_cache(maxsize=1024)
def _asked_for(
    lacked: frozenset[str],
) -> tuple[tuple[tuple[str, Callable[[ChatCall], bool]], ...], bool]:
    """Return the questions that are worth asking of a request, and whether its parts are."""
    return tuple((need, _ASKS[need]) for need in _ASKS if need in lacked), bool(lacked & _PARTS)


#: Content parts and what a model must be able to do with them.
_PART_NEEDS = {"image_url": "vision", "input_audio": "audio_in", "file": "files"}
_PARTS = frozenset(_PART_NEEDS.values())


def _part_needs(call: ChatCall) -> frozenset[str]:
    return frozenset(
        _PART_NEEDS[part.type]
        for message in call.view.messages
        if isinstance(message.content, list)
        for part in message.content
        if part.type in _PART_NEEDS
    )


def _is(name: str, *values: bytes) -> Callable[[ChatCall], bool]:
    return lambda call: bytes(call.fields.get(name, b"")) in values


def _has(name: str) -> Callable[[ChatCall], bool]:
    return lambda call: bytes(call.fields.get(name, b"null")) not in (b"null", b"[]", b"false")


def _format(kind: str) -> Callable[[ChatCall], bool]:
    def asks(call: ChatCall) -> bool:
        asked = call.view.response_format
        return asked is not None and asked.type == kind

    return asks


def _reasons(call: ChatCall) -> bool:
    return effort_of(call) not in ("", "none", "minimal")


def _marks_cache(call: ChatCall) -> bool:
    marked = (m for m in call.messages if isinstance(m, Raw) and b'"cache_control"' in bytes(m))
    return next(marked, None) is not None


_ASKS: Mapping[str, Callable[[ChatCall], bool]] = {
    "tools": _has("tools"),
    "parallel_tools": _is("parallel_tool_calls", b"true"),
    "json_schema": _format("json_schema"),
    "json_object": _format("json_object"),
    "reasoning": _reasons,
    "logprobs": _is("logprobs", b"true"),
    "prompt_cache": _marks_cache,
    "streaming": lambda call: bool(call.view.stream),
    "n": lambda call: (call.view.n or 1) > 1,
}

#: Who made opaque reasoning, and the dialects that take it back. Source: wire/delta.py.
_FORMATS = {
    b"anthropic-claude-v1": ("anthropic", "bedrock"),
    b"google-gemini-v1": ("gemini", "vertex"),
    b"openai-responses-v1": ("responses",),
}
_FORMAT = re.compile(rb'"format"\s*:\s*"(%b)"' % b"|".join(_FORMATS))


def _reasoned_by(call: ChatCall) -> frozenset[str]:
    """Return the dialects whose signed reasoning is in the conversation: only they take it back."""
    raw = call.fields.get("messages", b"")
    found = set(_FORMAT.findall(bytes(raw)))
    return frozenset(dialect for name in found for dialect in _FORMATS[name])
