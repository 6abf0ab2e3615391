"""A chat request as Gemini's body, and what is lost on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw
from tests.providers.asking import call_of, losses_of

from santral.errors import BadRequest, ParameterNotSupported
from santral.providers.gemini.request import request_body
from santral.wire.gemini import FORMAT, SKIP_SIGNATURE
from santral.wire.loss import Losses

OLD, NEW, PRO = "gemini-2.5-flash", "gemini-3.7-flash", "gemini-3.1-pro-preview"
TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Looks.",
        "parameters": {"type": "object", "properties": {"at": {"type": ["string", "null"]}}},
    },
}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1.50}'}}


def body_of(model: str = NEW, **more: Any) -> tuple[dict[str, Any], list[str]]:
    """The body and what was lost."""
    call = call_of(model, **more)
    return json.loads(request_body(call)), losses_of(call)


def contents(*messages: dict[str, Any], model: str = NEW) -> list[dict[str, Any]]:
    return body_of(model, fields={"messages": list(messages)})[0]["contents"]


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(**more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, **more}


def result(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "c1", "content": content, **more}


def test_roles_texts_and_instructions_take_googles_places() -> None:
    body, losses = body_of(
        fields={
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": [{"type": "text", "text": "In Turkish."}]},
                user("Merhaba"),
                assistant(content="Selam"),
                user([{"type": "text", "text": "Nasılsın?"}]),
            ]
        }
    )
    assert body == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "In Turkish."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Merhaba"}]},
            {"role": "model", "parts": [{"text": "Selam"}]},
            {"role": "user", "parts": [{"text": "Nasılsın?"}]},
        ],
    }
    assert losses == []


def test_instructions_alone_become_a_question() -> None:
    body, _ = body_of(fields={"messages": [{"role": "system", "content": "Say hello."}]})
    assert body == {"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}


def test_what_is_drawn_how_and_how_long_is_generation_config() -> None:
    body, losses = body_of(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        max_completion_tokens=300,
        stop=["END"],
        seed=7,
        presence_penalty=0.25,
        frequency_penalty=-0.25,
        n=2,
        logprobs=True,
        top_logprobs=3,
    )
    assert body["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "maxOutputTokens": 300,
        "stopSequences": ["END"],
        "seed": 7,
        "presencePenalty": 0.25,
        "frequencyPenalty": -0.25,
        "candidateCount": 2,
        "responseLogprobs": True,
        "logprobs": 3,
    }
    assert losses == []


def test_the_gateways_limit_holds_below_the_clients() -> None:
    for asked, cap, expected in ((300, 200, 200), (100, 200, 100), (None, 200, 200)):
        more: dict[str, Any] = {} if asked is None else {"max_tokens": asked}
        body, _ = body_of(max_output_tokens=cap, **more)
        assert body["generationConfig"]["maxOutputTokens"] == expected


def test_stops_beyond_the_fifth_are_a_loss() -> None:
    body, losses = body_of(stop=list("abcdefg"))
    assert body["generationConfig"]["stopSequences"] == list("abcde")
    assert losses == ["stop=the first 5"]


def test_tools_keep_their_schema_as_it_is() -> None:
    body, losses = body_of(tools=[TOOL], tool_choice="auto")
    (declared,) = body["tools"][0]["functionDeclarations"]
    assert declared == {
        "name": "look",
        "description": "Looks.",
        "parametersJsonSchema": TOOL["function"]["parameters"],
    }
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "AUTO"}}
    assert losses == []


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "look"}},
            {"mode": "ANY", "allowedFunctionNames": ["look"]},
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [TOOL]},
            },
            {"mode": "VALIDATED", "allowedFunctionNames": ["look"]},
        ),
    ],
)
def test_tool_choices_are_modes(choice: Any, config: dict[str, Any]) -> None:
    body, _ = body_of(tools=[TOOL], tool_choice=choice)
    assert body["toolConfig"]["functionCallingConfig"] == config


def test_a_strict_tool_asks_for_validated_calls() -> None:
    strict = {"type": "function", "function": TOOL["function"] | {"strict": True}}
    body, _ = body_of(tools=[strict])
    assert body["toolConfig"]["functionCallingConfig"] == {"mode": "VALIDATED"}


def test_calls_and_results_carry_name_id_and_signature() -> None:
    signed = CALL | {"extra_content": {"google": {"thought_signature": "AY89+/="}}}
    turns = contents(user("Look."), assistant(tool_calls=[signed]), result('{"seen": [1]}'))
    assert turns[1:] == [
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"name": "look", "args": {"at": 1.5}, "id": "c1"},
                    "thoughtSignature": "AY89+/=",
                }
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "look", "id": "c1", "response": {"seen": [1]}}}
            ],
        },
    ]


def test_arguments_go_back_byte_for_byte() -> None:
    body = request_body(
        call_of(NEW, fields={"messages": [user("x"), assistant(tool_calls=[CALL])]})
    )
    assert b'"args":{"at": 1.50}' in body


def test_only_the_first_unsigned_call_of_a_newer_model_is_excused() -> None:
    second = CALL | {"id": "c2"}
    message = assistant(tool_calls=[CALL, second])
    new = contents(user("x"), message)[1]["parts"]
    assert [part.get("thoughtSignature") for part in new] == [SKIP_SIGNATURE, None]
    old = contents(user("x"), message, model=OLD)[1]["parts"]
    assert all("thoughtSignature" not in part for part in old)


@pytest.mark.parametrize(
    ("content", "more", "response"),
    [
        ("It is green.", {}, {"output": "It is green."}),
        ("[1, 2]", {}, {"output": "[1, 2]"}),
        ('{"broken', {}, {"output": '{"broken'}),
        ("No such file.", {"is_error": True}, {"error": "No such file."}),
        ("", {}, {"output": ""}),
    ],
)
def test_what_is_no_object_becomes_one(
    content: str, more: dict[str, Any], response: dict[str, Any]
) -> None:
    turns = contents(user("x"), assistant(tool_calls=[CALL]), result(content, **more))
    assert turns[-1]["parts"][0]["functionResponse"]["response"] == response


def test_an_image_of_a_tool_is_inside_its_result_or_beside_it_for_older_models() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    messages = (user("x"), assistant(tool_calls=[CALL]), result([image]))
    part = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    assert contents(*messages)[-1]["parts"][0]["functionResponse"]["parts"] == [part]
    assert contents(*messages, model=OLD)[-1]["parts"][1] == part


def test_images_sounds_and_files_are_inline_or_linked() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/webp;base64,UklGRg=="}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "mp3"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0="}},
        {"type": "file", "file": {"file_id": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
    ]  # fmt: skip
    assert contents(user(parts))[0]["parts"] == [
        {"inlineData": {"mimeType": "image/webp", "data": "UklGRg=="}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.png"}},
        {"inlineData": {"mimeType": "audio/mp3", "data": "UklGRg=="}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
        {
            "fileData": {
                "mimeType": "application/pdf",
                "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc",
            }
        },
    ]


def test_a_file_of_another_vendor_is_lost() -> None:
    part = {"type": "file", "file": {"file_id": "file-6F2ksmvXxt4VdoqmHRw6kL"}}
    _, losses = body_of(fields={"messages": [user([part, {"type": "text", "text": "?"}])]})
    assert losses == ["messages.0.content.0"]


@pytest.mark.parametrize(
    ("model", "fields", "config", "losses"),
    [
        (NEW, {"reasoning_effort": "low"}, {"thinkingLevel": "low"}, []),
        (NEW, {"reasoning_effort": "minimal"}, {"thinkingLevel": "minimal"}, []),
        (
            PRO,
            {"reasoning_effort": "minimal"},
            {"thinkingLevel": "low"},
            ["reasoning_effort=low"],
        ),
        (
            NEW,
            {"reasoning_effort": "xhigh"},
            {"thinkingLevel": "high"},
            ["reasoning_effort=high"],
        ),
        (OLD, {"reasoning_effort": "medium"}, {"thinkingBudget": 8192}, []),
        (
            OLD,
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            {"thinkingBudget": 2000},
            [],
        ),
        (NEW, {"thinking": {"type": "adaptive"}}, {}, []),
    ],
)
def test_how_much_to_think_is_said_in_the_models_words(
    model: str, fields: dict[str, Any], config: dict[str, Any], losses: list[str]
) -> None:
    body, lost = body_of(model, **fields)
    assert body["generationConfig"]["thinkingConfig"] == {"includeThoughts": True} | config
    assert lost == losses


@pytest.mark.parametrize(
    ("model", "config", "losses"),
    [
        (OLD, {"thinkingBudget": 0}, []),
        ("gemini-2.5-pro", {"thinkingBudget": 128}, ["reasoning_effort=128"]),
        (NEW, {"thinkingLevel": "minimal"}, ["reasoning_effort=minimal"]),
        (PRO, {"thinkingLevel": "low"}, ["reasoning_effort=low"]),
        ("gemini-2.0-flash", None, []),
    ],
)
def test_not_to_think_is_said_as_far_as_the_model_can(
    model: str, config: dict[str, Any] | None, losses: list[str]
) -> None:
    for fields in ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}):
        body, lost = body_of(model, **fields)
        assert body.get("generationConfig", {}).get("thinkingConfig") == config
        assert lost == losses


def test_thinking_of_another_shape_is_the_callers_mistake() -> None:
    with pytest.raises(BadRequest, match=r"at 'thinking\.budget_tokens'"):
        body_of(NEW, thinking={"type": "enabled", "budget_tokens": "many"})


def test_a_model_that_does_not_think_loses_the_wish() -> None:
    body, losses = body_of("gemini-2.0-flash", reasoning_effort="high")
    assert "generationConfig" not in body
    assert losses == ["reasoning_effort"]


def test_a_schema_is_sent_as_json_schema() -> None:
    schema = {"type": "object", "additionalProperties": False, "properties": {}}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    body, losses = body_of(response_format=form)
    assert body["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
    }
    assert losses == []
    _, losses = body_of(OLD, response_format=form, tools=[TOOL])
    assert losses == ["response_format"]


def test_googles_own_reasoning_goes_back_and_no_other() -> None:
    details = [
        {"type": "reasoning.text", "text": "First.", "signature": "S1", "format": FORMAT},
        {"type": "reasoning.encrypted", "data": "S2+/=", "format": FORMAT},
        {"type": "reasoning.text", "text": "X", "signature": "A", "format": "anthropic-claude-v1"},
    ]
    body, losses = body_of(
        fields={
            "messages": [
                user("x"),
                assistant(content="Paris.", reasoning_details=details),
                user("y"),
            ]
        }
    )
    assert body["contents"][1]["parts"] == [
        {"text": "First.", "thought": True, "thoughtSignature": "S1"},
        {"text": "Paris."},
        {"text": "", "thoughtSignature": "S2+/="},
    ]
    assert losses == ["messages.1.reasoning_details.2"]


def test_native_blocks_and_tools_of_gemini_go_as_they_are_and_others_are_lost() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1+1"}}
    blocks = [
        {"type": "native", "dialect": "gemini", "block": code},
        {"type": "native", "dialect": "gemini", "block": {"groundingMetadata": {}}},
        {"type": "native", "dialect": "messages", "block": {"type": "server_tool_use"}},
    ]
    search = {"type": "native", "dialect": "gemini", "block": {"googleSearch": {}}}
    other = {"type": "native", "dialect": "messages", "block": {"type": "web_search_20250305"}}
    body, losses = body_of(
        fields={
            "messages": [user("x"), assistant(content=blocks), user("y")],
            "tools": [search, other],
        }
    )
    assert body["contents"][1]["parts"] == [code]
    assert body["tools"] == [{"googleSearch": {}}]
    assert losses == ["messages.1.content.2", "tools.1"]


def test_fields_of_a_gemini_caller_reach_gemini_and_are_lost_elsewhere() -> None:
    native = {
        "safetySettings": Raw(b'[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"}]'),
        "generationConfig": Raw(b'{"responseModalities":["TEXT"]}'),
        "toolConfig": Raw(b'{"retrievalConfig":{"languageCode":"tr"}}'),
    }
    body, losses = body_of(native=native, dialect="gemini", temperature=0, tool_choice="none")
    assert body["safetySettings"][0]["threshold"] == "OFF"
    assert body["generationConfig"] == {"responseModalities": ["TEXT"], "temperature": 0}
    assert body["toolConfig"] == {
        "retrievalConfig": {"languageCode": "tr"},
        "functionCallingConfig": {"mode": "NONE"},
    }
    assert losses == []
    _, losses = body_of(native=native, dialect="messages")
    assert losses == ["safetySettings", "generationConfig", "toolConfig"]


def test_a_budget_of_an_anthropic_caller_is_kept_to_the_token() -> None:
    native = {"thinking": Raw(b'{"type":"enabled","budget_tokens":2222}')}
    body, losses = body_of(OLD, native=native, dialect="messages", reasoning_effort="medium")
    assert body["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 2222
    assert losses == []


def test_a_chat_client_may_name_fields_of_gemini() -> None:
    body, losses = body_of(safetySettings=[], cachedContent="cachedContents/a", logit_bias={"1": 2})
    assert (body["safetySettings"], body["cachedContent"]) == ([], "cachedContents/a")
    assert losses == ["logit_bias"]


@pytest.mark.parametrize(
    ("tier", "sent", "losses"),
    [
        ("auto", None, []),
        ("default", "standard", []),
        ("flex", "flex", []),
        ("scale", None, ["service_tier"]),
    ],
)
def test_service_tiers_have_googles_names(tier: str, sent: str | None, losses: list[str]) -> None:
    body, lost = body_of(service_tier=tier)
    assert body.get("serviceTier") == sent
    assert lost == losses


def test_a_strict_route_refuses_what_would_be_lost() -> None:
    call = call_of(NEW, losses=Losses(strict_route="exact"), parallel_tool_calls=False)
    with pytest.raises(ParameterNotSupported, match="parallel_tool_calls"):
        request_body(call)


def test_a_shape_that_is_not_chats_is_refused_with_its_place() -> None:
    with pytest.raises(BadRequest) as caught:
        body_of(fields={"messages": [user([{"type": "imagine_url"}])]})
    assert caught.value.param == "messages.0.content.0.type"
