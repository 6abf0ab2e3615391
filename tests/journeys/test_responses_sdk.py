"""The official openai client in its Responses protocol, through real processes and sockets.

Behind the gateway stand a provider of chat completions and one that answers with recordings of the
Responses protocol.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel
from tests.journeys.conftest import Santral, configuration
from tests.replay import Replay, recording
from tests.upstream import Upstream, answer_to

pytestmark = pytest.mark.journey

TOOLS: Any = [
    {
        "type": "function",
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    }
]


class City(BaseModel):
    name: str


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    with Replay() as running:
        yield running


@pytest.fixture(scope="module")
def santral(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream, replay: Replay
) -> Iterator[Santral]:
    more = f"""
[providers.recorded]
kind = "openai-responses"
base_url = "{replay.base_url}/v1"
api_key = "env:RECORDED_KEY"
[deployments.recorded]
provider = "recorded"
model = "gpt-5.1"
"""
    folder = tmp_path_factory.mktemp("responses")
    running = Santral(
        folder, configuration(upstream.base_url, more), {"RECORDED_KEY": "sk-recorded"}
    )
    yield running
    running.stop()


@pytest.fixture
def client(santral: Santral) -> Iterator[openai.OpenAI]:
    with santral.client() as made:
        yield made


def will(replay: Replay, *names: str) -> None:
    replay.will(
        "/v1/responses", *(recording(f"openai-responses/{name}", piece=17) for name in names)
    )


def test_create_and_go_on_and_look_up_and_delete(client: openai.OpenAI, upstream: Upstream) -> None:
    first = client.responses.create(model="ok", input="One", instructions="Be brief")
    assert first.output_text == answer_to("One")
    assert first.usage is not None
    second = client.responses.create(model="ok", input="Two", previous_response_id=first.id)
    messages = upstream.seen[-1].body["messages"]
    assert [m["content"] for m in messages] == ["One", answer_to("One"), "Two"]
    assert client.responses.retrieve(second.id).output_text == second.output_text
    *_, last = client.responses.retrieve(second.id, stream=True)
    assert last.type == "response.completed"
    assert last.response.output_text == second.output_text
    items = client.responses.input_items.list(second.id, order="asc", limit=2)
    assert [item.type for item in items] == ["message"] * 3, "the client asked for the next page"
    client.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(second.id)
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(first.id)


def test_a_stream_of_a_chat_provider(client: openai.OpenAI) -> None:
    text, kinds = "", []
    for event in client.responses.create(model="ok", input="Hello", stream=True):
        kinds.append(event.type)
        if event.type == "response.output_text.delta":
            text += event.delta
    assert text == answer_to("Hello")
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")


def test_the_clients_own_stream_helper(client: openai.OpenAI) -> None:
    with client.responses.stream(model="ok", input="Hello") as stream:
        said = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert said == final.output_text == answer_to("Hello")


def test_parse_makes_the_model_of_the_answer(client: openai.OpenAI, replay: Replay) -> None:
    whole = json.loads(recording("openai-responses/text.json").body)
    whole["output"][0]["content"][0]["text"] = '{"name":"Ankara"}'
    made = recording("openai-responses/text.json").but(body=json.dumps(whole).encode())
    replay.will("/v1/responses", made)
    parsed = client.responses.parse(model="recorded", input="Where?", text_format=City)
    assert parsed.output_parsed == City(name="Ankara")
    sent = replay.asked[-1].json
    assert sent["text"]["format"]["type"] == "json_schema"
    assert sent["text"]["format"]["schema"]["properties"]["name"]["type"] == "string"


@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "stream"])
def test_tools_of_a_chat_provider(client: openai.OpenAI, is_streaming: bool) -> None:
    if is_streaming:
        with client.responses.stream(model="tools", input="Weather?", tools=TOOLS) as stream:
            answer: Response = stream.get_final_response()
    else:
        answer = client.responses.create(model="tools", input="Weather?", tools=TOOLS)
    calls = [item for item in answer.output if item.type == "function_call"]
    assert calls
    results: Any = [
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        for call in calls
    ]
    after = client.responses.create(model="ok", input=results, previous_response_id=answer.id)
    assert after.status == "completed"


@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "stream"])
def test_reasoning_and_tools_of_a_responses_provider(
    client: openai.OpenAI, replay: Replay, is_streaming: bool
) -> None:
    will(replay, "reasoning_tool.sse" if is_streaming else "reasoning_tool.json", "text.json")
    options: Any = {"model": "recorded", "tools": TOOLS, "reasoning": {"effort": "low"}}
    if is_streaming:
        with client.responses.stream(input="Weather?", **options) as stream:
            answer: Response = stream.get_final_response()
    else:
        answer = client.responses.create(input="Weather?", **options)
    assert [item.type for item in answer.output] == ["reasoning", "function_call"]
    assert answer.usage is not None
    assert answer.usage.input_tokens_details.cached_tokens == 128
    said: Any = [item.to_dict() for item in answer.output]
    call_id = said[1]["call_id"]
    history = [
        {"role": "user", "content": "Weather?"},
        *said,
        {"type": "function_call_output", "call_id": call_id, "output": "sunny"},
    ]
    assert client.responses.create(input=history, **options).status == "completed"
    by_hand = replay.asked[-1].json["input"]
    results: Any = history[-1:]
    client.responses.create(input=results, previous_response_id=answer.id, **options)
    by_id = replay.asked[-1].json["input"]
    assert by_hand == by_id, "what we kept is what the client would have sent"
    recorded = json.loads(recording("openai-responses/reasoning_tool.json").body)["output"][0]
    assert by_id[1]["encrypted_content"] == recorded["encrypted_content"]
    assert replay.asked[-1].json["store"] is False


def test_a_hosted_tool_rides_to_a_provider_of_the_same_dialect(
    client: openai.OpenAI, replay: Replay
) -> None:
    will(replay, "web_search.sse")
    with client.responses.stream(
        model="recorded", input="News?", tools=[{"type": "web_search"}]
    ) as stream:
        answer: Response = stream.get_final_response()
    assert [item.type for item in answer.output] == ["web_search_call", "message"]
    assert replay.asked[-1].json["tools"] == [{"type": "web_search"}]
    assert answer.output_text == "Good news"


def test_a_hosted_tool_is_a_loss_at_a_provider_of_another_dialect(client: openai.OpenAI) -> None:
    raw = client.responses.with_raw_response.create(
        model="ok", input="News?", tools=[{"type": "web_search"}]
    )
    assert raw.parse().status == "completed"
    assert "tools.0" in raw.headers["x-santral-loss"]


def test_a_chat_client_reaches_a_responses_provider(client: openai.OpenAI, replay: Replay) -> None:
    will(replay, "text.sse", "reasoning_tool.json")
    stream = client.chat.completions.create(
        model="recorded",
        messages=[{"role": "user", "content": "Hi"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "Merhaba, dünya 👋."
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == 36
    whole = client.chat.completions.create(
        model="recorded", messages=[{"role": "user", "content": "Hi"}], seed=1
    )
    assert whole.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("error.sse", openai.APIStatusError), ("error_middle.sse", openai.APIError)],
)
def test_a_provider_that_fails_inside_its_stream_is_an_exception(
    client: openai.OpenAI, replay: Replay, name: str, kind: type[openai.APIError]
) -> None:
    will(replay, name)
    with pytest.raises(kind):
        list(client.responses.create(model="recorded", input="Hi", stream=True))


def test_a_stream_that_breaks_off_is_an_exception(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError) as caught:
        list(client.responses.create(model="error-middle", input="Hi", stream=True))
    assert caught.value.code == "provider_failed"


def test_mistakes_are_the_clients_exceptions(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="ok", input="x", previous_response_id="resp_unknown")
    assert caught.value.code == "previous_response_not_found"
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="ok", input="x", background=True)
