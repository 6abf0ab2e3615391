"""Providers' own batches: half the price, the same checks, each request billed once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from tests.batch_upstream import BatchUpstream
from tests.journeys.conftest import Santral, wait_until
from tests.journeys.test_batches import begin, ended, line, results

pytestmark = pytest.mark.journey

#: Dollars per 1,000 input and 100 output tokens in a batch, from the catalogue.
MODELS = {"openai": "gpt-5.2", "anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash"}


@pytest.fixture(scope="module")
def providers() -> Iterator[BatchUpstream]:
    with BatchUpstream() as running:
        yield running


def configuration(url: str) -> str:
    parts = [
        "[server]\nport = 0\ndrain_s = 2\n[control]\nport = 0\n[log]\nlevel = 'warning'\nformat = 'text'\n"
        "[telemetry]\ncollect_every_s = 0.1\n[batches]\nnative_poll_s = 0.2\n"
        '[policies.masked]\ninput = [{ check = "pii", action = "mask" }]\n'
        'output = [{ check = "pii", action = "mask" }]\n'
    ]
    for kind, model in MODELS.items():
        base = f"{url}/openai/v1" if kind == "openai" else f"{url}/{kind}"
        parts.append(
            f'[providers.{kind}]\nkind = "{kind}"\nbase_url = "{base}"\napi_key = "env:BATCH_KEY"\n'
            f'[deployments.d-{kind}]\nprovider = "{kind}"\nmodel = "{model}"\n'
            f'[routes.{kind}]\nladder = [{{ deployments = {{ "d-{kind}" = 1 }} }}]\npolicy = "masked"\n'
        )
    return "\n".join(parts)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, providers: BatchUpstream) -> Iterator[Santral]:
    """One installation for the tests that do not disturb it."""
    folder = tmp_path_factory.mktemp("native")
    running = Santral(folder, configuration(providers.url), {"BATCH_KEY": "sk-upstream-secret"})
    yield running
    running.stop()


@pytest.fixture
def own(tmp_path: Path, providers: BatchUpstream) -> Iterator[Santral]:
    running = Santral(tmp_path, configuration(providers.url), {"BATCH_KEY": "sk-upstream-secret"})
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def _fresh(providers: BatchUpstream) -> None:
    providers.batches.clear()
    providers.single.clear()


def traces(santral: Santral, *request_ids: str) -> dict[str, dict[str, Any]]:
    """The traces of requests, once all are stored."""

    def look() -> Any:
        page = santral.admin("/api/traces?limit=100")["traces"]
        found = {t["request_id"]: t for t in page if t["request_id"] in request_ids}
        return found if len(found) == len(request_ids) else None

    return wait_until(look, 10)


def test_batches_of_three_vendors_are_masked_cheaper_and_whole(
    shared: Santral, providers: BatchUpstream
) -> None:
    client = shared.client()
    for kind in MODELS:
        providers.batches.clear()
        providers.single.clear()
        said = f"Write to ayse@example.com about {kind}"
        lines = [
            line("plain", model=kind),
            line("masked", model=kind),
            line("fail", model=kind),
            line("busy", model=kind),
            line("lost", model=kind),
        ]
        lines[1]["body"]["messages"][0]["content"] = said
        done = ended(client, begin(client, *lines).id, 30)
        assert done.status == "completed"
        good, bad = results(client, done.output_file_id), results(client, done.error_file_id)
        answers = {
            name: entry["response"]["body"]["choices"][0]["message"]["content"]
            for name, entry in good.items()
        }
        assert answers["plain"] == "You asked: Question plain"
        assert answers["masked"] == f"You asked: Write to [EMAIL_1] about {kind}"
        # What the provider's batch did not answer was asked for one by one.
        assert answers["busy"] == answers["lost"] == "You asked: again"
        assert sorted(providers.single) == ["Question busy", "Question lost"]
        assert bad["fail"]["response"]["status_code"] == 400
        assert len(providers.batches) == 1
        assert "ayse@example.com" not in str(providers.batches)


def test_a_batch_costs_what_batches_cost(shared: Santral) -> None:
    client = shared.client()
    done = ended(client, begin(client, line("a", model="openai")).id, 30)
    name = results(client, done.output_file_id)["a"]["response"]["request_id"]
    raw = client.chat.completions.with_raw_response.create(
        model="openai", messages=[{"role": "user", "content": "b"}]
    )
    found = traces(shared, name, raw.headers["x-request-id"])
    # 1,000 in at 0.875 and 100 out at 7 dollars a million: half of gpt-5.2's 1.75 and 14
    assert found[name]["cost_nanousd"] == 875_000 + 700_000
    assert found[raw.headers["x-request-id"]]["cost_nanousd"] == 2 * (875_000 + 700_000)


def test_a_gateway_killed_while_the_provider_works_finds_its_batch_again(
    own: Santral, providers: BatchUpstream
) -> None:
    santral = own
    client = santral.client()
    batch = begin(client, *(line(str(number), model="openai") for number in range(5)))
    wait_until(lambda: providers.batches, 10)
    for process in santral.children("gateway"):
        os.kill(process, signal.SIGKILL)

    def answers() -> bool:
        try:
            return bool(client.batches.retrieve(batch.id))
        except openai.APIConnectionError:
            return False

    wait_until(answers, 10)
    done = ended(client, batch.id, 30)
    assert (done.status, done.request_counts.completed) == ("completed", 5)
    assert len(providers.batches) == 1, "the batch was begun twice"
    assert providers.single == []
    names = [r["response"]["request_id"] for r in results(client, done.output_file_id).values()]
    assert len(traces(santral, *names)) == 5


def test_a_provider_that_takes_no_batch_is_asked_one_by_one(
    shared: Santral, providers: BatchUpstream
) -> None:
    client = shared.client()
    providers.is_refusing = True
    try:
        done = ended(client, begin(client, line("a", model="openai")).id, 30)
    finally:
        providers.is_refusing = False
    assert (done.status, done.request_counts.completed) == ("completed", 1)
    assert providers.single == ["Question a"]


def test_the_upstream_key_is_in_no_log(shared: Santral, providers: BatchUpstream) -> None:
    client = shared.client()
    ended(client, begin(client, line("a", model="gemini")).id, 30)
    assert "sk-upstream-secret" in str(providers.headers)
    assert "sk-upstream-secret" not in shared.logs()
