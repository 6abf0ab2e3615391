"""The official Anthropic client through real sockets: what an application sees, whoever answers."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import anthropic
import pydantic
import pytest
from tests.journeys.conftest import Santral
from tests.replay import Replay, recording
from tests.stream_checker_messages import check_messages_stream, message_of
from tests.upstream import Upstream

pytestmark = pytest.mark.journey

PATH = "/v1/messages"
HELLO: Any = [{"role": "user", "content": "Merhaba"}]
TOOLS: Any = [
    {
        "name": "get_weather",
        "description": "Weather of a place.",
        "input_schema": {"type": "object", "properties": {"location": {"type": "string"}}},
    }
]


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    with Replay() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, replay: Replay, upstream: Upstream
) -> Iterator[Santral]:
    text = (
        "[server]\nport = 0\n[control]\nport = 0\n[log]\nlevel = 'warning'\nformat = 'text'\n"
        "[providers.anthropic]\nkind = 'anthropic'\napi_key = 'env:CLAUDE_KEY'\n"
        f"base_url = '{replay.base_url}/v1'\n"
        f"[providers.scripted]\nkind = 'openai-compatible'\nbase_url = '{upstream.base_url}'\n"
        "[deployments.claude]\nprovider = 'anthropic'\nmodel = 'claude-opus-4-8'\n"
        "[deployments.gpt]\nprovider = 'scripted'\nmodel = 'ok'\n"
        "[deployments.gpt-tools]\nprovider = 'scripted'\nmodel = 'tools'\n"
        "[routes.cached]\nladder = [{ deployments = { claude = 1 } }]\nprompt_cache = 'auto'\n"
    )
    folder = tmp_path_factory.mktemp("anthropic")
    running = Santral(folder, text, {"CLAUDE_KEY": "sk-ant-canary-0123456789"})
    yield running
    assert running.stop() == 0


@pytest.fixture
def client(gateway: Santral, replay: Replay) -> anthropic.Anthropic:
    replay.reset()
    return anthropic.Anthropic(base_url=gateway.gateway, api_key=gateway.key, max_retries=0)


def test_a_whole_answer(client: anthropic.Anthropic, replay: Replay, gateway: Santral) -> None:
    replay.will(PATH, recording("anthropic/text.json"))
    raw = client.messages.with_raw_response.create(model="claude", max_tokens=64, messages=HELLO)
    message = raw.parse()
    assert [block.text for block in message.content if block.type == "text"] == [
        "Merhaba, dünya 🙂!"
    ]
    assert (message.stop_reason, message.usage.input_tokens) == ("end_turn", 472)
    assert raw.headers["x-santral-deployment"] == "claude"
    assert replay.asked[0].headers["x-api-key"] == "sk-ant-canary-0123456789"
    assert gateway.key not in str(replay.asked[0].headers)


@pytest.mark.parametrize("model", ["claude", "gpt"])
def test_a_stream(client: anthropic.Anthropic, replay: Replay, model: str) -> None:
    replay.will(PATH, recording("anthropic/text.sse", piece=3))
    with client.messages.stream(model=model, max_tokens=64, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text == ("Merhaba, dünya 🙂!" if model == "claude" else "You asked: Merhaba")
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 0


def test_thinking_and_parallel_tools_and_their_results(
    client: anthropic.Anthropic, replay: Replay
) -> None:
    replay.will(PATH, recording("anthropic/thinking_tools.sse"), recording("anthropic/text.json"))
    question: Any = {"role": "user", "content": "Weather?"}
    with client.messages.stream(
        model="claude",
        max_tokens=2000,
        thinking={"type": "adaptive"},
        tools=TOOLS,
        messages=[question],
    ) as stream:
        message = stream.get_final_message()
    assert [block.type for block in message.content] == [
        "thinking",
        "text",
        "tool_use",
        "tool_use",
    ]
    calls = [block for block in message.content if block.type == "tool_use"]
    assert [call.input for call in calls] == [
        {"location": "San Francisco, CA"},
        {"location": "İzmir"},
    ]
    results: Any = [
        {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in calls
    ]
    client.messages.create(
        model="claude",
        max_tokens=2000,
        tools=TOOLS,
        messages=[question, message.to_param(), {"role": "user", "content": results}],
    )
    echoed = replay.asked[-1].json["messages"]
    assert [turn["role"] for turn in echoed] == ["user", "assistant", "user"]
    assert echoed[1]["content"][0] == {
        "type": "thinking",
        "thinking": "İki şehir soruldu.",
        "signature": "EsECCokBCBAYAipAc2FudHJhbC1yZWNvcmRpbmcvb25l+AAAA==",
    }
    assert [block["type"] for block in echoed[2]["content"]] == ["tool_result", "tool_result"]


def test_interleaved_thinking_is_echoed_in_its_order(
    client: anthropic.Anthropic, replay: Replay
) -> None:
    replay.will(PATH, recording("anthropic/interleaved.sse"), recording("anthropic/text.json"))
    with client.messages.stream(model="claude", max_tokens=64, messages=HELLO) as stream:
        message = stream.get_final_message()
    follow: Any = [*HELLO, message.to_param(), {"role": "user", "content": "And?"}]
    client.messages.create(model="claude", max_tokens=64, messages=follow)
    said = message_of(check_messages_stream(recording("anthropic/interleaved.sse").body))
    assert replay.asked[-1].json["messages"][1]["content"] == said["content"]


def test_tools_of_another_vendors_model(client: anthropic.Anthropic) -> None:
    for is_streaming in (False, True):
        asked: Any = {
            "model": "gpt-tools",
            "max_tokens": 64,
            "tools": TOOLS,
            "messages": [{"role": "user", "content": "Weather?"}],
        }
        if is_streaming:
            with client.messages.stream(**asked) as stream:
                message = stream.get_final_message()
        else:
            message = client.messages.create(**asked)
        assert message.stop_reason == "tool_use"
        calls = [block for block in message.content if block.type == "tool_use"]
        assert calls
        assert all(isinstance(call.input, dict) and call.id for call in calls)


def png() -> str:
    """The smallest picture there is."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0\0\0\0"))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")).decode()


def test_images_and_documents(
    client: anthropic.Anthropic, replay: Replay, upstream: Upstream
) -> None:
    replay.will(PATH, recording("anthropic/text.json"))
    picture = {"type": "base64", "media_type": "image/png", "data": png()}
    text = {"type": "text", "media_type": "text/plain", "data": "Kira altı ay."}
    content: Any = [
        {"type": "image", "source": picture},
        {"type": "document", "source": text, "title": "lease", "citations": {"enabled": True}},
        {"type": "text", "text": "What is it?"},
    ]
    messages: Any = [{"role": "user", "content": content}]
    client.messages.create(model="claude", max_tokens=64, messages=messages)
    assert replay.asked[0].json["messages"] == messages
    client.messages.create(
        model="gpt", max_tokens=64, messages=[{"role": "user", "content": content[:1]}]
    )
    sent = json.loads(upstream.asked("ok")[-1].raw)["messages"][-1]["content"][0]
    assert sent["image_url"]["url"] == f"data:image/png;base64,{png()}"


class Person(pydantic.BaseModel):
    name: str
    age: int


def test_structured_output(client: anthropic.Anthropic, replay: Replay) -> None:
    replay.will(PATH, recording("anthropic/structured.json"))
    message = client.messages.parse(
        model="claude", max_tokens=64, messages=HELLO, output_format=Person
    )
    assert message.parsed_output == Person(name="Ayşe", age=42)
    asked = replay.asked[0].json["output_config"]["format"]
    assert asked["type"] == "json_schema"
    assert asked["schema"]["additionalProperties"] is False


def test_server_tools_and_citations(client: anthropic.Anthropic, replay: Replay) -> None:
    replay.will(PATH, recording("anthropic/server_tools.sse"))
    tools: Any = [{"type": "web_search_20260318", "name": "web_search", "max_uses": 1}]
    with client.messages.stream(
        model="claude", max_tokens=64, tools=tools, messages=HELLO
    ) as stream:
        message = stream.get_final_message()
    kinds = [block.type for block in message.content]
    assert kinds[:3] == ["text", "server_tool_use", "web_search_tool_result"]
    cited = [block for block in message.content if block.type == "text" and block.citations]
    assert cited[0].citations is not None
    assert cited[0].citations[0].type == "web_search_result_location"
    assert replay.asked[0].json["tools"] == tools


def test_tokens_are_counted(client: anthropic.Anthropic, replay: Replay) -> None:
    replay.will(f"{PATH}/count_tokens", recording("anthropic/count_tokens.json"))
    assert client.messages.count_tokens(model="claude", messages=HELLO).input_tokens == 2095
    raw = client.messages.with_raw_response.count_tokens(model="gpt", messages=HELLO)
    assert raw.headers["x-santral-estimated"] == "true"
    assert raw.parse().input_tokens > 0


def test_the_prompt_is_marked_for_caching_where_the_route_says_so(
    client: anthropic.Anthropic, replay: Replay
) -> None:
    replay.will(PATH, recording("anthropic/cached.sse"))
    with client.messages.stream(
        model="cached", max_tokens=64, system="word " * 1000, messages=HELLO
    ) as stream:
        usage = stream.get_final_message().usage
    assert replay.asked[0].json["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (18000, 1600)
    assert usage.input_tokens == 25


def test_the_client_raises_its_own_errors(
    client: anthropic.Anthropic, replay: Replay, gateway: Santral
) -> None:
    def ask(model: str = "claude", **more: Any) -> None:
        client.messages.create(model=model, max_tokens=64, messages=HELLO, **more)

    with pytest.raises(anthropic.NotFoundError, match="Did you mean 'claude'"):
        ask("claud")
    stranger = anthropic.Anthropic(base_url=gateway.gateway, api_key="sk-nobody", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        stranger.messages.create(model="claude", max_tokens=64, messages=HELLO)
    with pytest.raises(anthropic.BadRequestError, match=r"tools\.0"):
        ask(tools=[{"name": "x"}])
    for name, status, kind in (
        ("rate_limit_error", 429, anthropic.RateLimitError),
        ("invalid_request_error", 400, anthropic.BadRequestError),
        ("authentication_error", 401, anthropic.InternalServerError),  # ours, not the caller's
    ):
        replay.will(PATH, recording(f"anthropic/error_{name}.json", status=status))
        with pytest.raises(kind) as caught:
            ask()
        assert caught.value.response.headers["x-request-id"].startswith("req_")


def test_an_error_inside_a_stream_is_raised(client: anthropic.Anthropic, replay: Replay) -> None:
    replay.will(PATH, recording("anthropic/overloaded.sse"))
    with (
        pytest.raises(anthropic.APIStatusError, match="Overloaded"),
        client.messages.stream(model="claude", max_tokens=64, messages=HELLO) as stream,
    ):
        list(stream)


def test_an_openai_client_reads_claude(gateway: Santral, replay: Replay) -> None:
    replay.reset()
    replay.will(PATH, recording("anthropic/thinking_tools.sse"), recording("anthropic/text.json"))
    stream = gateway.client().chat.completions.create(
        model="claude", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    pieces = [event.choices[0].delta for event in stream if event.choices]
    calls = [call for piece in pieces for call in piece.tool_calls or ()]
    arguments = [
        "".join(c.function.arguments or "" for c in calls if c.index == n and c.function)
        for n in range(2)
    ]
    assert [json.loads(text) for text in arguments] == [
        {"location": "San Francisco, CA"},
        {"location": "İzmir"},
    ]
    answer = gateway.client().chat.completions.create(model="claude", messages=HELLO, seed=4)
    assert answer.choices[0].message.content == "Merhaba, dünya 🙂!"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 472
