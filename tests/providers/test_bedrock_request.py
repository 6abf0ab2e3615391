"""A chat request as Converse's body, and what is lost on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw
from tests.providers.asking import call_of, losses_of

from santral.errors import ParameterNotSupported
from santral.providers.bedrock.request import request_of
from santral.wire.loss import Losses

OLD = "anthropic.claude-sonnet-4-20250514-v1:0"
CLAUDE = "eu.anthropic.claude-sonnet-4-6"
NEW = "us.anthropic.claude-opus-4-8"
NOVA = "amazon.nova-pro-v1:0"
LLAMA = "meta.llama4-maverick-17b-instruct-v1:0"
TOOL = {
    "type": "function",
    "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}},
}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
FORM = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
EPHEMERAL = {"type": "ephemeral"}


def body_of(model: str = CLAUDE, **more: Any) -> tuple[dict[str, Any], list[str]]:
    """The body and what was lost."""
    call = call_of(model, **more)
    return json.loads(request_of(call).body), losses_of(call)


def user(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def assistant(**more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, **more}


def content_of(*messages: dict[str, Any], model: str = CLAUDE) -> list[Any]:
    return body_of(model, fields={"messages": list(messages)})[0]["messages"][-1]["content"]


def test_roles_system_and_settings_take_their_places() -> None:
    body, losses = body_of(
        fields={
            "messages": [{"role": "system", "content": "Be brief."}, user("a"), user("b")],
            "temperature": 0.5,
            "stop": "END",
        },
        max_output_tokens=300,
    )
    assert body == {
        "system": [{"text": "Be brief."}],
        "messages": [{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}],
        "inferenceConfig": {"maxTokens": 300, "temperature": 0.5, "stopSequences": ["END"]},
    }
    assert losses == []


def test_the_newest_claudes_take_no_sampling() -> None:
    body, losses = body_of(NEW, temperature=0.5, top_p=0.9, top_k=5)
    assert "inferenceConfig" not in body
    assert losses == ["temperature", "top_p", "top_k"]
    body, losses = body_of(CLAUDE, temperature=0.5, top_p=0.9)
    assert body["inferenceConfig"] == {"temperature": 0.5}
    assert losses == ["top_p"]


@pytest.mark.parametrize(
    ("model", "more", "losses"),
    [
        (CLAUDE, {"top_k": 7}, []),
        (NOVA, {"inferenceConfig": {"topK": 7}}, []),
        (LLAMA, None, ["top_k"]),
    ],
)
def test_top_k_has_a_place_for_every_maker(model: str, more: Any, losses: list[str]) -> None:
    body, lost = body_of(model, top_k=7)
    assert body.get("additionalModelRequestFields") == more
    assert lost == losses


def test_tools_calls_and_results_are_blocks() -> None:
    fields = {
        "messages": [
            user("x"),
            assistant(tool_calls=[CALL]),
            {"role": "tool", "tool_call_id": "c1", "content": "broken", "is_error": True},
        ],
        "tools": [TOOL],
        "tool_choice": "required",
    }
    body, losses = body_of(fields=fields)
    assert body["toolConfig"] == {
        "tools": [
            {
                "toolSpec": {
                    "name": "look",
                    "description": "Looks.",
                    "inputSchema": {"json": {"type": "object"}},
                }
            }
        ],
        "toolChoice": {"any": {}},
    }
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [{"toolUse": {"toolUseId": "c1", "name": "look", "input": {"at": 1}}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "toolResult": {
                        "toolUseId": "c1",
                        "content": [{"text": "broken"}],
                        "status": "error",
                    }
                }
            ],
        },
    ]
    assert losses == []


@pytest.mark.parametrize(
    ("model", "choice", "expected", "losses"),
    [
        (CLAUDE, "auto", {"auto": {}}, []),
        (
            CLAUDE,
            {"type": "function", "function": {"name": "look"}},
            {"tool": {"name": "look"}},
            [],
        ),
        (LLAMA, "required", None, ["tool_choice=auto"]),
        (LLAMA, "auto", None, []),
    ],
)
def test_tool_choices(model: str, choice: Any, expected: Any, losses: list[str]) -> None:
    body, lost = body_of(model, tools=[TOOL], tool_choice=choice)
    assert body["toolConfig"].get("toolChoice") == expected
    assert lost == losses


def test_no_tool_is_no_tools_unless_the_conversation_has_calls() -> None:
    body, losses = body_of(tools=[TOOL], tool_choice="none")
    assert "toolConfig" not in body
    assert losses == []
    messages = [user("x"), assistant(tool_calls=[CALL]),
                {"role": "tool", "tool_call_id": "c1", "content": "y"}]  # fmt: skip
    _, losses = body_of(fields={"messages": messages, "tools": [TOOL], "tool_choice": "none"})
    assert losses == ["tool_choice=auto"]
    body, losses = body_of(fields={"messages": messages})
    (made,) = body["toolConfig"]["tools"]
    assert made["toolSpec"]["name"] == "look"
    assert losses == []


def test_ids_that_bedrock_refuses_are_replaced_alike_in_call_and_result() -> None:
    strange = CALL | {"id": "call/ü" * 20}
    body, _ = body_of(
        fields={
            "messages": [
                user("x"),
                assistant(tool_calls=[strange]),
                {"role": "tool", "tool_call_id": strange["id"], "content": ""},
            ]
        }
    )
    used = body["messages"][1]["content"][0]["toolUse"]["toolUseId"]
    assert used.isascii()
    assert len(used) <= 64
    result = body["messages"][2]["content"][0]["toolResult"]
    assert result["toolUseId"] == used
    assert result["content"] == [{"text": " "}]


def test_one_call_at_a_time_is_claudes_own_field() -> None:
    body, losses = body_of(tools=[TOOL], tool_choice="required", parallel_tool_calls=False)
    assert "toolChoice" not in body["toolConfig"]
    chosen = body["additionalModelRequestFields"]["tool_choice"]
    assert chosen == {"type": "any", "disable_parallel_tool_use": True}
    assert losses == []
    _, losses = body_of(NOVA, tools=[TOOL], parallel_tool_calls=False)
    assert losses == ["parallel_tool_calls"]


def test_pictures_and_documents_are_bytes_or_in_s3() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/"}},
        {"type": "image_url", "image_url": {"url": "s3://bucket/a.png"}},
        {
            "type": "file",
            "file": {
                "filename": "a_b (1).pdf",
                "file_data": "data:application/pdf;base64,JVBERi0=",
            },
        },
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    body, losses = body_of(fields={"messages": [user(parts)]})
    assert body["messages"][0]["content"] == [
        {"image": {"format": "jpeg", "source": {"bytes": "/9j/"}}},
        {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://bucket/a.png"}}}},
        {
            "document": {
                "format": "pdf",
                "name": "a b (1) 1",
                "source": {"bytes": "JVBERi0="},
            }
        },
    ]
    assert losses == ["messages.0.content.3"]


def test_cache_markers_are_cache_points_where_a_model_takes_them() -> None:
    text = {"type": "text", "text": "long", "cache_control": EPHEMERAL | {"ttl": "1h"}}
    system = {"role": "system", "content": "s", "cache_control": EPHEMERAL}
    fields = {"messages": [system, user([text])], "tools": [TOOL | {"cache_control": EPHEMERAL}]}
    body, losses = body_of(fields=fields)
    assert body["messages"][0]["content"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert (
        body["system"][1] == body["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default"}}
    )
    body, lost = body_of(LLAMA, fields=fields)
    assert "cachePoint" not in json.dumps(body)
    assert losses == lost == []


def test_a_route_may_have_the_prefix_marked() -> None:
    body, _ = body_of(prompt_cache="auto")
    assert body["messages"][-1]["content"][-1] == {"cachePoint": {"type": "default"}}
    body, _ = body_of(LLAMA, prompt_cache="auto")
    assert "cachePoint" not in json.dumps(body)


def test_a_schema_is_sent_where_the_model_takes_one() -> None:
    body, losses = body_of(response_format=FORM)
    definition = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert json.loads(definition["schema"]) == {"type": "object"}
    assert definition["name"] == "a"
    assert losses == []
    for model in (OLD, NOVA):
        body, losses = body_of(model, response_format=FORM)
        assert body["toolConfig"]["toolChoice"] == {"tool": {"name": "answer"}}
        assert losses == []
    for model, more in ((LLAMA, {}), (NOVA, {"tools": [TOOL]})):
        _, losses = body_of(model, response_format=FORM, **more)
        assert losses == ["response_format"]


@pytest.mark.parametrize(
    ("model", "effort", "more", "losses"),
    [
        (
            CLAUDE,
            "high",
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            [],
        ),
        (
            NEW,
            "minimal",
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            ["reasoning_effort=low"],
        ),
        (OLD, "low", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, []),
        ("openai.gpt-oss-120b-1:0", "low", {"reasoning_effort": "low"}, []),
        (
            "us.amazon.nova-2-lite-v1:0",
            "low",
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
            [],
        ),
        (LLAMA, "low", None, ["reasoning_effort"]),
        (CLAUDE, "none", None, []),
    ],
)
def test_how_much_to_think_is_said_in_each_makers_words(
    model: str, effort: str, more: Any, losses: list[str]
) -> None:
    body, lost = body_of(model, reasoning_effort=effort, max_tokens=4000)
    assert body.get("additionalModelRequestFields") == more
    assert lost == losses


def test_what_an_anthropic_caller_says_of_thinking_reaches_claude_as_it_is() -> None:
    native = {
        "thinking": Raw(b'{"type":"enabled","budget_tokens":2222}'),
        "output_config": Raw(b'{"effort":"high"}'),
        "context_management": Raw(b"{}"),
    }
    body, losses = body_of(OLD, native=native, dialect="messages", reasoning_effort="medium")
    assert body["additionalModelRequestFields"] == {
        "thinking": {"type": "enabled", "budget_tokens": 2222},
        "output_config": {"effort": "high"},
    }
    assert losses == ["context_management"]


def test_a_budget_needs_room_and_a_temperature_of_its_own() -> None:
    _, losses = body_of(OLD, reasoning_effort="low", max_tokens=800)
    assert losses == ["reasoning_effort"]
    body, losses = body_of(OLD, reasoning_effort="high", temperature=0.2)
    assert body["inferenceConfig"] == {"maxTokens": 16384 + 4096}
    assert losses == ["temperature"]


def test_fields_of_converse_may_be_given_by_name_and_others_are_lost() -> None:
    guard = {"guardrailIdentifier": "g", "guardrailVersion": "1"}
    body, losses = body_of(
        guardrailConfig=guard,
        additionalModelRequestFields={"x": 1},
        metadata={"team": "a"},
        seed=5,
        n=2,
        logit_bias={"1": 1},
        user="u",
        service_tier="flex",
    )
    assert body["guardrailConfig"] == guard
    assert body["additionalModelRequestFields"] == {"x": 1}
    assert body["requestMetadata"] == {"team": "a"}
    assert body["serviceTier"] == {"type": "flex"}
    assert losses == ["seed", "n", "user", "logit_bias"]


def test_a_strict_route_refuses_what_would_be_lost() -> None:
    with pytest.raises(ParameterNotSupported, match="seed"):
        request_of(call_of(CLAUDE, losses=Losses(strict_route="exact"), seed=1))
