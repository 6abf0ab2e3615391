"""Conversations as Cohere, Ollama and Triton take them: what is sent, and what is named as lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from santral.config.upstreams import ProviderConfig, TimeoutsConfig
from santral.errors import BadRequest, ParameterNotSupported
from santral.providers.aiohttp_client import AiohttpClient
from santral.providers.connection import connect_to
from santral.providers.provider import ProviderCall
from santral.providers.registry import DIALECTS, VENDORS
from santral.providers.translated import TranslatedProvider
from santral.wire.loss import Losses

PICTURE = "data:image/png;base64,QUJD"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "d", "parameters": PARAMETERS},
}
SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}}
TALK: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [
        {"type": "text", "text": "Here?"},
        {"type": "image_url", "image_url": {"url": PICTURE}},
    ]},
    {"role": "assistant", "content": "Let me look.", "reasoning_content": "A city.", "tool_calls": [
        {"id": "c1", "type": "function",
         "function": {"name": "weather", "arguments": '{"city":"Ankara"}'}},
    ]},
    {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
]  # fmt: skip
SETTINGS: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "max_tokens": 64,
    "stop": ["END"],
    "seed": 7,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
}


def call_of(messages: list[dict[str, Any]], strict: str = "", **more: Any) -> ProviderCall:
    is_streaming = more.pop("is_streaming", False)
    cap = more.pop("cap", None)
    fields: dict[str, Any] = {name: Raw(json.dumps(v).encode()) for name, v in more.items()}
    fields["messages"] = [Raw(json.dumps(message).encode()) for message in messages]
    return ProviderCall(
        model="m",
        fields=fields,
        is_streaming=is_streaming,
        timeouts=TimeoutsConfig(),
        max_output_tokens=cap,
        losses=Losses(strict),
    )


def provider(kind: str) -> TranslatedProvider:
    config = ProviderConfig(
        kind=kind, base_url="http://127.0.0.1:9", headers={"authorization": "x"}
    )
    built = DIALECTS[VENDORS[kind].dialect](
        connect_to("main", config, VENDORS[kind], AiohttpClient())
    )
    assert isinstance(built, TranslatedProvider)
    return built


def written(
    kind: str, messages: list[dict[str, Any]] | None = None, **more: Any
) -> tuple[dict[str, Any], list[str]]:
    call = call_of(messages or [{"role": "user", "content": "Hi"}], **more)
    body = json.loads(provider(kind).write(call))
    return body, call.losses.names()


def test_ollama_is_sent_a_conversation_in_its_own_form() -> None:
    body, losses = written("ollama", TALK, tools=[TOOL], is_streaming=True, **SETTINGS)
    assert body == {
        "model": "m",
        "stream": True,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Here?", "images": ["QUJD"]},
            {
                "role": "assistant",
                "content": "Let me look.",
                "thinking": "A city.",
                "tool_calls": [
                    {"id": "c1", "function": {"name": "weather", "arguments": {"city": "Ankara"}}}
                ],
            },
            {"role": "tool", "content": "sunny", "tool_name": "weather", "tool_call_id": "c1"},
        ],
        "tools": [TOOL],
        "options": {
            "temperature": 0.5,
            "top_p": 0.9,
            "seed": 7,
            "presence_penalty": 0.2,
            "frequency_penalty": 0.1,
            "num_predict": 64,
            "stop": ["END"],
        },
    }
    assert losses == []


def test_ollamas_own_fields_go_through_and_stand() -> None:
    body, losses = written(
        "ollama", options={"num_ctx": 32768, "temperature": 1}, keep_alive="10m", temperature=0.5
    )
    assert body["options"] == {"num_ctx": 32768, "temperature": 1}
    assert body["keep_alive"] == "10m"
    assert losses == []


def test_a_prompt_longer_than_num_ctx_is_noted() -> None:
    long = [{"role": "user", "content": "word " * 500}]
    assert written("ollama", long, options={"num_ctx": 64})[1] == ["messages=cut to num_ctx 64"]
    with pytest.raises(ParameterNotSupported):
        written("ollama", long, options={"num_ctx": 64}, strict="main")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"response_format": {"type": "json_object"}}, {"format": "json"}),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "schema": SCHEMA},
                }
            },
            {"format": SCHEMA},
        ),
        ({"reasoning_effort": "none"}, {"think": False}),
        ({"reasoning_effort": "high"}, {"think": "high"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"think": True}),
        ({"thinking": {"type": "disabled"}}, {"think": False}),
        ({"think": "low"}, {"think": "low"}),
        ({"logprobs": True, "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"tools": [TOOL], "tool_choice": "none"}, {}),
    ],
)
def test_settings_of_ollama(given: dict[str, Any], sent: dict[str, Any]) -> None:
    body, losses = written("ollama", **given)
    assert {k: v for k, v in body.items() if k not in ("model", "messages", "stream")} == sent
    assert losses == []


def test_cohere_is_sent_a_conversation_in_its_own_form() -> None:
    body, losses = written("cohere", TALK, tools=[TOOL], is_streaming=True, **SETTINGS)
    assert body == {
        "model": "m",
        "stream": True,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Here?"},
                    {"type": "image_url", "image_url": {"url": PICTURE}},
                ],
            },
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city":"Ankara"}'},
                    }
                ],
                "content": [
                    {"type": "thinking", "thinking": "A city."},
                    {"type": "text", "text": "Let me look."},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ],
        "tools": [TOOL],
        "max_tokens": 64,
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "seed": 7,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "p": 0.9,
    }
    assert losses == []


@pytest.mark.parametrize(
    ("given", "sent", "losses"),
    [
        ({"documents": ["a"], "safety_mode": "NONE"}, {"documents": ["a"], "safety_mode": "NONE"}, []),
        ({"response_format": {"type": "json_object"}},
         {"response_format": {"type": "json_object"}}, []),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}},
         {"response_format": {"type": "json_object", "json_schema": SCHEMA}}, []),
        ({"tools": [TOOL], "tool_choice": "required"},
         {"tools": [TOOL], "tool_choice": "REQUIRED"}, []),
        ({"tools": [TOOL, {"type": "function", "function": {"name": "other"}}],
          "tool_choice": {"type": "function", "function": {"name": "weather"}}},
         {"tools": [TOOL], "tool_choice": "REQUIRED"}, []),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, []),
        ({"reasoning_effort": "high"}, {"thinking": {"type": "enabled"}}, []),
        ({"thinking": {"type": "enabled", "budget_tokens": 512}},
         {"thinking": {"type": "enabled", "token_budget": 512}}, []),
        ({"top_k": 5}, {"k": 5}, []),
        ({"logprobs": True}, {}, ["logprobs"]),
        ({"n": 2}, {}, ["n=1"]),
        ({"logit_bias": {"1": 1}, "user": "u"}, {}, ["logit_bias", "user"]),
        ({"cap": 32, "max_tokens": 64}, {"max_tokens": 32}, []),
    ],
)  # fmt: skip
def test_settings_of_cohere(given: dict[str, Any], sent: dict[str, Any], losses: list[str]) -> None:
    body, lost = written("cohere", **given)
    assert {k: v for k, v in body.items() if k not in ("model", "messages", "stream")} == sent
    assert lost == losses


@pytest.mark.parametrize("kind", ["cohere", "ollama"])
@pytest.mark.parametrize("thinking", [True, "high", [1], {"budget_tokens": "many"}])
def test_thinking_of_another_shape_is_the_callers_mistake(kind: str, thinking: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        written(kind, thinking=thinking)
    assert (caught.value.param or "").startswith("thinking")


def test_triton_is_sent_one_text() -> None:
    body, losses = written("triton", TALK, tools=[TOOL], **SETTINGS)
    assert body == {
        "text_input": "System: Be brief.\nUser: Here?\nAssistant: Let me look.\nUser: sunny\nAssistant:",
        "max_tokens": 64,
        "temperature": 0.5,
        "top_p": 0.9,
        "random_seed": 7,
        "presence_penalty": 0.2,
        "frequency_penalty": 0.1,
        "stop_words": ["END"],
        "stream": False,
    }
    assert sorted(losses) == [
        "messages.1.content.1",
        "messages.2.reasoning_content",
        "messages.2.tool_calls.0",
        "tools",
    ]


def test_the_vllm_backend_of_triton_takes_single_values_as_parameters() -> None:
    body, losses = written("triton-vllm", max_tokens=9, stop=["a", "b"], seed=1, is_streaming=True)
    assert body["parameters"] == {"max_tokens": 9, "seed": 1, "stop": "a", "stream": True}
    assert body["exclude_input_in_output"] is True
    assert losses == ["stop=a"]


def test_a_models_name_cannot_choose_another_address() -> None:
    call = call_of([])
    call.model = "a/../b?x#y"
    address = provider("triton").address(call)
    assert address == "http://127.0.0.1:9/v2/models/a%2F..%2Fb%3Fx%23y/generate"


@pytest.mark.parametrize("kind", ["ollama", "cohere", "triton"])
def test_what_only_another_vendor_can_read_is_a_loss(kind: str) -> None:
    said = {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "Yes."},
            {"type": "native", "dialect": "messages", "block": {"type": "x"}},
        ],
        "reasoning_details": [
            {"type": "reasoning.encrypted", "data": "zz", "format": "anthropic-claude-v1"}
        ],
    }
    _, losses = written(kind, [said, {"role": "user", "content": "Go on."}])
    assert set(losses) == {"messages.0.content.1", "messages.0.reasoning_details.0"}


@pytest.mark.parametrize("kind", ["ollama", "cohere"])
def test_that_a_tool_failed_cannot_be_said(kind: str) -> None:
    failed = {"role": "tool", "tool_call_id": "c1", "content": "no", "is_error": True}
    assert "messages.3.is_error" in written(kind, [*TALK[:3], failed])[1]
