"""Triton's generate endpoints: one text in, one text out, for models without a chat of their own.

There are no messages, so a prompt is composed from them, a line each (``TEMPLATE``); a model that
wants another form is better served by Triton's OpenAI frontend, which applies its chat template.
Usage does not come and is estimated; an error may come as an event of a stream that began with 200.
Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_generate.md
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from santral.errors import ProviderGarbled
from santral.providers.conversation.blocks import Text, ToolResult, Turn, text_of
from santral.providers.conversation.conversation import (
    Conversation,
    output_limit,
    read_conversation,
)
from santral.providers.openai.error import error_inside
from santral.providers.provider import ProviderCall
from santral.providers.translated import AnswerReader, TranslatedProvider, decode, note_losses
from santral.wire.delta import Delta
from santral.wire.sse import SseDecoder

#: How a turn stands in the prompt; the last line is the assistant's and empty.
TEMPLATE = "{role}: {text}\n"
_ROLES = {"user": "User", "assistant": "Assistant", "system": "System"}

#: TensorRT-LLM's ensemble requires a limit; where neither client nor route sets one. Chosen.
MAX_TOKENS = 1024

_encode = msgspec.json.Encoder().encode


class TritonProvider(TranslatedProvider):
    """Asks models of one Triton server through the generate extension."""

    def address(self, call: ProviderCall) -> str:
        """Return the endpoint of the model, whole or streamed."""
        model = quote(call.model, safe="")
        verb = "generate_stream" if call.is_streaming else "generate"
        return f"{self.connection.base_url}/v2/models/{model}/{verb}"

    def write(self, call: ProviderCall) -> bytes:
        """Return the body of a call: the prompt and the settings that the backend knows."""
        conversation = read_conversation(call.fields, keeps_system_turns=True)
        _note_losses(call, conversation)
        settings = _settings(conversation, call, self.connection.vendor.kind)
        return _encode({"text_input": prompt_of(conversation), **settings})

    def reader(self, call: ProviderCall, secret: str, created: int) -> TritonReader:
        """Return what reads the answer."""
        return TritonReader(call, secret=secret, created=created)


def prompt_of(conversation: Conversation) -> str:
    """Return the conversation as one text: what is no text is left out."""
    lines: list[str] = []
    if conversation.system:
        lines.append(TEMPLATE.format(role="System", text=text_of(conversation.system)))
    lines += [
        TEMPLATE.format(role=_ROLES[turn.role], text=_text(turn)) for turn in conversation.turns
    ]
    return "".join(lines) + "Assistant:"


def _text(turn: Turn) -> str:
    return "\n".join(
        block.text for block in turn.blocks if isinstance(block, Text | ToolResult) and block.text
    )


def _note_losses(call: ProviderCall, conversation: Conversation) -> None:
    note_losses(call, conversation, lacks=("logprobs", "top_logprobs"))
    for turn in conversation.turns:
        for block in turn.blocks:
            if not isinstance(block, Text | ToolResult):
                call.losses.drop(block.path)
    for name, is_asked in (
        ("tools", bool(conversation.tools)),
        ("response_format", conversation.output.kind != "text"),
        ("reasoning_effort", bool(conversation.reasoning.effort)),
        ("thinking", conversation.reasoning.thinking is not None),
    ):
        if is_asked:
            call.losses.drop(name)


def _settings(conversation: Conversation, call: ProviderCall, kind: str) -> dict[str, Any]:
    """Return the sampling settings as the model's backend names and places them.

    TensorRT-LLM takes them as tensors beside the text, vLLM as parameters, which are single values.
    Sources: https://github.com/triton-inference-server/tensorrtllm_backend/blob/main/docs/llama.md
    and https://github.com/triton-inference-server/vllm_backend/blob/main/README.md
    """
    sampling, is_vllm = conversation.sampling, kind == "triton-vllm"
    limit = output_limit(conversation, call.max_output_tokens)
    settings: dict[str, Any] = {
        "max_tokens": MAX_TOKENS if limit is None else limit,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "seed" if is_vllm else "random_seed": sampling.seed,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
    }
    if is_vllm and sampling.stop:
        settings["stop"] = sampling.stop[0]
        if len(sampling.stop) > 1:
            call.losses.change("stop", sampling.stop[0])
    elif sampling.stop:
        settings["stop_words"] = list(sampling.stop)
    settings = {name: value for name, value in settings.items() if value is not None}
    if not is_vllm:
        return settings | {"stream": call.is_streaming}
    parameters = settings | {"stream": call.is_streaming}
    return {"parameters": parameters, "exclude_input_in_output": True}


class _Answer(Struct):
    text_output: str | list[str] | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Answer)


class TritonReader(AnswerReader):
    """Reads one answer of a generate endpoint; a backend may repeat the prompt, which is cut off."""

    def __init__(self, call: ProviderCall, *, secret: str, created: int) -> None:
        super().__init__(call, secret=secret, created=created)
        self._sse = SseDecoder()
        conversation = read_conversation(call.fields, keeps_system_turns=True)
        self._prompt = prompt_of(conversation)
        self._held: str | None = ""  # None once it is known whether the prompt is repeated

    def events(self, data: bytes) -> Iterable[bytes]:
        """Return the events that ``data`` completes."""
        return [event.data for event in self._sse.feed(data)]

    def take(self, event: bytes) -> Iterable[Delta]:
        """Return the delta of one event: more text."""
        if not event.strip():
            return []
        return self.said(text=self._unrepeated(self._text(event)))

    def take_whole(self, body: bytes) -> Iterable[Delta]:
        """Return the deltas of an answer that was not streamed."""
        return [*self.said(text=self._text(body).removeprefix(self._prompt)), *self.finish("stop")]

    def close(self) -> Iterable[Delta]:
        """Return what was held back; the end of the bytes is the only end there is."""
        if self._error is not None:
            return []
        rest, self._held = self._held or "", None
        return [*self.said(text=rest), *self.finish("stop")]

    def _text(self, data: bytes) -> str:
        read = decode(_decoder, data)
        if read.error:
            raise error_inside(read.error, secret=self._secret)
        if read.text_output is None:
            raise ProviderGarbled(
                "The model's answer has no text_output: is it a text model with that output?"
            )
        said = read.text_output
        return said if isinstance(said, str) else "".join(said)

    def _unrepeated(self, text: str) -> str:
        if self._held is None:
            return text
        text = self._held + text
        if self._prompt.startswith(text) and text != self._prompt:
            self._held = text
            return ""
        self._held = None
        return text.removeprefix(self._prompt)
