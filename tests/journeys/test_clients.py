"""litellm, pydantic-ai and LangChain as clients: every dialect they speak, whoever answers.

Each runs in an environment of its own (``tests/clients``), which ``make journeys`` makes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.clients.client import ENVIRONMENTS, Client, ClientFailed
from tests.journeys.conftest import Santral
from tests.replay import Replay, recording
from tests.upstream import Upstream, answer_to, usage_of

pytestmark = [
    pytest.mark.journey,
    pytest.mark.clients,
    pytest.mark.skipif(
        not ENVIRONMENTS.exists(), reason="needs .venv-clients; make it with: make journeys"
    ),
]

CLIENTS = ("litellm", "pydantic-ai", "langchain")
DIALECTS = ("chat", "responses", "messages")
CITY = {"city": "Ankara", "population": 5803482}
MERHABA = "Merhaba, dünya 🙂!"
CLAUDE = "/v1/messages"

#: The smallest PNG there is: one pixel.
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

#: Route -> what the scripted provider does. Retries are off: it is the clients' that are looked at.
SCRIPTED = {
    "ok": "ok",
    "tools": "tools",
    "agent": "agent",
    "city": "json",
    "claude-sonnet-4-5": "json",  # clients go by the name: of Claude they ask for a schema as of it
    "city-tool": f"use:City={json.dumps(CITY)}",
    "busy": "busy:s",
    "refused": "refused",
    "too-long": "context",
    "failing": "failed",
    "error-middle": "error-middle",
}

#: In which dialects a client obeys retry-after. litellm leaves that to the openai client, and uses it
#: for chat alone.
PATIENT = {"litellm": ("chat",), "pydantic-ai": DIALECTS, "langchain": DIALECTS}
SCRIPTED |= {
    f"once-{client}-{dialect}": f"busy-once:s#{client}-{dialect}"
    for client, dialects in PATIENT.items()
    for dialect in dialects
}


def configuration(upstream: str, replay: str) -> str:
    parts = [
        "[server]\nport = 0\n[control]\nport = 0\n[log]\nlevel = 'warning'\nformat = 'text'\n"
        f"[providers.scripted]\nkind = 'openai-compatible'\nbase_url = '{upstream}'\n"
        f"[providers.anthropic]\nkind = 'anthropic'\napi_key = 'env:UP_KEY'\nbase_url = '{replay}/v1'\n"
        f"[providers.openai]\nkind = 'openai'\napi_key = 'env:UP_KEY'\nbase_url = '{replay}/v1'\n"
        f"[providers.jina]\nkind = 'jina'\napi_key = 'env:UP_KEY'\nbase_url = '{replay}/v1'\n"
        "[deployments.rank]\nprovider = 'jina'\nmodel = 'jina-reranker-v2-base-multilingual'\n"
        "[deployments.claude]\nprovider = 'anthropic'\nmodel = 'claude-sonnet-5'\n"
        "[deployments.moderate]\nprovider = 'openai'\nmodel = 'omni-moderation-latest'\n"
        "[deployments.embed]\nprovider = 'openai'\nmodel = 'text-embedding-3-small'\n"
    ]
    for route, behaviour in SCRIPTED.items():
        parts.append(
            f"[deployments.d-{route}]\nprovider = 'scripted'\nmodel = '{behaviour}'\n"
            f"[routes.{route}]\nretries = 0\nladder = [{{ deployments = {{ d-{route} = 1 }} }}]\n"
        )
    return "\n".join(parts)


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    with Replay() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream, replay: Replay
) -> Iterator[Santral]:
    text = configuration(upstream.base_url, replay.base_url)
    running = Santral(tmp_path_factory.mktemp("clients"), text, {"UP_KEY": "sk-up-0123456789"})
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module", params=CLIENTS)
def client(request: pytest.FixtureRequest, gateway: Santral) -> Iterator[Client]:
    with Client(request.param, gateway.gateway, gateway.key) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(replay: Replay) -> None:
    replay.reset()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_whole_answer_and_its_usage(client: Client, dialect: str) -> None:
    said = client.ask("whole", dialect=dialect, model_name="ok", text="Hello there")
    usage = usage_of("Hello there", answer_to("Hello there"))
    assert said["text"] == answer_to("Hello there")
    assert (said["input"], said["output"]) == (usage["prompt_tokens"], usage["completion_tokens"])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_streamed_answer_and_its_usage(client: Client, dialect: str) -> None:
    said = client.ask("stream", dialect=dialect, model_name="ok", text="Merhaba dünya 🙂")
    text = answer_to("Merhaba dünya 🙂")
    usage = usage_of("Merhaba dünya 🙂", text)
    assert said["text"] == text
    assert said["pieces"] > 3
    assert (said["input"], said["output"]) == (usage["prompt_tokens"], usage["completion_tokens"])


@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_parallel_tool_calls(client: Client, dialect: str, is_streaming: bool) -> None:
    said = client.ask("tools", dialect=dialect, model_name="tools", is_streaming=is_streaming)
    assert said["calls"] == [["weather", {"city": "İzmir"}], ["time", {"zone": "TRT"}]]
    assert len(set(said["ids"])) == 2


@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_agent_runs_its_tools_and_ends(
    client: Client, dialect: str, is_streaming: bool, upstream: Upstream
) -> None:
    said = client.ask("agent", dialect=dialect, model_name="agent", is_streaming=is_streaming)
    assert said["text"] == "Found: sunny, 12:00"
    asked = upstream.asked("agent")[-1].body["messages"]
    called = [call["id"] for m in asked for call in m.get("tool_calls") or ()]
    assert called == [m["tool_call_id"] for m in asked if m["role"] == "tool"]
    assert len(called) == 2


@pytest.mark.parametrize("by", ["schema", "tool"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_structured_output_is_a_pydantic_model(
    client: Client, dialect: str, by: str, upstream: Upstream
) -> None:
    route = "claude-sonnet-4-5" if dialect == "messages" else "city"
    route = "city-tool" if by == "tool" else route
    said = client.ask("structured", dialect=dialect, model_name=route, by=by)
    assert said == {"kind": "City", "value": CITY}
    sent = upstream.seen[-1].body
    if by == "schema":
        schema = sent["response_format"]["json_schema"]["schema"]
        assert set(schema["properties"]) == set(CITY)
    else:
        assert [tool["function"]["name"] for tool in sent["tools"]] == ["City"]
        assert sent["tool_choice"] not in (None, "auto", "none")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_claude_answers_every_dialect(client: Client, dialect: str, replay: Replay) -> None:
    replay.will(CLAUDE, recording("anthropic/text.json"), recording("anthropic/text.sse", piece=7))
    for case in ("whole", "stream"):
        said = client.ask(case, dialect=dialect, model_name="claude")
        assert (said["text"], said["input"], said["output"]) == (MERHABA, 472, 15)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_claudes_parallel_tools_are_streamed(client: Client, dialect: str, replay: Replay) -> None:
    replay.will(CLAUDE, recording("anthropic/thinking_tools.sse", piece=11))
    said = client.ask("tools", dialect=dialect, model_name="claude", is_streaming=True)
    assert said["calls"] == [
        ["get_weather", {"location": "San Francisco, CA"}],
        ["get_weather", {"location": "İzmir"}],
    ]
    assert said["ids"] == ["toolu_01A", "toolu_01B"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_agent_gives_claude_its_thinking_back(
    client: Client, dialect: str, replay: Replay
) -> None:
    replay.will(CLAUDE, recording("anthropic/thinking_tools.sse"), recording("anthropic/text.sse"))
    said = client.ask("agent", dialect=dialect, model_name="claude", is_streaming=True)
    assert said["text"] == MERHABA
    question, called, results = replay.asked[-1].json["messages"]
    assert question["role"] == "user"
    calls = [block["id"] for block in called["content"] if block["type"] == "tool_use"]
    assert calls == [block["tool_use_id"] for block in results["content"]]
    assert calls == ["toolu_01A", "toolu_01B"]
    if dialect != "chat":  # where none of the three has a field for what is signed
        assert called["content"][0] == {
            "type": "thinking",
            "thinking": "İki şehir soruldu.",
            "signature": "EsECCokBCBAYAipAc2FudHJhbC1yZWNvcmRpbmcvb25l+AAAA==",
        }


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("route", "status", "words"),
    [
        ("busy", 429, "Rate limit reached"),
        ("refused", 400, "frobnicate"),
        ("too-long", 400, "maximum context length"),
        ("citi", 404, "Did you mean"),
        ("failing", 502, "had an error"),
    ],
)
def test_errors_are_the_clients_own(
    client: Client, dialect: str, route: str, status: int, words: str
) -> None:
    with pytest.raises(ClientFailed, match=words) as caught:
        client.ask("whole", dialect=dialect, model_name=route)
    assert caught.value.status == status


def test_an_unknown_key_is_an_authentication_error(client: Client, gateway: Santral) -> None:
    with Client(client.name, gateway.gateway, "sk-nobody") as stranger:
        for dialect in DIALECTS:
            with pytest.raises(ClientFailed) as caught:
                stranger.ask("whole", dialect=dialect, model_name="ok")
            assert caught.value.status == 401


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_error_inside_a_stream_is_raised(client: Client, dialect: str) -> None:
    with pytest.raises(ClientFailed, match="on fire"):
        client.ask("stream", dialect=dialect, model_name="error-middle")


def test_the_client_waits_as_long_as_it_is_told(client: Client, upstream: Upstream) -> None:
    for dialect in PATIENT[client.name]:
        route = f"once-{client.name}-{dialect}"
        began = time.monotonic()
        said = client.ask("whole", dialect=dialect, model_name=route, retries=1)
        assert time.monotonic() - began >= 1, "by themselves they wait half a second"
        assert said["text"] == answer_to("Hello")
        assert len(upstream.asked(SCRIPTED[route])) == 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_picture_arrives_as_it_was_sent(client: Client, dialect: str, upstream: Upstream) -> None:
    said = client.ask("look", dialect=dialect, model_name="ok", picture=PICTURE)
    assert said["text"] == answer_to("What is it?\n")
    text, image = upstream.seen[-1].body["messages"][-1]["content"]
    assert text["text"] == "What is it?"
    assert image["image_url"]["url"] == f"data:image/png;base64,{PICTURE}"


@pytest.mark.parametrize("client", ["langchain"], indirect=True)
def test_tokens_are_counted_before_the_question(client: Client, replay: Replay) -> None:
    replay.will(f"{CLAUDE}/count_tokens", recording("anthropic/count_tokens.json"))
    assert client.ask("count", model_name="claude") == 2095
    assert client.ask("count", model_name="ok") > 0


@pytest.mark.parametrize("client", ["litellm"], indirect=True)
def test_passages_are_ranked_and_texts_moderated(client: Client, replay: Replay) -> None:
    replay.will("/v1/rerank", recording("tasks/jina-rerank.json"))
    replay.will("/v1/moderations", recording("tasks/openai-moderation.json"))
    ranked = json.loads(recording("tasks/jina-rerank.json").body)["results"]
    documents = [f"passage {n}" for n in range(4)]
    got = client.ask("rank", model_name="rank", query="Where?", documents=documents)
    assert got == [[row["index"], row["relevance_score"]] for row in ranked]
    assert client.ask("moderate", model_name="moderate", text="Hello") is True


@pytest.mark.parametrize("packed", [False, True], ids=["numbers", "base64"])
def test_embeddings(client: Client, replay: Replay, packed: bool) -> None:
    """A provider may answer in either form, whichever it was asked for."""
    numbers = json.loads(recording("tasks/openai-embeddings.json").body)["data"][0]["embedding"]
    replay.will("/v1/embeddings", recording(f"tasks/openai-embeddings{'-base64' * packed}.json"))
    got: Any = client.ask("embed", model_name="embed", texts=["Hello"])
    assert got == [pytest.approx(numbers, abs=1e-6)]
    assert replay.asked[0].json["input"] == ["Hello"]


@pytest.mark.parametrize("client", ["litellm"], indirect=True)
def test_texts_given_as_tokens_are_embedded(client: Client, replay: Replay) -> None:
    replay.will("/v1/embeddings", recording("tasks/openai-embeddings.json"))
    assert len(client.ask("embed", model_name="embed", texts=[[9906, 1917]])) == 1
    assert replay.asked[0].json["input"] == [[9906, 1917]]
