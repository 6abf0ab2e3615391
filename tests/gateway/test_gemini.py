"""Gemini's protocol towards callers: requests read, answers written, errors in Google's shape."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from tests.gateway.worker import (
    KEY,
    NARROW_KEY,
    Answer,
    Worker,
    part,
    saying,
    streamed,
    usage,
    whole,
)
from tests.stream_checker_gemini import (
    check_gemini_answer,
    check_gemini_error,
    check_gemini_stream,
    parts_of,
    text_of,
)

from santral.errors import BadRequest, ProviderBusy, ProviderFailed
from santral.gateway.dialects.gemini.request import body_fields, read_call
from santral.providers.provider import ProviderCall
from santral.wire.delta import ChoiceDelta, Delta, NativeBlock, ReasoningDetail, ToolCallDelta
from santral.wire.gemini import FORMAT, SKIP_SIGNATURE
from santral.wire.usage import Usage

CLAUDE = "anthropic-claude-v1"
HELLO = [{"role": "user", "parts": [{"text": "Hello"}]}]


def post(
    worker: Worker,
    body: Any,
    *,
    route: str = "plain",
    verb: str = "generateContent",
    query: bytes = b"",
    key: str = KEY.plaintext,
) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = [(b"x-goog-api-key", key.encode())] if key else []
    path = f"/v1beta/models/{route}:{verb}"
    return worker.post(data, key="", headers=headers, path=path, query=query)


def ask(worker: Worker, route: str = "plain", **fields: Any) -> dict[str, Any]:
    """The answer to a request, whole; the grammar is checked."""
    answer = post(worker, {"contents": HELLO} | fields, route=route)
    assert answer.status == 200, answer.body
    check_gemini_answer(answer.json)
    return answer.json


def stream(worker: Worker, *, query: bytes = b"alt=sse", **fields: Any) -> list[dict[str, Any]]:
    """The responses of a stream; the grammar is checked."""
    body = {"contents": HELLO} | fields
    answer = post(worker, body, verb="streamGenerateContent", query=query)
    assert answer.status == 200, answer.body
    kind = "text/event-stream; charset=utf-8" if query else "application/json"
    assert answer.headers["content-type"] == kind
    return check_gemini_stream(answer.body)


def asked(worker: Worker, **fields: Any) -> dict[str, Any]:
    """The fields that the provider got for a request."""
    ask(worker, **fields)
    return worker.provider.asked[-1].fields


def messages(worker: Worker, *contents: dict[str, Any]) -> list[dict[str, Any]]:
    return asked(worker, contents=list(contents))["messages"]


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def model(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def blocks(*choices: ChoiceDelta) -> Any:
    """A script of a dialect with blocks: a delta a piece, whether streamed or not."""

    def script(call: ProviderCall) -> list[Delta]:
        pieces = [part(choice, is_raw=False) for choice in choices]
        return [*pieces, part(ChoiceDelta(finish_reason="stop"), is_raw=False), usage()]

    return script


def test_an_answer_has_googles_shape(worker: Worker) -> None:
    used = Usage(input_uncached=70, cache_read=30, output_text=20, reasoning=5, input_image=4)
    worker.provider.will([whole(ChoiceDelta(text="Merhaba"), used=used)])
    assert ask(worker) == {
        "candidates": [
            {
                "content": {"parts": [{"text": "Merhaba"}], "role": "model"},
                "index": 0,
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 104,
            "candidatesTokenCount": 20,
            "thoughtsTokenCount": 5,
            "cachedContentTokenCount": 30,
            "totalTokenCount": 129,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 100},
                {"modality": "IMAGE", "tokenCount": 4},
            ],
        },
        "modelVersion": "m-one",
        "responseId": "chatcmpl-up",
    }


@pytest.mark.parametrize("query", [b"alt=sse", b""], ids=["events", "array"])
def test_a_stream_is_events_or_an_array(worker: Worker, query: bytes) -> None:
    worker.provider.will(streamed(ChoiceDelta(text="Merhaba dünya, nasılsın?")))
    responses = stream(worker, query=query)
    assert text_of(responses) == "Merhaba dünya, nasılsın?"
    assert len(responses) > 3
    assert responses[-1]["usageMetadata"]["totalTokenCount"] == 120


def test_calls_leave_whole_with_their_arguments_signature_and_id(worker: Worker) -> None:
    calls = (
        ToolCallDelta(0, "c1", "look", '{"at": 1.50}', "AY89+/8="),
        ToolCallDelta(1, "c2", "stop", ""),
    )
    said = ChoiceDelta(text="I look.", tool_calls=calls, finish_reason="tool_calls")
    expected = [
        {
            "functionCall": {"id": "c1", "name": "look", "args": {"at": 1.5}},
            "thoughtSignature": "AY89+/8=",
        },
        {"functionCall": {"id": "c2", "name": "stop"}},
    ]
    worker.provider.will([whole(said)])
    answer = ask(worker)
    assert answer["candidates"][0]["content"]["parts"] == [{"text": "I look."}, *expected]
    assert answer["candidates"][0]["finishReason"] == "STOP"
    worker.provider.will(
        [
            part(ChoiceDelta(text="I look."), role=True),
            part(ChoiceDelta(tool_calls=(ToolCallDelta(0, "c1", "look", '{"at"', "AY89+/8="),))),
            part(ChoiceDelta(tool_calls=(ToolCallDelta(0, arguments=": 1.50}"),))),
            part(ChoiceDelta(tool_calls=(ToolCallDelta(1, "c2", "stop"),))),
            part(ChoiceDelta(finish_reason="tool_calls")),
            usage(),
        ]
    )
    assert [p for p in parts_of(stream(worker)) if p.get("text") != "I look."] == expected


def test_arguments_that_are_no_object_become_one(worker: Worker) -> None:
    call = ToolCallDelta(0, "c1", "look", '{"cut')
    worker.provider.will([whole(ChoiceDelta(tool_calls=(call,), finish_reason="tool_calls"))])
    (made,) = parts_of([ask(worker)])
    assert made["functionCall"]["args"] == {"input": '{"cut'}


THOUGHT: dict[str, Any] = {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}
SIGNED = blocks(
    ChoiceDelta(reasoning="Let me "),
    ChoiceDelta(reasoning="see."),
    ChoiceDelta(details=(ReasoningDetail("text", "SIG/+=", id="chars-11", format=CLAUDE),)),
    ChoiceDelta(details=(ReasoningDetail("encrypted", data="ENC/+=", format=CLAUDE),)),
    ChoiceDelta(text="Paris."),
)


@pytest.mark.parametrize("shows", [True, False])
@pytest.mark.parametrize("is_streaming", [True, False])
def test_another_vendors_reasoning_comes_back_byte_for_byte(
    worker: Worker, shows: bool, is_streaming: bool
) -> None:
    worker.provider.will(SIGNED)
    more: dict[str, Any] = THOUGHT if shows else {}
    responses = stream(worker, **more) if is_streaming else [ask(worker, **more)]
    parts = parts_of(responses)
    seen = "".join(p["text"] for p in parts if p.get("thought"))
    assert seen == ("Let me see." if shows else "")
    assert text_of(responses) == "Paris."
    as_the_sdk = [spelled(p) for p in parts]
    _, said, _ = messages(worker, user({"text": "x"}), model(*as_the_sdk), user({"text": "y"}))
    assert said["content"] == "Paris."
    assert said["reasoning_details"] == [
        {
            "type": "reasoning.text",
            "text": "Let me see.",
            "signature": "SIG/+=",
            "id": "chars-11",
            "format": CLAUDE,
        },
        {"type": "reasoning.encrypted", "data": "ENC/+=", "format": CLAUDE},
    ]


def spelled(made: dict[str, Any]) -> dict[str, Any]:
    """A part as the official SDK sends it back: signatures in URL-safe base64."""
    if "thoughtSignature" not in made:
        return made
    data = base64.b64decode(made["thoughtSignature"], validate=True)
    return made | {"thought_signature": base64.urlsafe_b64encode(data).decode()} | {
        "thoughtSignature": None
    }  # fmt: skip


def test_googles_own_signatures_come_back_in_googles_alphabet(worker: Worker) -> None:
    worker.provider.will(
        blocks(
            ChoiceDelta(reasoning="Hm."),
            ChoiceDelta(details=(ReasoningDetail("text", "AY/+AY/+", format=FORMAT),)),
            ChoiceDelta(text="Paris."),
            ChoiceDelta(details=(ReasoningDetail("encrypted", data="BZ/+BQ==", format=FORMAT),)),
            ChoiceDelta(tool_calls=(ToolCallDelta(0, "c1", "look", "{}", "CX/+CX8="),)),
        )
    )
    parts = [spelled(p) for p in parts_of([ask(worker, **THOUGHT)])]
    said = messages(worker, user({"text": "x"}), model(*parts))[1]
    assert said["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Hm.", "signature": "AY/+AY/+", "format": FORMAT},
        {"type": "reasoning.encrypted", "data": "BZ/+BQ==", "format": FORMAT},
    ]
    (call,) = said["tool_calls"]
    assert call["extra_content"] == {"google": {"thought_signature": "CX/+CX8="}}


def test_what_only_gemini_knows_passes_to_a_gemini_caller(worker: Worker) -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1+1"}}
    found = {"groundingMetadata": {"webSearchQueries": ["x"]}}
    other = NativeBlock("messages", b'{"type":"server_tool_use"}')
    worker.provider.will(
        blocks(
            ChoiceDelta(native=(NativeBlock("gemini", json.dumps(code).encode()), other)),
            ChoiceDelta(text="2"),
            ChoiceDelta(native=(NativeBlock("gemini", json.dumps(found).encode()),)),
        )
    )
    (candidate,) = ask(worker)["candidates"]
    assert candidate["content"]["parts"] == [code, {"text": "2"}]
    assert candidate["groundingMetadata"] == {"webSearchQueries": ["x"]}


def test_sources_are_citations_counted_in_bytes(worker: Worker) -> None:
    cited = {"url": "https://a.example", "title": "A", "start_index": 6, "end_index": 10}
    note = Raw(json.dumps({"type": "url_citation", "url_citation": cited}).encode())
    worker.provider.will(blocks(ChoiceDelta(text="Müzik güze"), ChoiceDelta(annotations=(note,))))
    (candidate,) = ask(worker)["candidates"]
    (made,) = candidate["citationMetadata"]["citations"]
    assert made == {"startIndex": 7, "endIndex": 12, "uri": "https://a.example", "title": "A"}


@pytest.mark.parametrize(
    ("reason", "native", "expected"),
    [
        ("stop", "", "STOP"),
        ("length", "", "MAX_TOKENS"),
        ("content_filter", "", "SAFETY"),
        ("content_filter", "refusal", "SAFETY"),
        ("content_filter", "PROHIBITED_CONTENT", "PROHIBITED_CONTENT"),
        ("stop", "end_turn", "STOP"),
    ],
)
def test_why_an_answer_ended_is_said_in_googles_words(
    worker: Worker, reason: str, native: str, expected: str
) -> None:
    ended = ChoiceDelta(finish_reason=reason, native_finish=native)
    worker.provider.will([part(ChoiceDelta(text="x"), is_raw=False), part(ended, is_raw=False)])
    assert stream(worker)[-1]["candidates"][0]["finishReason"] == expected


def test_an_answer_without_a_word_is_still_one(worker: Worker) -> None:
    worker.provider.will([usage()])
    (only,) = stream(worker)
    assert only["candidates"][0]["finishReason"] == "STOP"


def test_contents_become_messages(worker: Worker) -> None:
    fields = asked(
        worker,
        systemInstruction={"parts": [{"text": "Be brief."}]},
        contents=[
            user({"text": "Look."}, {"inlineData": {"mimeType": "image/png", "data": "iV-_"}}),
            model({"functionCall": {"name": "look", "args": {"at": 1}}}),
            user({"functionResponse": {"name": "look", "response": {"output": "green"}}}),
        ],
    )
    system, asking, said, result = fields["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert asking["content"] == [
        {"type": "text", "text": "Look."},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iV+/"}},
    ]
    (call,) = said["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"at": 1}
    assert result == {"role": "tool", "tool_call_id": call["id"], "content": "green"}


def test_results_without_ids_find_their_calls_in_order(worker: Worker) -> None:
    call = {"functionCall": {"name": "look", "args": {}}}
    answers = [{"functionResponse": {"name": "look", "response": {"result": n}}} for n in (1, 2)]
    made = messages(worker, user({"text": "x"}), model(call, call), user(*answers))
    ids = [c["id"] for c in made[1]["tool_calls"]]
    assert len(set(ids)) == 2
    assert [m["tool_call_id"] for m in made[2:]] == ids
    assert [m["content"] for m in made[2:]] == ['{"result": 1}', '{"result": 2}']


def test_a_failed_tool_and_one_with_an_image_say_so(worker: Worker) -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    made = messages(
        worker,
        user({"text": "x"}),
        model(
            {"functionCall": {"id": "a", "name": "f"}}, {"functionCall": {"id": "b", "name": "f"}}
        ),
        user(
            {"functionResponse": {"id": "b", "name": "f", "response": {"error": "no"}}},
            {"functionResponse": {"id": "a", "name": "f", "response": {}, "parts": [image]}},
        ),
    )
    assert made[2] == {"role": "tool", "tool_call_id": "b", "content": "no", "is_error": True}
    assert made[3]["content"][1]["type"] == "image_url"


def test_both_spellings_of_a_field_are_read(worker: Worker) -> None:
    fields = asked(
        worker,
        system_instruction="Be brief.",
        generation_config={"max_output_tokens": 50, "stop_sequences": ["END"], "top_k": 4},
        tools=[{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}],
        tool_config={"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
    )  # fmt: skip
    assert fields["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (fields["max_completion_tokens"], fields["stop"], fields["top_k"]) == (50, ["END"], 4)
    assert fields["tools"][0]["function"] == {"name": "f", "parameters": {"type": "object"}}
    assert fields["tool_choice"] == {"type": "function", "function": {"name": "f"}}


def test_a_schema_of_googles_becomes_json_schema(worker: Worker) -> None:
    schema = {
        "type": "OBJECT",
        "properties": {
            "city": {"type": "STRING", "nullable": True, "maxLength": "20"},
            "kind": {"anyOf": [{"type": "INTEGER"}, {"type": "STRING"}]},
            "tags": {"type": "ARRAY", "items": {"type": "STRING", "enum": ["A"]}},
        },
        "required": ["city"],
        "propertyOrdering": ["city", "kind"],
    }
    worker.provider.will(saying(ChoiceDelta(text='{"city": null}')))
    config = {"responseMimeType": "application/json", "responseSchema": schema}
    form = asked(worker, generationConfig=config)["response_format"]
    assert form["json_schema"]["schema"] == {
        "type": "object",
        "properties": {
            "city": {"type": ["string", "null"], "maxLength": 20},
            "kind": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "tags": {"type": "array", "items": {"type": "string", "enum": ["A"]}},
        },
        "required": ["city"],
    }


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"thinkingLevel": "LOW"}, {"reasoning_effort": "low"}),
        ({"thinkingBudget": 0}, {"reasoning_effort": "none"}),
        ({"thinkingBudget": 900}, {"thinking": {"type": "enabled", "budget_tokens": 900}}),
        ({"thinkingBudget": -1}, {"thinking": {"type": "adaptive"}}),
        ({"includeThoughts": True}, {"thinking": {"type": "adaptive"}}),
        ({}, {}),
    ],
)
def test_how_much_to_think_is_said_so_that_every_vendor_knows(
    worker: Worker, config: dict[str, Any], expected: dict[str, Any]
) -> None:
    fields = asked(worker, generationConfig={"thinkingConfig": config})
    assert {k: v for k, v in fields.items() if k in ("reasoning_effort", "thinking")} == expected


def test_what_only_gemini_has_is_carried_beside(worker: Worker) -> None:
    ask(
        worker,
        safetySettings=[{"category": "X", "threshold": "OFF"}],
        generationConfig={"responseModalities": ["TEXT"], "temperature": 0},
        tools=[{"googleSearch": {}}, {"functionDeclarations": [{"name": "f"}]}],
        toolConfig={"retrievalConfig": {"languageCode": "tr"}},
        serviceTier="standard",
    )
    call = worker.provider.asked[-1].call
    assert call.dialect == "gemini"
    native = {name: json.loads(bytes(raw)) for name, raw in call.native.items()}
    assert native == {
        "safetySettings": [{"category": "X", "threshold": "OFF"}],
        "generationConfig": {"responseModalities": ["TEXT"]},
        "toolConfig": {"retrievalConfig": {"languageCode": "tr"}},
    }
    fields = worker.provider.asked[-1].fields
    assert fields["tools"][0] == {
        "type": "native",
        "dialect": "gemini",
        "block": {"googleSearch": {}},
    }
    assert fields["service_tier"] == "default"


def test_parts_that_chat_cannot_say_stay_whole(worker: Worker) -> None:
    video = {
        "fileData": {"fileUri": "https://www.youtube.com/watch?v=x"},
        "videoMetadata": {"fps": 1},
    }
    (made,) = messages(worker, user(video, {"text": "?"}))
    assert made["content"][0] == {"type": "native", "dialect": "gemini", "block": video}


def test_the_sentinel_for_a_missing_signature_is_no_signature(worker: Worker) -> None:
    call = {"functionCall": {"id": "a", "name": "f"}, "thoughtSignature": SKIP_SIGNATURE}
    said = messages(worker, user({"text": "x"}), model(call))[1]
    assert "extra_content" not in said["tool_calls"][0]


def test_extras_work_as_in_every_dialect(worker: Worker) -> None:
    post(worker, {"contents": HELLO, "santral": {"user": "ada", "tags": {"a": "b"}}})
    assert worker.record.user == "ada"
    answer = post(worker, {"contents": HELLO, "santral": {"usr": "x"}})
    assert answer.status == 400
    assert "Did you mean 'user'?" in answer.json["error"]["message"]


def test_several_candidates_are_kept_apart(worker: Worker) -> None:
    worker.provider.will(saying(ChoiceDelta(0, "one"), ChoiceDelta(1, "two")))
    answer = ask(worker, generationConfig={"candidateCount": 2})
    texts = [c["content"]["parts"][0]["text"] for c in answer["candidates"]]
    assert texts == ["one", "two"]
    responses = stream(worker, generationConfig={"candidateCount": 2})
    for index, text in enumerate(texts):
        assert "".join(p["text"] for p in parts_of(responses, index)) == text


def test_log_probabilities_come_in_googles_form(worker: Worker) -> None:
    token = {"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": []}
    said = ChoiceDelta(text="x", logprobs=json.dumps({"content": [token]}).encode())
    worker.provider.will(blocks(said))
    (candidate,) = ask(worker, generationConfig={"responseLogprobs": True})["candidates"]
    assert candidate["logprobsResult"]["chosenCandidates"] == [
        {"token": "x", "logProbability": -0.5}
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "must be an object"),
        (b"\xff\xfe", "not valid JSON"),
        ({}, "'contents' is missing"),
        ({"contents": [{"role": "system", "parts": []}]}, "contents.0.role"),
        ({"contents": [{"parts": [{"text": 5}]}]}, "contents.0.parts.0.text"),
        ({"contents": [{"parts": "x"}]}, "contents.0.parts"),
        ({"contents": HELLO, "generationConfig": []}, "generationConfig"),
        ({"contents": HELLO, "tools": {}}, "tools"),
        ({"contents": HELLO, "tools": [{"functionDeclarations": [{}]}]}, "functionDeclarations.0"),
    ],
)
def test_what_is_malformed_is_refused_with_its_place(worker: Worker, body: Any, words: str) -> None:
    answer = post(worker, body)
    assert answer.status == 400
    check_gemini_error(answer.json)
    assert words in answer.json["error"]["message"]
    assert worker.provider.asked == []
    assert len(worker.records) == 1


#: Every name of a request, so that random bodies reach every place that reads one.
NAMES = st.sampled_from(
    ["contents", "parts", "role", "text", "thought", "thoughtSignature", "functionCall", "name",
     "args", "functionResponse", "response", "inlineData", "mimeType", "data", "fileData", "tools",
     "functionDeclarations", "parameters", "properties", "type", "items", "toolConfig", "mode",
     "functionCallingConfig", "generationConfig", "responseSchema", "responseMimeType", "nullable",
     "thinkingConfig", "thinkingBudget", "systemInstruction", "serviceTier", "fileUri", "id"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(
    ["", "x", "é", "model", "user", "OBJECT", "application/json", "image/png", "ANY", "AAAA"]
)  # fmt: skip
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4)
)


@given(st.dictionaries(NAMES, JSON, max_size=5), st.lists(st.dictionaries(NAMES, JSON), max_size=2))
def test_any_request_is_read_or_refused(body: dict[str, Any], parts: list[dict[str, Any]]) -> None:
    body |= {"contents": [{"role": "model", "parts": parts}, {"parts": parts}]}
    for _ in range(2):
        with suppress(BadRequest):
            read_call(body_fields(json.dumps(body).encode()), "m", is_streaming=False)
        body.pop("contents", None)


def test_a_body_nested_too_deeply_is_refused(worker: Worker) -> None:
    schema = b'{"items":' * 3000 + b"{}" + b"}" * 3000
    config = b'{"responseMimeType":"application/json","responseSchema":' + schema + b"}"
    answer = post(
        worker, b'{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":' + config + b"}"
    )
    assert answer.status in (400, 413)
    check_gemini_error(answer.json)


def test_a_key_in_the_address_is_refused_and_repeated_nowhere(worker: Worker) -> None:
    for verb, key in (("generateContent", ""), ("streamGenerateContent", KEY.plaintext)):
        answer = post(worker, {"contents": HELLO}, verb=verb, query=b"key=AIzaCanary", key=key)
        assert answer.status == 400
        check_gemini_error(answer.json)
        error = answer.json["error"]
        assert "x-goog-api-key" in error["message"]
        assert error["details"][0]["reason"] == "KEY_IN_URL"
        assert b"Canary" not in answer.body
    assert worker.records == []


@pytest.mark.parametrize(
    ("path", "method", "status", "word"),
    [
        ("/v1beta/models/nothing-here:generateContent", "POST", 404, "NOT_FOUND"),
        ("/v1beta/models/plain:embedAll", "POST", 405, "INVALID_ARGUMENT"),
        ("/v1beta/elsewhere", "GET", 404, "NOT_FOUND"),
    ],
)
def test_every_error_below_v1beta_has_googles_shape(
    worker: Worker, path: str, method: str, status: int, word: str
) -> None:
    body = json.dumps({"contents": HELLO}).encode()
    answer = worker.post(body, path=path, method=method)
    assert answer.status == status
    check_gemini_error(answer.json)
    assert answer.json["error"]["status"] == word


def test_a_wrong_key_is_unauthenticated_and_a_narrow_one_denied(worker: Worker) -> None:
    answer = post(worker, {"contents": HELLO}, key="sk-santral-nobody")
    assert (answer.status, answer.json["error"]["status"]) == (401, "UNAUTHENTICATED")
    answer = post(worker, {"contents": HELLO}, route="ladder", key=NARROW_KEY.plaintext)
    assert (answer.status, answer.json["error"]["status"]) == (403, "PERMISSION_DENIED")


def test_a_busy_provider_says_when_to_come_back(worker: Worker) -> None:
    worker.provider.will([ProviderBusy("Busy.", upstream_status=429, retry_after_s=13)])
    answer = post(worker, {"contents": HELLO})
    assert answer.status == 429
    assert answer.json["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert answer.json["error"]["details"][1]["retryDelay"] == "13s"


@pytest.mark.parametrize("query", [b"alt=sse", b""], ids=["events", "array"])
def test_an_error_in_the_middle_ends_a_stream(worker: Worker, query: bytes) -> None:
    worker.provider.will([part(ChoiceDelta(text="Hel"), role=True), ProviderFailed("It broke.")])
    responses = stream(worker, query=query)
    assert text_of(responses) == "Hel"
    assert responses[-1]["error"]["status"] == "UNAVAILABLE"


def test_models_are_listed_and_shown(worker: Worker) -> None:
    key = [(b"x-goog-api-key", NARROW_KEY.plaintext.encode())]
    answer = worker.post(b"", key="", headers=key, path="/v1beta/models", method="GET")
    (only,) = answer.json["models"]
    assert only["name"] == "models/plain"
    assert "generateContent" in only["supportedGenerationMethods"]
    answer = worker.post(b"", key="", headers=key, path="/v1beta/models/plain", method="GET")
    assert answer.json == only
    answer = worker.post(b"", key="", headers=key, path="/v1beta/models/ladder", method="GET")
    assert answer.status == 404
    check_gemini_error(answer.json)


def test_tokens_are_counted_or_estimated_and_said_so(worker: Worker) -> None:
    for body in ({"contents": HELLO}, {"generateContentRequest": {"contents": HELLO}}):
        answer = post(worker, body, verb="countTokens")
        assert answer.json["totalTokens"] > 0
        assert answer.headers["x-santral-estimated"] == "true"
    assert worker.provider.asked == []
