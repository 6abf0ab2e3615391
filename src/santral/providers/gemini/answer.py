"""Gemini's answers as deltas: whole ones and events of a stream are read by the same steps.

An event holds any number of parts; each becomes a delta of its own. ``finishReason`` is no end: a
model that runs code says STOP and goes on, so only the end of the bytes ends a stream. Sources:
https://ai.google.dev/api/generate-content, https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

from santral.errors import (
    ContentPolicyRefused,
    ProviderFailed,
    ProviderUnreachable,
)
from santral.providers.conversation.messages import SPAN
from santral.providers.decoded import decoded
from santral.providers.gemini.cited import Cited
from santral.providers.gemini.error import error_inside
from santral.providers.gemini.usage import usage_of
from santral.wire.delta import ChoiceDelta, Delta, NativeBlock, ReasoningDetail, ToolCallDelta
from santral.wire.gemini import (
    BROKEN,
    FINISH,
    FORMAT,
    TIERS,
    Answer,
    Candidate,
    FunctionCall,
    LogprobsResult,
    Part,
    PromptFeedback,
    TokenLogprob,
    UsageMetadata,
    answer_decoder,
    part_decoder,
)

_encode = msgspec.json.Encoder().encode


class _Choice:
    """What one candidate said so far."""

    __slots__ = ("calls", "cited", "finish", "has_content", "message", "span")

    def __init__(self) -> None:
        self.calls = 0
        self.cited = Cited()
        self.finish = ""
        self.message = ""
        self.has_content = False
        self.span = 0  # characters of reasoning since the last signature


class GeminiReader:
    """Reads one answer, event by event; ``end`` says what only its end makes certain."""

    __slots__ = ("_choices", "_first", "_secret", "_usage", "said_bytes")

    def __init__(self, *, secret: str = "") -> None:
        self._secret = secret
        self._choices: dict[int, _Choice] = {}
        self._first = Delta()  # names the answer: every delta has the same id and model
        self._usage: UsageMetadata | None = None
        self.said_bytes = 0  # of everything it said, for an answer without usage

    @property
    def has_started(self) -> bool:
        """Whether anything was said."""
        return any(choice.has_content for choice in self._choices.values())

    @property
    def is_finished(self) -> bool:
        """Whether every candidate so far named a reason to end: what follows may still be content."""
        return bool(self._choices) and all(choice.finish for choice in self._choices.values())

    def feed(self, data: bytes) -> list[Delta]:
        """Return the deltas of one ``GenerateContentResponse``.

        Raises:
            ProviderGarbled: not JSON, or a field of a wrong type.
            ContentPolicyRefused: the prompt was blocked.
            ProviderError: an error inside the answer.
        """
        answer = decoded(answer_decoder.decode, data)
        if answer.error is not None:
            raise error_inside(answer.error, secret=self._secret)
        if answer.prompt_feedback is not None and not answer.candidates:
            _refuse_blocked(answer.prompt_feedback)
        self._usage = answer.usage_metadata or self._usage
        self._name(answer)
        choices = [c for cand in answer.candidates or () for c in self._candidate(cand)]
        return [self._delta(choice) for choice in choices]

    def end(self) -> list[Delta]:
        """Return the reasons to end, and usage in the last delta.

        Raises:
            ProviderUnreachable: the answer was cut: a candidate has no reason to end.
            ProviderFailed: the model broke off with nothing said.
        """
        if not self._choices or not self.is_finished:
            raise ProviderUnreachable("The provider's answer was cut: it has no finishReason.")
        deltas = [
            self._delta(part) for i, c in sorted(self._choices.items()) for part in _end(i, c)
        ]
        if self._usage is not None:
            deltas.append(msgspec.structs.replace(self._delta(), usage=usage_of(self._usage)))
        return deltas

    def _name(self, answer: Answer) -> None:
        first = self._first
        if first.id and first.model and first.service_tier:
            return
        tier = answer.usage_metadata.service_tier if answer.usage_metadata else ""
        self._first = Delta(
            id=first.id or answer.response_id,
            model=first.model or answer.model_version,
            service_tier=first.service_tier or TIERS.get(tier, tier),
        )

    def _delta(self, *choices: ChoiceDelta) -> Delta:
        return msgspec.structs.replace(self._first, choices=choices)

    def _candidate(self, candidate: Candidate) -> Iterator[ChoiceDelta]:
        index = candidate.index
        choice = self._choices.setdefault(index, _Choice())
        for raw in (candidate.content.parts if candidate.content else None) or ():
            for delta in self._part(index, choice, raw):
                choice.has_content = choice.has_content or delta.has_content
                yield delta
        if candidate.logprobs_result is not None:
            yield ChoiceDelta(index, logprobs=_logprobs(candidate.logprobs_result))
        choice.cited.note(candidate)
        choice.finish = candidate.finish_reason or choice.finish
        choice.message = candidate.finish_message or choice.message

    def _part(self, index: int, choice: _Choice, raw: Raw) -> Iterator[ChoiceDelta]:
        part = decoded(part_decoder.decode, raw)
        self.said_bytes += len(raw)
        if part.function_call is not None:
            yield ChoiceDelta(index, tool_calls=(self._call(choice, part, part.function_call),))
        elif part.text is None and bytes(raw) != b"{}":
            yield ChoiceDelta(index, native=(NativeBlock("gemini", bytes(raw)),))
        elif part.text is None:
            return
        elif part.thought:
            choice.span += len(part.text)
            yield ChoiceDelta(index, reasoning=part.text, details=_signed(part, choice))
        else:
            choice.cited.said(part.text)
            if part.text:
                yield ChoiceDelta(index, part.text)
            if part.thought_signature:
                yield ChoiceDelta(index, details=(_closed(part.thought_signature),))

    def _call(self, choice: _Choice, part: Part, call: FunctionCall) -> ToolCallDelta:
        """Return a whole call; Gemini makes them in one piece, and often without an id."""
        args = bytes(call.args) if bytes(call.args) != b"null" else b"{}"
        number, choice.calls = choice.calls, choice.calls + 1
        origin = self._first.id or f"{zlib.crc32(call.name.encode() + args):08x}"
        return ToolCallDelta(
            index=number,
            id=call.id or f"call_{origin}_{number}",
            name=call.name,
            arguments=args.decode(),
            signature=part.thought_signature,
        )


def _refuse_blocked(feedback: PromptFeedback) -> None:
    if feedback.block_reason:
        said = f": {feedback.block_reason_message}" if feedback.block_reason_message else "."
        raise ContentPolicyRefused(
            f"Gemini blocked the prompt ({feedback.block_reason}){said}", upstream_status=200
        )


def _signed(part: Part, choice: _Choice) -> tuple[ReasoningDetail, ...]:
    """Return the detail that closes the reasoning so far, where the part is signed."""
    if not part.thought_signature:
        return ()
    span, choice.span = choice.span, 0
    return (ReasoningDetail(signature=part.thought_signature, id=f"{SPAN}{span}", format=FORMAT),)


def _closed(signature: str) -> ReasoningDetail:
    """Return the signature of an answer's text: a stream brings it on an empty text of its own."""
    return ReasoningDetail(type="encrypted", data=signature, format=FORMAT)


def _end(index: int, choice: _Choice) -> Iterator[ChoiceDelta]:
    word = choice.finish
    if word in BROKEN and not choice.has_content:
        said = f": {choice.message}" if choice.message else "."
        raise ProviderFailed(
            f"The model broke off with nothing said ({word}){said}", upstream_status=200
        )
    yield from choice.cited.end(index)
    reason = FINISH.get(word, "stop")
    if reason == "stop" and choice.calls:
        reason = "tool_calls"
    native = "" if word in ("STOP", "MAX_TOKENS") else word
    yield ChoiceDelta(index, finish_reason=reason, native_finish=native)


def _logprobs(result: LogprobsResult) -> bytes:
    """Return log-probabilities in OpenAI's chat form."""
    tops = result.top_candidates
    content = [
        _token(chosen)
        | {"top_logprobs": [_token(t) for t in tops[at].candidates] if at < len(tops) else []}
        for at, chosen in enumerate(result.chosen_candidates)
    ]
    return _encode({"content": content, "refusal": None})


def _token(entry: TokenLogprob) -> dict[str, Any]:
    return {
        "token": entry.token,
        "logprob": entry.log_probability,
        "bytes": list(entry.token.encode()),
    }
