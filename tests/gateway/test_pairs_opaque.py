"""What a vendor signs goes back to it byte for byte through every dialect, and to nobody else."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from tests.gateway.dialects_in import HELLO, ask
from tests.gateway.echoes import again
from tests.gateway.vendors import Reading, VendorWorker, exchange_of, kinds

DIALECTS = ("chat", "messages", "responses", "gemini")

#: Who takes what each recording's vendor signed.
TAKERS = {
    "anthropic-claude-v1": {"anthropic", "bedrock", "openrouter"},
    "google-gemini-v1": {"gemini", "gemini-openai", "openrouter"},
    "openai-responses-v1": {"openai-responses", "openrouter"},
}
SIGNED = {
    "anthropic/message.json": "anthropic-claude-v1",
    "anthropic/thinking_tools.sse": "anthropic-claude-v1",
    "anthropic/interleaved.sse": "anthropic-claude-v1",
    "bedrock/thinking.bin": "anthropic-claude-v1",
    "bedrock/thinking.json": "anthropic-claude-v1",
    "gemini/thinking.sse": "google-gemini-v1",
    "gemini/thinking-signed.json": "google-gemini-v1",
    "gemini/tools.json": "google-gemini-v1",
    "gemini/tools.sse": "google-gemini-v1",
    "google-openai/tools.sse": "google-gemini-v1",
    "openai-responses/reasoning_tool.json": "openai-responses-v1",
    "openai-responses/reasoning_tool.sse": "openai-responses-v1",
    "openrouter/stream.sse": "anthropic-claude-v1",
    "openrouter/whole.json": "anthropic-claude-v1",
}
STRANGERS = ("openai", "anthropic", "gemini", "openai-responses", "bedrock", "cohere", "ollama")


@pytest.fixture(scope="module")
def vendors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VendorWorker]:
    made = VendorWorker(tmp_path_factory.mktemp("vendors"), kinds())
    yield made
    made.close()


def opaque(reading: Reading) -> list[str]:
    """Everything in an answer that its vendor wants back unread."""
    (choice,) = reading.answer.choices
    found = [detail.data or detail.signature for detail in choice.details]
    found += [call.signature for call in choice.tool_calls]
    return [text for text in found if text]


def on_the_wire(kind: str, text: str) -> str:
    """Bedrock's JSON holds the bytes that Anthropic calls ``data`` in base64 once more."""
    is_redacted = kind == "bedrock" and text.startswith("EmwKAh")
    return base64.b64encode(text.encode()).decode() if is_redacted else text


def strings(value: Any) -> Iterator[str]:
    """Every string of a JSON document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def second_request(
    vendors: VendorWorker, name: str, dialect: str, *, stream: bool
) -> dict[str, Any]:
    """Ask, and return the request that carries the answer on."""
    exchange = exchange_of(name)
    vendors.answer_with(exchange)
    answer = ask(vendors, dialect, exchange.kind, stream=stream, fields=HELLO[dialect])
    assert answer.status == 200, answer.body
    return again(dialect, answer)


CASES = pytest.mark.parametrize("name", SIGNED)
IN = pytest.mark.parametrize("dialect", DIALECTS)
FORMS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@FORMS
@IN
@CASES
def test_what_was_signed_comes_back_byte_for_byte(
    vendors: VendorWorker, name: str, dialect: str, stream: bool
) -> None:
    signed = opaque(vendors.read(name))
    assert signed
    fields = second_request(vendors, name, dialect, stream=stream)
    exchange = exchange_of(name)
    vendors.answer_with(exchange)
    answer = ask(vendors, dialect, exchange.kind, stream=False, fields=fields)
    assert answer.status == 200, answer.body
    spelled = {on_the_wire(exchange.kind, text): text for text in signed}
    sent = [spelled[text] for text in strings(vendors.upstream.sent[0].json) if text in spelled]
    assert sent == signed
    lost = answer.headers.get("x-santral-loss", "")
    assert "reasoning" not in lost, lost


@IN
@CASES
def test_nobody_else_gets_it_and_the_loss_is_named(
    vendors: VendorWorker, name: str, dialect: str
) -> None:
    signed = opaque(vendors.read(name))
    fields = second_request(vendors, name, dialect, stream=False)
    for kind in set(STRANGERS) - TAKERS[SIGNED[name]]:
        whole = exchange_of(WHOLE[kind])
        vendors.answer_with(whole)
        answer = ask(vendors, dialect, kind, stream=False, fields=fields)
        assert answer.status == 200, (kind, answer.body)
        body = vendors.upstream.sent[0].body.decode()
        assert not [text for text in signed if text in body], kind
        assert "santral." not in body, kind
        assert answer.headers.get("x-santral-loss"), kind


@IN
@CASES
def test_a_strict_route_refuses_instead(vendors: VendorWorker, name: str, dialect: str) -> None:
    fields = second_request(vendors, name, dialect, stream=False)
    for kind in set(STRANGERS) - TAKERS[SIGNED[name]]:
        vendors.answer_with(exchange_of(WHOLE[kind]))
        answer = ask(vendors, dialect, f"{kind}-strict", stream=False, fields=fields)
        assert answer.status == 400, (kind, answer.body)
        assert b"parameter_not_supported" in answer.body.lower()
        assert vendors.upstream.sent == []


#: A plain answer of each vendor.
WHOLE = {
    "openai": "openai/whole.json",
    "anthropic": "anthropic/text.json",
    "gemini": "gemini/text.json",
    "openai-responses": "openai-responses/text.json",
    "bedrock": "bedrock/text.json",
    "cohere": "cohere/whole.json",
    "ollama": "ollama/whole.json",
}
