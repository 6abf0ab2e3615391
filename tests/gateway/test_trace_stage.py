"""What is kept of a request: its outcome always, its text only masked, its secrets never."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from tests.gateway.conftest import configuration
from tests.gateway.worker import KEY, NARROW_KEY, Worker, saying

from santral.config.schema import TelemetryConfig
from santral.errors import ConfigError, ProviderFailed
from santral.gateway.dialects.chat import ChatDialect
from santral.gateway.stages.trace import build_record
from santral.tenants.key import new_key
from santral.wire.delta import ChoiceDelta, Source

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MAIL = "ayse@example.com"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b'{"model":"plain"}', 400, "invalid_request"),
        (b'{"model":"nobody","messages":[]}', 404, "model_not_found"),
        (b'{"model":"plain","messages":[]}', 400, "bad_request"),
        (b'{"model":"plain","messages":[],"santral":{"promt":1}}', 400, "unknown_extra"),
    ],
)
def test_a_request_that_cannot_be_answered_is_recorded_with_its_reason(
    worker: Worker, body: bytes, status: int, code: str
) -> None:
    answer = worker.post(body)
    assert (answer.status, answer.error["code"]) == (status, code)
    assert (worker.record.status, worker.record.error) == (status, code)
    assert answer.headers["x-santral-trace-id"] == worker.record.trace_id
    assert worker.record.spans[0].error == code


def test_a_key_may_use_its_routes_alone(worker: Worker) -> None:
    answer = worker.ask("ladder", key=NARROW_KEY.plaintext)
    assert (answer.status, answer.error["code"]) == (403, "not_allowed")
    hint = worker.ask("ladde", key=NARROW_KEY.plaintext).error["message"]
    assert "ladder" not in hint, "names it may not use are not told"
    listed = worker.post(b"", key=NARROW_KEY.plaintext, path="/v1/models", method="GET").json
    assert [model["id"] for model in listed["data"]] == ["plain"]


@pytest.mark.parametrize("route", ["in-refuse", "in-mask", "plain"])
def test_text_that_was_never_masked_is_not_kept(worker: Worker, route: str) -> None:
    worker.ask(route, f"I am {MAIL}")
    payload = worker.record.payload
    if route == "in-refuse":
        assert payload is None
    else:
        assert payload is not None
        assert (MAIL in payload.request) == (route == "plain")


def test_what_is_refused_before_the_guard_is_kept_without_text(worker: Worker) -> None:
    answer = worker.ask("strict", f"I am {MAIL}", max_tokens=80)
    assert answer.status == 400
    assert worker.record.payload is None
    assert MAIL.encode() not in worker.spooled[0]


@pytest.mark.parametrize("size", range(1990, 2004))
def test_a_payload_is_cut_between_characters(worker: Worker, size: int) -> None:
    worker.provider.will(saying(ChoiceDelta(text="x" * (size % 3) + "ğ€" * 600)))
    worker.ask(content="y" * (size - 1980) + "ş" * 2000)
    payload = worker.record.payload
    assert payload is not None
    for text in (payload.request, payload.response):
        kept, mark, rest = text.partition("… [cut: ")
        assert mark
        assert rest.endswith(" bytes in all]")
        assert 1996 < len(kept.encode()) <= 2000
        assert "\ufffd" not in kept


def test_payloads_can_be_switched_off_and_cut_to_nothing(worker: Worker) -> None:
    trace = worker.process.app._desk.stages.trace
    before = trace.telemetry
    try:
        trace.telemetry = TelemetryConfig(payloads="none")
        worker.ask()
        assert worker.record.payload is None
        trace.telemetry = TelemetryConfig(max_payload_bytes=0)
        worker.ask(content="Hello")
        payload = worker.records[-1].payload
        assert payload is not None
        assert "Hello" not in payload.request
    finally:
        trace.telemetry = before


def test_the_callers_trace_goes_on_to_the_provider(worker: Worker) -> None:
    worker.ask(headers=[(b"traceparent", TRACEPARENT.encode())])
    record, sent = worker.record, worker.provider.asked[0].call.traceparent
    assert record.caller_trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert record.parent_span_id == "b7ad6b7169203331"
    assert record.trace_id != record.caller_trace_id
    assert sent.split("-")[1:3] == [record.caller_trace_id, record.spans[0].id]


def test_prompt_experiment_session_and_sources_are_recorded(worker: Worker) -> None:
    sources = [Source(number=n, chunk_id=f"c{n}", document="d", text="Text.") for n in (1, 2)]
    worker.find(*sources)
    worker.provider.will(saying(ChoiceDelta(text="So it is [2].")))
    worker.ask("found-plain", santral={"session": "s1", "user": "u1", "tags": {"a": "b"}})
    record = worker.record
    assert [(s.number, s.is_cited) for s in record.sources] == [(1, False), (2, True)]
    assert (record.session, record.user, record.tags) == ("s1", "u1", {"a": "b"})
    told = worker.provider.asked[0].fields["messages"]
    assert "<source number=" in told[0]["content"]
    worker.ask("prompted", santral={"prompt": {"name": "greeter", "variables": {"name": "Ayşe"}}})
    assert (worker.records[-1].prompt, worker.records[-1].prompt_version) == ("greeter", "1.0.0")
    assert worker.provider.asked[-1].fields["messages"][0]["content"] == "Greeting for Ayşe."
    variants = set()
    for number in range(20):
        worker.ask("tried", santral={"session": f"s{number}"})
        variants.add(worker.records[-1].variant)
        assert (worker.records[-1].prompt == "greeter") == (
            variants and worker.records[-1].variant == "a"
        )
    assert variants == {"a", "b"}


def test_a_local_answer_in_a_models_place_is_degraded(worker: Worker) -> None:
    worker.find(Source(number=1, chunk_id="c", document="d", text="The office opens at nine."))
    worker.provider.will([ProviderFailed("no")])
    answer = worker.ask("or-local", "When does the office open?")
    assert answer.status == 200
    assert worker.record.is_degraded
    assert worker.record.provider == "local"
    assert worker.record.attempts[0].error == "provider_failed"


def test_a_request_without_routes_or_calls_still_makes_a_record(worker: Worker) -> None:
    headers = {b"authorization": f"Bearer {KEY.plaintext}".encode()}
    ctx = worker.process.app._desk.new_context({}, headers, ChatDialect(), "conversations")
    record = build_record(ctx, 408, "request_timeout", TelemetryConfig())
    assert (record.route, record.requested_model, record.cost_nanousd) == ("", "", 0)


def test_other_endpoints(worker: Worker) -> None:
    app = worker.process.current

    def get(path: str, method: str = "GET") -> tuple[int, bytes]:
        answer = worker.post(b"", path=path, method=method, key="")
        return answer.status, answer.body

    assert get("/health/live") == (200, b'{"status":"live"}')
    assert get("/health/ready") == (200, b'{"status":"ready","reasons":[]}')
    app.is_draining = True
    try:
        assert get("/health/ready")[0] == 503
    finally:
        app.is_draining = False
    assert b"Did you mean '/v1/models'?" in get("/v1/model")[1]
    assert get("/v1/models", "PUT")[0] == 405
    assert get("/v1/models")[0] == 401
    assert b"santral_in_flight" in get("/metrics")[1]


def test_a_secret_given_to_santral_is_found_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """DESIGN rule 4: in headers, as a provider's key and in settings."""
    caplog.set_level(logging.DEBUG)
    canary = "canary-1f3c9a7e55d0"
    monkeypatch.setenv("CANARY", canary)
    (tmp_path / "prompts" / "greeter").mkdir(parents=True)
    (tmp_path / "prompts" / "greeter" / "1.0.0.md").write_text("+++\n+++\n## system\nHi.\n")
    (tmp_path / "prompts" / "greeter" / "labels.toml").write_text('production = "1.0.0"\n')
    (tmp_path / "schema.json").write_text("{}")
    (tmp_path / "prices.toml").write_text('version = "1"\ncurrency = "USD"\nprice = []\n')
    text = configuration().replace(
        'base_url = "http://127.0.0.1:1/v1"',
        'base_url = "http://127.0.0.1:1/v1"\napi_key = "env:CANARY"\n'
        f'headers = {{ x-other = "{canary}" }}',
    )
    worker = Worker(tmp_path, text)
    unknown = new_key(lambda n: (canary * 9).encode()[:n]).plaintext
    seen: list[bytes] = []
    try:
        for key in (canary, f"sk-santral-{canary}", unknown, KEY.plaintext[:-1] + "!"):
            for stream in (False, True):
                answer = worker.ask(key=key, stream=stream)
                assert answer.status == 401
                seen += [answer.body, repr(answer.headers).encode()]
        for steps in ([ProviderFailed("no")], [ZeroDivisionError()]):
            worker.provider.will(steps)
            for extra in ([(b"x-api-key", canary.encode())], [(b"x-mine", canary.encode())]):
                answer = worker.ask(headers=extra)
                assert answer.status >= 500
                seen += [answer.body, repr(answer.headers).encode()]
        seen += [
            worker.process.metrics.render().encode(),
            repr(worker.process.current.snapshot.config)
            .encode()
            .replace(f"'x-other': '{canary}'".encode(), b""),  # written in clear by the operator
            *worker.spooled,
            *(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()),
        ]
    finally:
        worker.close()
    logs = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    for hidden in (canary, unknown, KEY.plaintext):
        assert all(hidden.encode() not in text for text in seen)
        assert hidden not in logs
    assert all(KEY.plaintext.encode() not in text for text in seen)
    assert len(worker.records) == 4


def test_a_configuration_that_cannot_be_compiled_names_the_place(tmp_path: Path) -> None:
    good = "[routes.a]\nladder = [{ deployments = { extractive = 1 } }]\n"
    (tmp_path / "bad.json").write_text("[1]")
    for line, said in (
        ('prompt = "nobody"', "routes.a.prompt"),
        ('output_schema = "bad.json"', "routes.a.output_schema"),
        ('output_schema = "none.json"', "No such file"),
    ):
        with pytest.raises(ConfigError, match=said):
            Worker(tmp_path, good + line)
    stub = '[providers.s]\nkind = "openai-compatible"\nbase_url = "http://127.0.0.1:1"\n'
    priced = f'{stub}[deployments.d]\nprovider = "s"\nmodel = "m"\n[prices]\nunknown = "refuse"\n'
    with pytest.raises(ConfigError, match=r"deployments\.d: the price of 'm' is unknown"):
        Worker(tmp_path, priced)
