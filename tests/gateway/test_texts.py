"""Texts are found wherever a person or tool can put them, and go back without touching the rest."""

import base64
import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from santral.gateway.texts import last_user_text, put_back, texts_of
from santral.wire.chat import ChatCall, chat_call, parse_chat


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


def test_a_text_document_is_read_and_goes_back_as_one() -> None:
    url = "data:text/plain;base64," + base64.b64encode(b"call 0532").decode()
    part = {"type": "file", "file": {"filename": "a.txt", "file_data": url}}
    request = call({"role": "user", "content": [part]})
    places, texts = texts_of(request)
    assert texts == ["a.txt", "call 0532"]
    put_back(request, places, texts, ("a.txt", "call [PHONE_1]"))
    data = sent(request)[0]["content"][0]["file"]["file_data"]
    assert base64.b64decode(data.partition(",")[2]) == b"call [PHONE_1]"


def test_a_binary_document_rides_through() -> None:
    url = "data:application/pdf;base64,JVBERi0="
    part = {"type": "file", "file": {"filename": "a.pdf", "file_data": url}}
    assert texts_of(call({"role": "user", "content": [part]}))[1] == ["a.pdf"], "its name is read"


def test_fields_of_another_dialect_are_read_wherever_they_stand() -> None:
    request = chat_call(
        {"model": "m", "messages": []},
        dialect="messages",
        native={"mcp_servers": Raw(b'[{"name": "a@example.com", "id": "b", "n": 1}]')},
    )
    places, texts = texts_of(request)
    assert texts == ["a@example.com"]
    put_back(request, places, texts, ("[EMAIL_1]",))
    assert json.loads(bytes(request.native["mcp_servers"])) == [
        {"name": "[EMAIL_1]", "id": "b", "n": 1}
    ]


def test_a_changed_reasoning_loses_what_vouched_for_it() -> None:
    details = [{"type": "reasoning.text", "text": "x", "signature": "s", "format": "f"}]
    request = call({"role": "assistant", "content": "y", "reasoning_details": details})
    places, texts = texts_of(request)
    put_back(request, places, texts, tuple("z" if text == "x" else text for text in texts))
    assert sent(request)[0]["reasoning_details"] == [
        {"type": "reasoning.text", "text": "z", "format": "f"}
    ]
