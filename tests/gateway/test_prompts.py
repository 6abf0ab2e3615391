"""Prompts that tenants registered, through the whole request path of one worker."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.gateway.worker import Worker

from santral.app.prompts_file import prompts_file
from santral.prompts.file import content_hash
from santral.prompts.registry import Registered, StoredLabel, StoredVersion

TENANT = "acme"
RULES = "+++\n+++\n## system\nBe {word}.\n"
TRIAGE = """+++
[settings]
temperature = 0.5
[variables.ticket]
untrusted = true
[[tools]]
name = "find_order"
[tools.parameters]
type = "object"
+++
## system
You sort.
{% include "rules@live" %}
## user
{{ ticket }}
"""


def version(name: str, number: str, body: str, tenant: str = TENANT) -> StoredVersion:
    return StoredVersion(tenant, name, number, content_hash(body), body)


def everything(live: str | None = "1.0.0", *more: StoredVersion) -> Registered:
    labels = [] if live is None else [StoredLabel(TENANT, "rules", "live", live)]
    return Registered(
        [
            version("rules", "1.0.0", RULES.format(word="kind")),
            version("rules", "2.0.0", RULES.format(word="brief")),
            version("triage", "1.0.0", TRIAGE),
            version("secret", "1.0.0", RULES.format(word="silent"), "rival"),
            *more,
        ],
        [*labels, StoredLabel(TENANT, "triage", "production", "1.0.0")],
        {TENANT: None, "rival": None},
    )


def publish(worker: Worker, registered: Registered) -> None:
    """Write the workers' file as the parent does, and let the worker take its turn."""
    path = prompts_file(worker.loaded.config)
    path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_suffix(f".{os.getpid()}")
    making.write_bytes(msgspec.msgpack.encode(registered))
    making.replace(path)
    asyncio.run(worker.process._take_prompts())


@pytest.fixture
def registered(worker: Worker) -> Iterator[Worker]:
    publish(worker, everything())
    yield worker
    publish(worker, Registered())


def ask(worker: Worker, name: str, **more: str) -> list[dict[str, str]]:
    answer = worker.ask(
        "plain", santral={"prompt": {"name": name, "variables": {"ticket": "Hi"}, **more}}
    )
    assert answer.status == 200, answer.body
    return worker.provider.asked[-1].fields["messages"]


def test_a_registered_prompt_is_composed_with_what_it_includes(registered: Worker) -> None:
    messages = ask(registered, "triage")
    assert messages[0]["content"].startswith("You sort.\nBe kind.\n\nWhat stands between <data>")
    assert messages[1]["content"] == '<data name="ticket">\nHi\n</data>'
    fields = registered.provider.asked[-1].fields
    assert fields["temperature"] == 0.5
    assert [tool["function"]["name"] for tool in fields["tools"]] == ["find_order"]


def test_the_trace_says_version_label_and_hash(registered: Worker) -> None:
    ask(registered, "triage")
    record = registered.records[-1]
    assert (record.prompt, record.prompt_version) == ("triage", "1.0.0")
    span = next(span for span in record.spans if span.name == "compose")
    assert span.attributes["santral.prompt.label"] == "production"
    first = span.attributes["santral.prompt.hash"]
    publish(registered, everything("2.0.0"))
    assert "Be brief." in ask(registered, "triage", version="1.0.0")[0]["content"]
    span = next(span for span in registered.records[-1].spans if span.name == "compose")
    assert "santral.prompt.label" not in span.attributes
    assert span.attributes["santral.prompt.hash"] != first


def test_a_tool_of_the_callers_own_wins(registered: Worker) -> None:
    own = {"type": "function", "function": {"name": "find_order", "description": "mine"}}
    other = {"type": "function", "function": {"name": "other"}}
    registered.ask(
        "plain",
        tools=[own, other],
        santral={"prompt": {"name": "triage", "variables": {"ticket": "Hi"}}},
    )
    assert registered.provider.asked[-1].fields["tools"] == [own, other]


def test_a_label_that_was_taken_away_is_a_404_and_not_stale(registered: Worker) -> None:
    body = RULES.format(word="here")
    there = everything("1.0.0", version("greet", "1.0.0", body))
    labelled = StoredLabel(TENANT, "greet", "canary", "1.0.0")
    publish(registered, msgspec.structs.replace(there, labels=[*there.labels, labelled]))
    prompt = {"prompt": {"name": "greet", "label": "canary"}}
    assert registered.ask("plain", santral=prompt).status == 200
    publish(registered, there)
    refused = registered.ask("plain", santral=prompt)
    assert refused.status == 404
    assert refused.error["code"] == "prompt_not_found"


def test_another_tenants_prompt_is_not_found(registered: Worker) -> None:
    refused = registered.ask("plain", santral={"prompt": {"name": "secret"}})
    assert refused.status == 404
    assert "secret'" in refused.error["message"]
    assert "Did you mean" not in refused.error["message"]


def test_a_prompt_of_the_folder_wins_over_a_registered_one(registered: Worker) -> None:
    publish(registered, everything("1.0.0", version("greeter", "9.0.0", RULES.format(word="x"))))
    registered.ask("plain", santral={"prompt": {"name": "greeter"}})
    assert registered.records[-1].prompt_version == "1.0.0"


def test_one_that_cannot_be_linked_says_why_and_takes_no_other_with_it(registered: Worker) -> None:
    publish(registered, everything(None))
    refused = registered.ask(
        "plain", santral={"prompt": {"name": "triage", "variables": {"ticket": "Hi"}}}
    )
    assert refused.status == 404
    assert "triage@1.0.0 cannot be used" in refused.error["message"]
    assert registered.ask("plain", santral={"prompt": {"name": "rules"}}).status == 200
    assert "santral_prompts_unusable 1" in registered.process.metrics.render()


def test_a_file_that_cannot_be_read_leaves_the_last_prompts_in_force(
    registered: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    path: Path = prompts_file(registered.loaded.config)
    path.write_bytes(b"\xc1 torn")
    asyncio.run(registered.process._take_prompts())
    assert "prompts_not_read" in caplog.text
    assert "Be kind." in ask(registered, "triage")[0]["content"]


def test_a_prompt_never_raises_the_most_output_that_a_request_names(
    registered: Worker,
) -> None:
    """Limits reserve what the request names, by whichever name."""
    body = "+++\n[settings]\nmax_completion_tokens = 5000\n+++\n## system\nTell all.\n"
    publish(registered, everything("1.0.0", version("long", "1.0.0", body)))
    named = {"prompt": {"name": "long", "version": "1.0.0"}}
    registered.ask(santral=named)
    registered.ask(santral=named, max_tokens=10)
    free, bound = (asked.fields for asked in registered.provider.asked)
    assert free["max_completion_tokens"] == 5000
    assert (bound["max_tokens"], bound.get("max_completion_tokens")) == (10, None)
