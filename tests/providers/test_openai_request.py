"""What is sent: the caller's bytes where the vendor takes them, else what it takes, and the losses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from santral.config.upstreams import TimeoutsConfig
from santral.errors import ParameterNotSupported
from santral.providers.openai.request import RequestWriter
from santral.providers.provider import ProviderCall
from santral.providers.registry import VENDORS
from santral.wire.loss import Losses

USER = {"role": "user", "content": "Hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
SIGNED = [
    {"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1"}
]


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


def call_of(*messages: dict[str, Any], dialect: str = "chat", **more: Any) -> ProviderCall:
    native = more.pop("native", {})
    strict = more.pop("strict", "")
    is_streaming = more.pop("is_streaming", False)
    fields: dict[str, Any] = {name: raw(value) for name, value in more.items()}
    fields["messages"] = [raw(message) for message in messages or (USER,)]
    return ProviderCall(
        model="m",
        fields=fields,
        is_streaming=is_streaming,
        timeouts=TimeoutsConfig(),
        dialect=dialect,
        native={name: raw(value) for name, value in native.items()},
        losses=Losses(strict),
    )


def write(kind: str, call: ProviderCall) -> Any:
    return json.loads(RequestWriter(VENDORS[kind]).write(call))


def written(kind: str, *messages: dict[str, Any], **more: Any) -> tuple[Any, list[str]]:
    call = call_of(*messages, **more)
    return write(kind, call), call.losses.names()


@pytest.mark.parametrize("kind", ["openai", "openai-compatible", "xai", "openrouter"])
def test_unknown_fields_of_a_chat_client_ride_through(kind: str) -> None:
    message = USER | {"frobnicate": {"a": 1.0}}
    body, losses = written(kind, message, frobnicate=[1, None], temperature=1.0)
    assert body["messages"] == [message]
    assert body["frobnicate"] == [1, None]
    assert losses == []


def test_bytes_that_need_no_change_are_the_very_same() -> None:
    odd = Raw(b'{ "role":"user" ,"content":"\\u0041", "seed":1e400 }')
    call = call_of()
    call.fields["messages"] = [odd]
    for kind in ("openai", "vllm", "mistral"):
        assert bytes(odd) in RequestWriter(VENDORS[kind]).write(call)


FIELDS: tuple[tuple[str, dict[str, Any], dict[str, Any], list[str]], ...] = (
    ("mistral", {"seed": 7}, {"random_seed": 7}, []),
    ("mistral", {"max_completion_tokens": 9}, {"max_tokens": 9}, []),
    ("mistral", {"logit_bias": {"1": 2}}, {}, ["logit_bias"]),
    ("mistral", {"user": None}, {}, []),
    ("groq", {"logprobs": True, "top_logprobs": 2}, {}, ["logprobs", "top_logprobs"]),
    ("groq", {"n": 1}, {}, []),
    ("groq", {"n": 3}, {}, ["n=1"]),
    ("deepseek", {"response_format": SCHEMA}, {"response_format": {"type": "json_object"}},
     ["response_format=json_object"]),
    ("deepseek", {"response_format": {"type": "json_object"}},
     {"response_format": {"type": "json_object"}}, []),
    ("lmstudio", {"response_format": SCHEMA}, {"response_format": SCHEMA}, []),
    ("openai", {"response_format": SCHEMA}, {"response_format": SCHEMA}, []),
    ("openai-compatible", {"response_format": SCHEMA}, {"response_format": SCHEMA}, []),
    ("vllm", {"seed": None, "top_p": 1}, {"top_p": 1}, []),
    ("openai", {"seed": None}, {"seed": None}, []),
    ("perplexity", {"tools": [TOOL], "tool_choice": "auto"}, {}, ["tools", "tool_choice"]),
    ("mistral", {"stream_options": {"include_usage": True}}, {}, []),
    ("transformers", {"response_format": {"type": "json_object"}, "seed": 4}, {"seed": 4},
     ["response_format"]),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "given", "sent", "losses"), FIELDS)
def test_fields_go_as_the_vendor_takes_them(
    kind: str, given: dict[str, Any], sent: dict[str, Any], losses: list[str]
) -> None:
    body, lost = written(kind, **given)
    assert {k: v for k, v in body.items() if k not in ("model", "messages")} == sent
    assert sorted(lost) == sorted(losses)


def test_lm_studio_is_asked_for_any_object_by_a_schema() -> None:
    body, losses = written("lmstudio", response_format={"type": "json_object"})
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert losses == []


def test_a_strict_route_refuses_what_would_be_dropped() -> None:
    with pytest.raises(ParameterNotSupported) as caught:
        written("groq", logit_bias={"1": 2}, strict="main")
    assert caught.value.param == "logit_bias"


def test_a_vendor_that_sends_usage_unasked_is_not_asked() -> None:
    assert "stream_options" not in written("mistral", is_streaming=True)[0]
    assert "stream_options" not in written("transformers", is_streaming=True)[0]
    assert written("groq", is_streaming=True)[0]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("kind", "role"), [("openai", "developer"), ("deepseek", "system"), ("vllm", "system")]
)
def test_a_role_that_a_vendor_does_not_know_goes_as_system(kind: str, role: str) -> None:
    for message in (
        {"role": "developer", "content": "Be brief."},
        {"content": "Be brief.", "role": "developer"},
    ):
        body, losses = written(kind, message, USER)
        assert body["messages"] == [{"role": role, "content": "Be brief."}, USER]
        assert losses == []


SAID = {"role": "assistant", "content": "Yes.", "reasoning_content": "hm"}


@pytest.mark.parametrize(
    ("kind", "name", "losses"),
    [
        ("openai", "reasoning_content", []),  # a chat client's own field: not known to be refused
        ("groq", "reasoning", []),
        ("deepseek", "reasoning_content", []),
        ("mistral", "", ["messages.0.reasoning_content"]),
    ],
)
def test_reasoning_goes_back_under_the_name_the_vendor_has_for_it(
    kind: str, name: str, losses: list[str]
) -> None:
    body, lost = written(kind, SAID, USER)
    expected = {"role": "assistant", "content": "Yes."} | ({name: "hm"} if name else {})
    assert body["messages"][0] == expected
    assert lost == losses


def test_a_request_of_another_dialect_leaves_its_extras_behind() -> None:
    marked = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
    signed = {"google": {"thought_signature": "t"}}
    function = {"name": "f", "arguments": "{}"}
    said = {
        "role": "assistant",
        "content": "Yes.",
        "reasoning_content": "hm",
        "reasoning_details": SIGNED,
        "block_order": ["reasoning", "content", "tool_call"],
        "tool_calls": [
            {"id": "c", "type": "function", "function": function, "extra_content": signed}
        ],
    }
    result = {"role": "tool", "tool_call_id": "c", "content": "no", "is_error": True}
    native = {"type": "native", "dialect": "messages", "block": {"type": "x"}}
    body, losses = written(
        "openai",
        {"role": "user", "content": [marked, native]},
        said,
        result,
        dialect="messages",
        thinking={"type": "enabled", "budget_tokens": 1024},
        native={"top_k": 5},
        tools=[TOOL | {"cache_control": {"type": "ephemeral"}}, {"type": "native", "block": {}}],
    )
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {
            "role": "assistant",
            "content": "Yes.",
            "tool_calls": [{"id": "c", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "no"},
    ]
    assert body["tools"] == [TOOL]
    assert "thinking" not in body
    assert sorted(losses) == sorted(
        [
            "top_k",
            "thinking",
            "messages.0.content.1",
            "messages.1.reasoning_content",
            "messages.1.reasoning_details",
            "messages.1.tool_calls.0.extra_content",
            "messages.2.is_error",
            "tools.1",
        ]
    )


def test_openrouter_takes_details_and_markers_of_other_dialects() -> None:
    marked = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
    said = {"role": "assistant", "content": "Yes.", "reasoning_details": SIGNED}
    body, losses = written(
        "openrouter",
        {"role": "user", "content": [marked]},
        said,
        dialect="messages",
        native={"top_k": 5},
        tools=[TOOL | {"cache_control": {"type": "ephemeral"}}],
    )
    assert body["messages"][0]["content"] == [marked]
    assert body["messages"][1] == said
    assert body["tools"][0]["cache_control"] == {"type": "ephemeral"}
    assert body["top_k"] == 5
    assert losses == []


@pytest.mark.parametrize(
    ("kind", "part", "is_taken"),
    [
        (
            "openai",
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ=="}},
            True,
        ),
        ("openai", {"type": "file", "file": {"file_url": "https://example.com/a.pdf"}}, False),
        (
            "groq",
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ=="}},
            False,
        ),
        ("deepseek", {"type": "image_url", "image_url": {"url": "https://e.com/a.png"}}, False),
        ("openai", {"type": "image_url", "image_url": {"url": "https://e.com/a.png"}}, True),
        ("openai-compatible", {"type": "image_url", "image_url": {"url": "https://e.com"}}, True),
    ],
)
def test_a_part_that_the_vendor_cannot_read_is_a_loss(
    kind: str, part: dict[str, Any], is_taken: bool
) -> None:
    text = {"type": "text", "text": "See."}
    body, losses = written(kind, {"role": "user", "content": [text, part]}, dialect="messages")
    assert body["messages"][0]["content"] == ([text, part] if is_taken else [text])
    assert losses == ([] if is_taken else ["messages.0.content.1"])


def test_images_of_a_tools_result_follow_it_in_a_message_of_the_user() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}
    text = {"type": "text", "text": "done"}
    results = [
        {"role": "tool", "tool_call_id": "a", "content": [text, image]},
        {"role": "tool", "tool_call_id": "b", "content": "plain"},
    ]
    body, losses = written("openai", *results, USER, dialect="messages")
    named = {"type": "text", "text": "From the result of the tool call a:"}
    assert body["messages"] == [
        {"role": "tool", "tool_call_id": "a", "content": [text]},
        results[1],
        {"role": "user", "content": [named, image]},
        USER,
    ]
    assert losses == []


def test_groq_and_fireworks_get_no_cache_markers_from_a_chat_client_either() -> None:
    marked = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
    for kind in ("groq", "fireworks", "mistral"):
        body, losses = written(
            kind,
            {"role": "user", "content": [marked]},
            tools=[TOOL | {"cache_control": {"type": "ephemeral"}}],
        )
        assert body["messages"][0]["content"] == [{"type": "text", "text": "Hi"}]
        assert body["tools"] == [TOOL]
        assert losses == []


def test_a_call_is_not_changed_by_writing_it() -> None:
    call = call_of(SAID, dialect="messages", tools=[TOOL | {"cache_control": {}}], n=3, seed=1)
    before = {**call.fields, "messages": [*call.fields["messages"]]}
    for vendor in VENDORS.values():
        RequestWriter(vendor).write(call)
    assert call.fields == before


def test_every_quirk_of_every_row_is_told() -> None:
    for vendor in VENDORS.values():
        told = "; ".join(vendor.quirks())
        for name in (*vendor.renames, *vendor.drops, *vendor.roles, *vendor.refuses):
            assert name in told
