"""Texts are found wherever a person or tool can put them, and go back without touching the rest."""

import json
from typing import Any

import msgspec
import pytest

from santral.gateway.texts import last_user_text, put_back, texts_of
from santral.wire.chat import ChatCall, parse_chat


def call(*messages: dict[str, Any]) -> ChatCall:
    return parse_chat(json.dumps({"model": "m", "messages": messages}).encode())


def sent(request: ChatCall) -> Any:
    return json.loads(msgspec.json.encode(request.messages))


MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "be kind", "x_unknown": 1},
    {
        "role": "user",
        "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"q": "b"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "1", "content": "result c"},
]


def test_every_text_is_found() -> None:
    assert texts_of(call(*MESSAGES))[1] == ["be kind", "a", '{"q": "b"}', "result c"]


def test_unchanged_messages_keep_their_bytes() -> None:
    request = call(*MESSAGES)
    places, texts = texts_of(request)
    put_back(request, places, texts, tuple(texts))
    assert all(isinstance(message, msgspec.Raw) for message in request.messages)


@pytest.mark.parametrize("position", range(4))
def test_a_changed_text_goes_back_to_its_place_and_nowhere_else(position: int) -> None:
    request = call(*MESSAGES)
    places, texts = texts_of(request)
    changed = [*texts]
    changed[position] = "MASKED"
    put_back(request, places, texts, tuple(changed))
    expected = json.loads(json.dumps(MESSAGES).replace(json.dumps(texts[position]), '"MASKED"', 1))
    assert sent(request) == expected


def test_the_last_user_text_is_the_masked_one() -> None:
    request = call({"role": "user", "content": "first"}, {"role": "user", "content": "second"})
    places, texts = texts_of(request)
    put_back(request, places, texts, ("first", "MASKED"))
    assert last_user_text(request) == "MASKED"
