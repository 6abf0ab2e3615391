"""An answer is scored by who got it, and one waits for its reviewer, with the official clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from openai.types.chat import ChatCompletion
from tests.journeys.conftest import Santral, configuration, wait_until
from tests.upstream import Upstream

pytestmark = pytest.mark.journey

ROUTES = """
[routes.careful]
ladder = [{ deployments = { d-ok = 1 } }]
hold = true
[routes.liked]
ladder = [{ deployments = { d-ok = 1 } }]
[feedback]
allowed_origins = ["https://app.example.com"]
implicit_every_s = 1
"""
HELLO: Any = [{"role": "user", "content": "Merhaba"}]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Santral]:
    folder = tmp_path_factory.mktemp("feedback")
    running = Santral(folder, configuration(upstream.base_url, ROUTES))
    yield running
    assert running.stop() == 0


@pytest.fixture
def client(gateway: Santral) -> Iterator[openai.OpenAI]:
    with gateway.client() as made:
        yield made


def scores_of(gateway: Santral, trace_id: str, n: int) -> list[dict[str, Any]]:
    """Return a trace's scores once there are ``n``."""

    def look() -> list[dict[str, Any]] | None:
        found = gateway._found(f"{gateway.control}/api/traces/{trace_id}")
        scores = json.loads(found)["scores"] if found else []
        return scores if len(scores) >= n else None

    return wait_until(look, 10)


@pytest.mark.parametrize("stream", [False, True])
def test_a_user_scores_an_answer_by_its_id_and_takes_it_back(
    gateway: Santral, client: openai.OpenAI, stream: bool
) -> None:
    asked = client.chat.completions.with_raw_response.create(
        model="liked", messages=HELLO, stream=stream, user="u-42"
    )
    trace_id = asked.headers["x-santral-trace-id"]
    said = asked.parse()
    named = next(iter(said)).id if isinstance(said, openai.Stream) else said.id
    if isinstance(said, openai.Stream):
        said.close()
    thumbs = {"response_id": named, "name": "thumbs", "value": 0, "comment": "Not what I asked."}
    taken = client.post("/feedback", body=thumbs, cast_to=object)
    assert isinstance(taken, dict)
    assert taken["status"] == "kept"
    rating = {"response_id": asked.headers["x-request-id"], "name": "rating", "value": 2}
    client.post("/feedback", body=rating, cast_to=object)
    by_name = {score["name"]: score for score in scores_of(gateway, trace_id, 2)}
    assert by_name["thumbs"]["comment"] == "Not what I asked."
    assert by_name["rating"]["value"] == 2
    client.post("/feedback", body={**thumbs, "value": None}, cast_to=object)
    wait_until(lambda: len(scores_of(gateway, trace_id, 1)) == 1, 10)


def test_a_page_scores_with_a_token_and_rates_say_of_how_many(
    gateway: Santral, client: openai.OpenAI
) -> None:
    asked = client.chat.completions.with_raw_response.create(model="liked", messages=HELLO)
    trace_id = asked.headers["x-santral-trace-id"]
    minted: Any = client.post("/feedback/tokens", body={"trace_id": trace_id}, cast_to=object)
    page = gateway.client(minted["token"])
    page.post(
        "/feedback", body={"trace_id": trace_id, "name": "thumbs", "value": 1}, cast_to=object
    )
    other = {"trace_id": "f" * 32, "name": "thumbs", "value": 1}
    with pytest.raises(openai.PermissionDeniedError):
        page.post("/feedback", body=other, cast_to=object)
    scores_of(gateway, trace_id, 1)
    found = gateway.admin("/api/feedback?route=liked&name=thumbs&since=1h")
    rate = next(rate for rate in found["rates"] if rate["source"] == "user")
    assert 1 <= rate["rated"] <= rate["responses"]
    assert 0 <= rate["interval"]["low"] <= rate["share_positive"] <= rate["interval"]["high"] <= 1


def test_asking_the_same_again_is_a_score_of_the_first_answer(
    gateway: Santral, client: openai.OpenAI
) -> None:
    def ask(text: str) -> str:
        answer = client.chat.completions.with_raw_response.create(
            model="liked",
            messages=[{"role": "user", "content": text}],
            extra_body={"santral": {"session": "s-retry"}},
        )
        return answer.headers["x-santral-trace-id"]

    first = ask("When does the office open?")
    ask("when does the office open??")
    (score,) = scores_of(gateway, first, 1)
    assert (score["name"], score["source"]) == ("retry", "implicit")


def test_a_held_answer_is_released_by_a_reviewer_and_fetched(
    gateway: Santral, client: openai.OpenAI
) -> None:
    settings = {"labels": [{"name": "correct"}], "rules": [{"kind": "held"}]}
    gateway.admin(
        "/api/review/queues",
        {"tenant_id": "default", "name": "waiting", "settings": settings},
    )
    with pytest.raises(openai.APIStatusError) as refusal:
        client.with_options(max_retries=3).chat.completions.create(model="careful", messages=HELLO)
    assert refusal.value.status_code == 423
    assert refusal.value.code == "held_for_review"
    held_id = refusal.value.response.headers["x-santral-held-id"]
    waiting: Any = client.get(f"/held/{held_id}", cast_to=object)
    assert waiting["status"] == "waiting"

    queue = "/api/review/queues/waiting"

    def take() -> dict[str, Any] | None:
        return gateway.admin(f"{queue}/next", {"tenant_id": "default"})["item"]

    item = wait_until(take, 20)
    item_id = item.get("id") or item["item_id"]
    gateway.admin(
        f"{queue}/items/{item_id}/submit", {"tenant_id": "default", "decision": "release"}
    )
    released: Any = client.get(f"/held/{held_id}", cast_to=object)
    assert released["status"] == "released"
    answer = ChatCompletion.model_validate(released["response"])
    assert answer.choices[0].message.content
    trace = gateway.trace(released["trace_id"])
    assert (trace["status"], trace["error"]) == (423, "held_for_review")


@pytest.mark.parametrize("stream", [False, True])
def test_anthropics_client_hears_of_a_held_answer_once(gateway: Santral, stream: bool) -> None:
    client = anthropic.Anthropic(base_url=gateway.gateway, api_key=gateway.key, max_retries=3)
    with client, pytest.raises(anthropic.APIStatusError) as refusal:
        client.messages.create(model="careful", messages=HELLO, max_tokens=20, stream=stream)
    assert refusal.value.status_code == 423
    body: Any = refusal.value.body
    assert body["error"]["code"] == "held_for_review"
    held_id = refusal.value.response.headers["x-santral-held-id"]
    with gateway.client() as made:
        asked: Any = made.get(f"/held/{held_id}", cast_to=object)
    assert asked["status"] == "waiting"
