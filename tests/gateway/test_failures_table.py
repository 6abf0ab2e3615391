"""Every fault of a provider against every behaviour of the gateway, over real sockets.

The rows are those of docs/generator/fault_table.py, of which docs/reference/faults.md is made: a
page that says anything else than what happens fails here.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.conftest import Santral
from tests.stream_checker import check_chat_stream, text_of
from tests.upstream import Upstream

from santral.routing.health import BREAKER_STATES

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))  # the table lives beside the page that is made of it

table = importlib.import_module("generator.fault_table")
page = importlib.import_module("generator.faults")

pytestmark = pytest.mark.journey

#: What is tried with each fault: a deployment of its own for each, so that no breaker is shared.
SCENES = ("whole", "stream", "or-whole", "or-stream", "three")
HEAD = """
[server]
port = 0
[control]
port = 0
[log]
level = "error"
[telemetry]
collect_every_s = 0.1
[providers.scripted]
kind = "openai-compatible"
base_url = "{base_url}"
[providers.nowhere]
kind = "openai-compatible"
base_url = "http://127.0.0.1:1/v1"
[deployments.spare]
provider = "scripted"
model = "ok"
"""
DEPLOYMENT = """
[deployments.{name}]
provider = "{provider}"
model = "{model}"
backoff_s = 0.01
max_backoff_s = 1.2
retries = {retries}
timeouts = {{ connect_s = 1.0, first_delta_s = 0.4, between_deltas_s = 0.4, total_s = 1.4 }}
[routes.r-{name}]
ladder = [{{ deployments = {{ {name} = 1 }} }}{spare}]
"""
#: Routes on which we close a provider before it has ended.
CLOSED = """
[deployments.silent]
provider = "scripted"
model = "stalled-start#hedged"
[deployments.talkative]
provider = "scripted"
model = "paced:5#stopped"
emulate_stop = true
[deployments.trailing]
provider = "scripted"
model = "trailing"
[routes.hedged]
ladder = [{ deployments = { silent = 1 } }, { deployments = { spare = 1 } }]
hedge = { after = 0.05, max_extra_share = 1.0 }
[routes.stopped]
ladder = [{ deployments = { talkative = 1 } }]
[routes.json]
ladder = [{ deployments = { trailing = 1 } }]
early_end = true
"""
SPARE = ", { deployments = { spare = 1 } }"


def name_of(model: str, scene: str) -> str:
    return f"{model.replace(':', '-')}.{scene}"


def configuration(base_url: str) -> str:
    parts = [HEAD.format(base_url=base_url)]
    for fault in table.FAULTS:
        for scene in SCENES:
            name = name_of(fault.model, scene)
            text = DEPLOYMENT.format(
                name=name,
                model=f"{fault.model}#{scene}",
                provider="nowhere" if fault.model == "nowhere" else "scripted",
                retries=0 if scene == "three" else 1,
                spare=SPARE if scene.startswith("or-") else "",
            )
            for table_name in ("deployments", "routes"):
                text = text.replace(f"[{table_name}.{name}]", f'[{table_name}."{name}"]')
            text = text.replace(f"[routes.r-{name}]", f'[routes."r-{name}"]')
            parts.append(text.replace(f"{{ {name} = 1 }}", f'{{ "{name}" = 1 }}'))
    return "\n".join([*parts, CLOSED])


class Seen:
    """What came back for one scene."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.trace: dict[str, Any] = {}

    @property
    def told(self) -> str:
        """What the caller sees, in words."""
        if self.status != 200:
            error = json.loads(self.body)["error"]
            hint = ", retry-after" if "retry-after" in self.headers else ""
            return f"{self.status} {error['code']}{hint}"
        if self.is_stream:
            last = check_chat_stream(self.body)[-1]
            if "error" in last:
                return f"content, then the event {last['error']['code']}"
        return "the answer" if self.text in _ANSWERS else f"the text {self.text!r}"

    @property
    def is_stream(self) -> bool:
        return self.headers["content-type"].startswith("text/event-stream")

    @property
    def text(self) -> str:
        """What the model said."""
        if self.is_stream:
            return text_of(check_chat_stream(self.body))
        return json.loads(self.body)["choices"][0]["message"]["content"]

    @property
    def attempts(self) -> list[dict[str, Any]]:
        return self.trace["attempts"]

    def made(self) -> str:
        """The attempts and their errors."""
        return ", ".join(
            " ".join(filter(None, [a.get("purpose", ""), a.get("error") or "ok"]))
            for a in self.attempts
        )

    def billed(self) -> str:
        """What the failed attempts cost."""
        used = [a["usage"] for a in self.attempts if a.get("error") and a.get("usage")]
        if not any(_tokens(usage) for usage in used):
            return "nothing"
        assert all(usage.get("is_estimated") for usage in used if _tokens(usage))
        return "input and what came, estimated"


def _tokens(usage: dict[str, Any]) -> int:
    return sum(n for n in usage.values() if isinstance(n, int) and not isinstance(n, bool))


#: What the scripted provider says when it answers.
_ANSWERS = ("You asked: Hello", "All there.")


def play(santral: Santral, model: str, scene: str) -> Seen:
    body = santral.chat(f"r-{name_of(model, scene)}", stream=scene.endswith("stream"))
    return Seen(*santral.post(body))


def breaker_after_three(santral: Santral, model: str) -> str:
    """Return the state of a breaker right after three calls that were not retried.

    Nothing where some were answered: then it depends on the time between them.
    """
    statuses = {play(santral, model, "three").status == 200 for _ in range(3)}
    if len(statuses) == 2:
        return ""
    _, _, text = santral.get(f"{santral.gateway}/metrics")
    begin = f'santral_breaker_state{{deployment="{name_of(model, "three")}"}} '
    (line,) = (line for line in text.decode().splitlines() if line.startswith(begin))
    return _STATES[int(float(line.removeprefix(begin)))]


_STATES = {number: state.replace("_", " ") for state, number in BREAKER_STATES.items()}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture(scope="module")
def santral(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Santral]:
    running = Santral(tmp_path_factory.mktemp("faults"), configuration(upstream.base_url))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def observed(santral: Santral) -> dict[str, Any]:
    """Play every scene of every fault at once; return the rows that they make."""
    return rows(santral)


def rows(santral: Santral) -> dict[str, Any]:
    models = [fault.model for fault in table.FAULTS]
    with ThreadPoolExecutor(max_workers=24) as pool:
        scenes = {
            (model, scene): pool.submit(play, santral, model, scene)
            for model in models
            for scene in SCENES[:-1]
        }
        breakers = {model: pool.submit(breaker_after_three, santral, model) for model in models}
        seen = {key: future.result() for key, future in scenes.items()}
        states = {model: future.result() for model, future in breakers.items()}
    for found in (found for (_, scene), found in seen.items() if scene == "stream"):
        found.trace = santral.trace(found.headers["x-santral-trace-id"])
    return {fault.model: row(fault, seen, states) for fault in table.FAULTS}


def row(fault: Any, seen: dict[tuple[str, str], Seen], states: dict[str, str]) -> Any:
    whole, stream, or_whole, or_stream = (seen[fault.model, scene] for scene in SCENES[:-1])
    return fault._replace(
        whole=whole.told,
        stream=stream.told,
        attempts=stream.made(),
        other=" / ".join(dict.fromkeys([_by(or_whole), _by(or_stream)])),
        billed=stream.billed(),
        breaker=states[fault.model],
    )


def _by(seen: Seen) -> str:
    is_other = seen.headers.get("x-santral-deployment") == "spare" and seen.status == 200
    return f"{seen.told} of the other" if is_other else seen.told


@pytest.mark.parametrize("fault", table.FAULTS, ids=[fault.model for fault in table.FAULTS])
def test_a_fault_does_what_the_table_says(fault: Any, observed: dict[str, Any]) -> None:
    assert observed[fault.model] == fault


def test_the_page_is_made_of_the_table() -> None:
    written = (ROOT / "docs/reference/faults.md").read_text(encoding="utf-8")
    assert written == page.faults_page(), "run: python docs/generate.py"


def test_every_form_of_retry_hint_and_every_kind_of_fault_is_in_the_table() -> None:
    models = {fault.model for fault in table.FAULTS}
    assert {"busy", "busy:ms", "busy:s", "busy:float", "busy:date"} <= models
    assert {"slow:800", "stalled-start", "stalled-middle", "cut-middle", "failed"} <= models
    assert {"garbled-json", "error-inside"} <= models


QUESTION = f"one two three{' and so on' * 40}"
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@both_ways
@pytest.mark.parametrize(
    ("route", "model", "fields", "answer"),
    [
        ("hedged", "stalled-start#hedged", {}, f"You asked: {QUESTION}"),
        ("stopped", "paced:5#stopped", {"stop": ["three"]}, "You asked: one two "),
        ("json", "trailing", {"response_format": {"type": "json_object"}}, '{"a": 1}'),
    ],
)
def test_a_provider_that_is_not_needed_any_more_is_closed_within_a_second(
    santral: Santral,
    upstream: Upstream,
    route: str,
    model: str,
    fields: dict[str, Any],
    answer: str,
    stream: bool,
) -> None:
    before = len(upstream.asked(model))
    seen = Seen(*santral.post(santral.chat(route, QUESTION, stream=stream, **fields)))
    assert seen.text == answer
    (asked,) = upstream.asked(model)[before:]
    assert asked.left.wait(1), "the provider's connection stayed open"
    trace = santral.trace(seen.headers["x-santral-trace-id"])
    closed = next(a for a in trace["attempts"] if a["model"] == model)
    assert closed["usage"]["is_estimated"] is True
    assert closed["usage"]["input_uncached"] > 0
