"""The official google-genai SDK as a client, through real sockets: to any model, and to Gemini itself."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel
from tests.journeys.conftest import Santral, configuration
from tests.replay import Replay, recording
from tests.stream_checker_gemini import check_gemini_stream, text_of
from tests.upstream import Upstream

pytestmark = pytest.mark.journey

KEY = "AIzaSyCanary0123456789abcdefghijklmnopqr"
FLASH = "team/flash:latest"  # a route's name may hold both signs that Gemini's addresses use
WHOLE = "/models/gemini-3.7-flash:generateContent"
STREAM = "/models/gemini-3.7-flash:streamGenerateContent"
COUNT = "/models/gemini-3.7-flash:countTokens"


class City(BaseModel):
    city: str
    country: str


def look(city: str) -> str:
    """Tells the weather of a city."""
    return "sunny"


@pytest.fixture(scope="module")
def google() -> Iterator[Replay]:
    with Replay() as running:
        yield running


@pytest.fixture(scope="module")
def own(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream, google: Replay
) -> Iterator[Santral]:
    more = f"""
[providers.google]
kind = "gemini"
base_url = "{google.base_url}"
api_key = "env:TEST_GEMINI_KEY"
[deployments.flash]
provider = "google"
model = "gemini-3.7-flash"
retries = 0
[routes."{FLASH}"]
ladder = [{{ deployments = {{ flash = 1 }} }}]
[routes.exact]
ladder = [{{ deployments = {{ flash = 1 }} }}]
strict = true
"""
    folder = tmp_path_factory.mktemp("google")
    running = Santral(folder, configuration(upstream.base_url, more), {"TEST_GEMINI_KEY": KEY})
    yield running
    running.stop()


@pytest.fixture
def replay(google: Replay) -> Replay:
    google.reset()
    google.will(WHOLE, recording("gemini/text.json"))
    google.will(STREAM, recording("gemini/text.sse", piece=11))
    google.will(COUNT, recording("gemini/count.json"))
    return google


@pytest.fixture
def client(own: Santral) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=own.gateway, timeout=15_000)
    with genai.Client(api_key=own.key, http_options=options) as made:
        yield made


def config(**more: Any) -> types.GenerateContentConfig:
    no_calls = types.AutomaticFunctionCallingConfig(disable=True)
    return types.GenerateContentConfig(automatic_function_calling=no_calls, **more)


def test_a_model_of_another_vendor_answers_whole_and_streamed(
    client: genai.Client, upstream: Upstream
) -> None:
    instruction = config(system_instruction="Be brief.", max_output_tokens=99)
    answer = client.models.generate_content(model="ok", contents="Merhaba", config=instruction)
    assert answer.text
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.total_token_count
    sent = upstream.seen[-1].body
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert sent["max_completion_tokens"] == 99
    chunks = list(client.models.generate_content_stream(model="ok", contents="Merhaba"))
    assert "".join(chunk.text or "" for chunk in chunks) == answer.text
    assert chunks[-1].usage_metadata is not None


def test_tools_are_called_and_answered_in_a_chat(client: genai.Client, upstream: Upstream) -> None:
    chat = client.chats.create(model="tools", config=config(tools=[look]))
    answer = chat.send_message("How is the weather?")
    assert answer.function_calls
    call = answer.function_calls[0]
    assert call.name
    assert call.id
    result = types.Part.from_function_response(name=call.name, response={"result": "sunny"})
    chat.send_message(result)
    said, tool = upstream.seen[-1].body["messages"][-2:]
    assert said["tool_calls"][0]["id"] == tool["tool_call_id"] == call.id
    assert json.loads(tool["content"]) == {"result": "sunny"}


def test_gemini_answers_through_its_own_protocol(client: genai.Client, replay: Replay) -> None:
    answer = client.models.generate_content(model=FLASH, contents="Where?")
    assert answer.text == "İstanbul is the largest city of Türkiye."
    assert answer.model_version == "gemini-3.7-flash"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.thoughts_token_count == 94
    chunks = list(client.models.generate_content_stream(model=FLASH, contents="Where?"))
    assert "".join(chunk.text or "" for chunk in chunks) == answer.text
    assert [asked.headers["x-goog-api-key"] for asked in replay.asked] == [KEY, KEY]


def test_signatures_of_a_chat_reach_gemini_byte_for_byte(
    client: genai.Client, replay: Replay
) -> None:
    replay.will(STREAM, recording("gemini/tools.sse"))
    shown = types.ThinkingConfig(include_thoughts=True, thinking_level=types.ThinkingLevel.LOW)
    chat = client.chats.create(model=FLASH, config=config(tools=[look], thinking_config=shown))
    chunks = list(chat.send_message_stream("Paris and Tokyo?"))
    parts = [
        p
        for c in chunks
        if c.candidates
        for p in (c.candidates[0].content or types.Content()).parts or ()
    ]
    assert [p.text for p in parts if p.thought] == ["Look at both cities first."]
    calls = [p.function_call for p in parts if p.function_call]
    assert [call.args for call in calls] == [{"city": "Paris"}, {"city": "Tokyo", "days": [1, 2.5]}]
    results = [
        types.Part(
            function_response=types.FunctionResponse(
                id=call.id, name=call.name, response={"output": "sunny"}
            )
        )
        for call in calls
    ]
    chat.send_message(results)
    sent = replay.asked[-1].json["contents"]
    recorded = recording("gemini/tools.sse").body
    signature = sent[1]["parts"][0]["thoughtSignature"]
    assert signature.encode() in recorded
    assert "thoughtSignature" not in sent[1]["parts"][1]
    ids = [part["functionResponse"]["id"] for part in sent[2]["parts"]]
    assert ids == [part["functionCall"]["id"] for part in sent[1]["parts"]]
    assert replay.asked[0].json["generationConfig"]["thinkingConfig"] == {
        "includeThoughts": True,
        "thinkingLevel": "low",
    }


def test_an_answer_takes_the_form_of_a_class(client: genai.Client, replay: Replay) -> None:
    replay.will(WHOLE, recording("gemini/structured.json"))
    form = config(response_mime_type="application/json", response_schema=City)
    answer = client.models.generate_content(model=FLASH, contents="Capital of France?", config=form)
    assert answer.parsed == City(city="Paris", country="France")
    schema = replay.asked[-1].json["generationConfig"]["responseJsonSchema"]
    assert schema["properties"]["city"] == {"type": "string", "title": "City"}


def test_a_picture_goes_along(client: genai.Client, replay: Replay) -> None:
    image = types.Part.from_bytes(data=b"\xfb\xff\xfe?", mime_type="image/png")
    client.models.generate_content(model=FLASH, contents=[image, "What is it?"])
    parts = replay.asked[-1].json["contents"][0]["parts"]
    assert parts[0] == {"inlineData": {"mimeType": "image/png", "data": "+//+Pw=="}}


def test_safety_settings_reach_gemini_and_are_a_loss_elsewhere(
    client: genai.Client, replay: Replay, own: Santral
) -> None:
    category = types.HarmCategory.HARM_CATEGORY_HARASSMENT
    off = types.SafetySetting(category=category, threshold=types.HarmBlockThreshold.OFF)
    client.models.generate_content(model=FLASH, contents="x", config=config(safety_settings=[off]))
    assert replay.asked[-1].json["safetySettings"] == [
        {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}
    ]
    answer = client.models.generate_content(
        model="ok", contents="x", config=config(safety_settings=[off])
    )
    assert answer.sdk_http_response is not None
    headers = answer.sdk_http_response.headers or {}
    assert headers["x-santral-loss"] == "safetySettings"


def test_a_strict_route_refuses_a_loss(own: Santral, replay: Replay) -> None:
    body = {
        "model": "exact",
        "messages": [{"role": "user", "content": "x"}],
        "logit_bias": {"1": 1},
    }
    status, _, answer = own.post(body)
    assert status == 400
    assert json.loads(answer)["error"]["code"] == "parameter_not_supported"
    assert replay.asked == []


def test_tokens_are_counted(client: genai.Client, replay: Replay) -> None:
    assert client.models.count_tokens(model=FLASH, contents="The quick fox").total_tokens == 10


def test_models_are_listed_and_found(client: genai.Client) -> None:
    names = [model.name for model in client.models.list()]
    assert f"models/{FLASH}" in names
    assert client.models.get(model=FLASH).name == f"models/{FLASH}"


def test_errors_are_the_sdks_own(client: genai.Client, replay: Replay, own: Santral) -> None:
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="no-such-model", contents="x")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    replay.will(WHOLE, recording("gemini/busy.json", status=429))
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model=FLASH, contents="x")
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
    replay.will(WHOLE, recording("gemini/wrong-key.json", status=400))
    with pytest.raises(errors.ServerError) as failed:  # the operator's key, not the caller's
        client.models.generate_content(model=FLASH, contents="x")
    assert failed.value.code == 502
    with pytest.raises(errors.APIError):
        list(client.models.generate_content_stream(model="error-middle", contents="x"))
    options = types.HttpOptions(base_url=own.gateway)
    with (
        genai.Client(api_key="sk-wrong", http_options=options) as stranger,
        pytest.raises(errors.ClientError) as refused,
    ):
        stranger.models.generate_content(model="ok", contents="x")
    assert refused.value.code == 401


def test_without_sse_a_stream_is_an_array(own: Santral, replay: Replay) -> None:
    request = urllib.request.Request(
        f"{own.gateway}/v1beta/models/{FLASH}:streamGenerateContent",
        data=b'{"contents":[{"parts":[{"text":"Where?"}]}]}',
        headers={"x-goog-api-key": own.key, "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=15) as response:
        assert response.headers["content-type"] == "application/json"
        responses = check_gemini_stream(response.read())
    assert text_of(responses) == "İstanbul is the largest city of Türkiye."


def test_no_key_is_written_into_a_log(own: Santral) -> None:
    assert KEY not in own.logs()
