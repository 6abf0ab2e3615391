"""A chat request is read into typed blocks whole, or refused with the path of what is wrong."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from santral.errors import BadRequest
from santral.providers.conversation.blocks import (
    Audio,
    File,
    Image,
    Native,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from santral.providers.conversation.conversation import merged, output_limit, read_conversation
from santral.providers.conversation.messages import span_of
from santral.wire.delta import ReasoningDetail

MARKER = {"type": "ephemeral", "ttl": "1h"}


def raw(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as a call has them: raw slices, and the messages a list."""
    made: dict[str, Any] = {n: Raw(json.dumps(v).encode()) for n, v in fields.items()}
    made["messages"] = [Raw(json.dumps(m).encode()) for m in fields.get("messages", [])]
    return made


def read(messages: list[dict[str, Any]], **fields: Any):
    one = read_conversation({"messages": messages, **fields})
    other = read_conversation(raw({"messages": messages, **fields}))
    alike = [json.loads(msgspec.json.encode(made)) for made in (one, other)]
    assert alike[0] == alike[1], "raw and plain are read alike"
    return other


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [*parts]}


def test_leading_system_messages_become_the_system_prompt() -> None:
    said = read(
        [
            {"role": "system", "content": "One."},
            {"role": "developer", "content": [{"type": "text", "text": "Two."}]},
            {"role": "user", "content": "Hi"},
        ]
    )
    assert [block.text for block in said.system if isinstance(block, Text)] == ["One.", "Two."]
    assert [turn.role for turn in said.turns] == ["user"]
    assert said.turns[0].blocks == (Text(text="Hi", path="messages.2.content"),)


def test_a_later_system_message_is_marked_or_kept_in_its_place() -> None:
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Now?"},
    ]
    folded = merged(read(messages).turns)
    assert [turn.role for turn in folded] == ["user"]
    texts = [block.text for block in folded[0].blocks if isinstance(block, Text)]
    assert texts == ["Hi", "<system>\nBe brief.\n</system>", "Now?"]
    kept = read_conversation({"messages": messages}, keeps_system_turns=True)
    assert [turn.role for turn in kept.turns] == ["user", "system", "user"]


def test_every_part_becomes_its_block_with_its_place() -> None:
    said = read(
        [
            user(
                {"type": "text", "text": "Look", "cache_control": MARKER},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAA="}},
                {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "BBB=", "format": "wav"}},
                {
                    "type": "file",
                    "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,CC=="},
                },
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "file", "file": {"file_url": "https://x/a.pdf"}},
                {"type": "native", "dialect": "messages", "block": {"type": "search_result"}},
            )
        ]
    )
    at = "messages.0.content."
    text, *others = said.turns[0].blocks
    assert isinstance(text, Text)
    assert text.cache_control is not None
    assert json.loads(bytes(text.cache_control)) == MARKER
    native = others.pop()
    assert others == [
        Image(media_type="image/png", data="AAA=", path=f"{at}1"),
        Image(url="https://x/y.png", detail="low", path=f"{at}2"),
        Audio(format="wav", data="BBB=", path=f"{at}3"),
        File(filename="a.pdf", media_type="application/pdf", data="CC==", path=f"{at}4"),
        File(file_id="file-1", path=f"{at}5"),
        File(url="https://x/a.pdf", path=f"{at}6"),
    ]
    assert isinstance(native, Native)
    assert json.loads(bytes(native.json)) == {"type": "search_result"}


def test_calls_and_their_results_find_each_other() -> None:
    said = read(
        [
            {"role": "user", "content": "Weather?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city":"İzmir"}'},
                        "extra_content": {"google": {"thought_signature": "sig=="}},
                    },
                    {"id": "c2", "type": "custom", "custom": {"name": "note", "input": "plain"}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            {"role": "tool", "tool_call_id": "c2", "content": "no", "is_error": True},
        ]
    )
    turns = merged(said.turns)
    assert [turn.role for turn in turns] == ["user", "assistant", "user"]
    one, two = turns[1].blocks
    assert isinstance(one, ToolUse)
    assert (one.arguments, one.signature) == ('{"city":"İzmir"}', "sig==")
    assert isinstance(two, ToolUse)
    assert (two.kind, two.name, two.arguments) == ("custom", "note", "plain")
    first, second = turns[2].blocks
    assert isinstance(first, ToolResult)
    assert (first.name, first.text, first.is_error) == ("weather", "sunny", False)
    assert isinstance(second, ToolResult)
    assert (second.name, second.is_error) == ("note", True)


def test_legacy_function_messages_are_calls_too() -> None:
    said = read(
        [
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    )
    call, result = said.turns[0].blocks[0], said.turns[1].blocks[0]
    assert isinstance(call, ToolUse)
    assert isinstance(result, ToolResult)
    assert call.id == result.call_id
    assert said.unsaid == ()
    assert said.tools[0].name == "f"
    assert (said.tool_choice.mode, said.tool_choice.name) == ("tool", "f")


def test_reasoning_details_keep_their_order_and_their_texts() -> None:
    details = [
        {"type": "reasoning.text", "text": "a", "signature": "s1", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "data": "zz", "format": "anthropic-claude-v1"},
    ]
    said = read([{"role": "assistant", "content": "x", "reasoning_details": details}])
    anthropic = "anthropic-claude-v1"
    assert said.turns[0].blocks[:2] == (
        Thinking(
            text="a",
            detail=ReasoningDetail(signature="s1", format=anthropic),
            path="messages.0.reasoning_details.0",
        ),
        Thinking(
            detail=ReasoningDetail(type="encrypted", data="zz", format=anthropic),
            path="messages.0.reasoning_details.1",
        ),
    )


def test_reasoning_text_is_shared_out_by_the_spans_of_its_details() -> None:
    said = read(
        [
            {
                "role": "assistant",
                "reasoning_content": "first second",
                "reasoning_details": [
                    {"type": "reasoning.text", "signature": "s1", "id": "chars-6"},
                    {"type": "reasoning.encrypted", "data": "zz"},
                    {"type": "reasoning.text", "signature": "s2", "id": "chars-6"},
                ],
            }
        ]
    )
    texts = [block.text for block in said.turns[0].blocks if isinstance(block, Thinking)]
    assert texts == ["first ", "", "second"]


def test_interleaved_blocks_come_back_in_their_order() -> None:
    message = {
        "role": "assistant",
        "content": [{"type": "text", "text": "between"}],
        "reasoning_details": [
            {"type": "reasoning.text", "text": "one", "signature": "s1"},
            {"type": "reasoning.text", "text": "two", "signature": "s2"},
        ],
        "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
        "block_order": ["reasoning", "content", "reasoning", "tool_call"],
    }
    kinds = [type(block).__name__ for block in read([message]).turns[0].blocks]
    assert kinds == ["Thinking", "Text", "Thinking", "ToolUse"]
    wrong = message | {"block_order": ["content"]}  # does not fit: somebody changed the message
    kinds = [type(block).__name__ for block in read([wrong]).turns[0].blocks]
    assert kinds == ["Thinking", "Thinking", "Text", "ToolUse"]


def test_settings_are_typed_and_the_rest_is_named() -> None:
    said = read(
        [user({"type": "text", "text": "x"})],
        temperature=0.5,
        max_tokens=9,
        max_completion_tokens=7,
        stop="END",
        n=2,
        seed=4,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "o", "schema": {"type": "object"}, "strict": True},
        },
        reasoning_effort="low",
        parallel_tool_calls=False,
        tool_choice={"type": "function", "function": {"name": "f"}},
        tools=[
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"type": "object"}, "strict": True},
                "cache_control": MARKER,
            },
            {"type": "native", "dialect": "messages", "block": {"type": "web_search_20260318"}},
        ],
        user="u1",
        logit_bias={"1": 2},
        store=None,
        stream=True,
    )
    assert said.sampling.max_tokens == 7
    assert said.sampling.stop == ("END",)
    assert (said.output.kind, said.output.name, said.output.strict) == ("json_schema", "o", True)
    assert said.reasoning.effort == "low"
    assert said.parallel_tool_calls is False
    assert (said.tool_choice.mode, said.tool_choice.name) == ("tool", "f")
    assert [tool.kind for tool in said.tools] == ["function", "native"]
    assert said.user == "u1"
    assert list(said.rest) == ["logit_bias"]
    assert output_limit(said, 5) == 5
    assert output_limit(said, None) == 7


@pytest.mark.parametrize(
    ("messages", "fields", "param"),
    [
        ([user({"type": "video_url", "video_url": {}})], {}, "messages.0.content.0.type"),
        ([user({"type": "image_url"})], {}, "messages.0.content.0.image_url"),
        (
            [user({"type": "image_url", "image_url": {"url": "data:image/png,raw"}})],
            {},
            "messages.0.content.0.image_url.url",
        ),
        ([{"role": "user", "content": 5}], {}, "messages.0.content"),
        ([{"role": "tool", "content": "x"}], {}, "messages.0.tool_call_id"),
        ([{"role": "assistant", "tool_calls": [{"id": "c"}]}], {}, "messages.0.tool_calls.0.function.name"),
        ([], {"temperature": "hot"}, "temperature"),
        ([], {"tools": [{"type": "function", "function": {"name": 5}}]}, "tools.0.function.name"),
        ([], {"tools": [{"type": "mystery"}]}, "tools.0"),
        ([], {"tool_choice": {"type": "function"}}, "tool_choice"),
    ],
)  # fmt: skip
def test_a_wrong_shape_is_refused_by_its_place(
    messages: list[dict[str, Any]], fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        read_conversation(raw({"messages": messages, **fields}))
    assert caught.value.param == param
    assert param.removesuffix(".type") in caught.value.message


def test_fields_that_blocks_have_no_place_for_are_named() -> None:
    said = read(
        [
            {"role": "user", "name": "ayse", "content": "x"},
            {"role": "assistant", "content": "y", "audio": {"id": "a"}},
        ]
    )
    assert said.unsaid == ("messages.0.name", "messages.1.audio")


@pytest.mark.parametrize(
    ("given", "closes"), [("chars-12", 12), ("12", 0), ("chars-", 0), (None, 0)]
)
def test_only_an_id_of_ours_says_how_much_a_detail_closes(given: str | None, closes: int) -> None:
    assert span_of(given) == closes
