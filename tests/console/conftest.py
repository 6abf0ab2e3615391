"""A console with sample traces behind it, served from a thread."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, sync_playwright

from santral.app.authority import Authority
from santral.app.control import _answer_error  # pyright: ignore[reportPrivateUsage]
from santral.app.retrieval import opened_retrieval
from santral.app.sign_in import build_sign_in
from santral.config.schema import Config
from santral.console.pages import console_router
from santral.db.engine import connect
from santral.db.migrate import migrate
from santral.errors import SantralError
from santral.quota.api import limits_router
from santral.tenants.api import tenants_router
from santral.tenants.issue import KeyTerms, create_key, ensure_first_keys
from santral.tenants.operator import local_operator
from santral.traces.question import Progress
from santral.traces.record import (
    AttemptRecord,
    Payload,
    SourceRecord,
    SpanRecord,
    TraceRecord,
    VerdictRecord,
)
from santral.traces.store import TraceStore, epoch_us
from santral.wire.usage import Usage

Answer = TypeVar("Answer")
CHROMIUM = Path("/usr/bin/chromium")
HOSTILE = "<script>window.hit=1</script><img src=//evil.test/x onerror=window.hit=2>{{7*7}}\u202e"


class RunningConsole:
    """The console on a free port, in a thread with its own loop and store."""

    def __init__(
        self,
        folder: Path,
        records: Sequence[TraceRecord] = (),
        settings: Any = None,
        *,
        is_searching: bool = False,
    ) -> None:
        self._is_searching = is_searching
        self._exits = AsyncExitStack()
        self.store = TraceStore(Path(":memory:"))
        self.engine = connect(f"sqlite:///{folder}/santral.db")
        self.now = time.time  # a test may put another clock here
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.config = Config.model_validate(settings(self.url) if settings else {})
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._started.wait(20)
        self.put(*records)

    def do(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Run something on the console's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def key(self, role: str | None = "owner", over: str = "*", tenant: str = "default") -> str:
        """Return a new key that may sign in."""
        terms = KeyTerms(role=role, role_over=over) if role else KeyTerms()  # pyright: ignore[reportArgumentType]
        made = create_key(
            self.engine, secrets.token_bytes, tenant, f"{role} over {over}", datetime.now(UTC),
            by=local_operator(), terms=terms,
        )  # fmt: skip
        return self.do(made).plaintext

    def client(self, role: str = "owner", over: str = "*") -> Client:
        """Return a browser without a window that is signed in."""
        answer = httpx.post(f"{self.url}/sign-in", data={"key": self.key(role, over)})
        assert answer.status_code == 303, answer.text
        made = Client(self.url)
        made.cookies.update(answer.cookies)
        return made

    def put(self, *records: TraceRecord) -> None:
        self.do(self.store.insert(records, Progress(segment="s")))

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(self._start())
        self._started.set()
        self._loop.run_until_complete(server.serve(sockets=[self._socket]))
        self._loop.run_until_complete(self._exits.aclose())
        self._loop.run_until_complete(self.store.close())
        self._loop.run_until_complete(self.engine.dispose())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _start(self) -> uvicorn.Server:
        await migrate(self.engine)
        first = await ensure_first_keys(self.engine, secrets.token_bytes)
        assert first is not None
        self.admin_key, self.app_key = first.admin.plaintext, first.application.plaintext
        self.retrieval = None
        if self._is_searching:
            opened = opened_retrieval(self.config, self.engine)
            self.retrieval = await self._exits.enter_async_context(opened)
        sign_in = build_sign_in(self.config)
        authority = Authority(self.engine, self.config, lambda: self.now(), sign_in)
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        self.router = console_router(
            self.engine, self.store, self.config,
            identify=authority.identify, origin=authority.origin, sign_in=sign_in,
            clock=lambda: self.now(), retriever=self.retrieval and self.retrieval.retriever,
        )  # fmt: skip
        app.include_router(self.router)
        app.include_router(tenants_router(self.engine, authority))
        app.include_router(limits_router(self.engine, authority))
        app.add_exception_handler(SantralError, _answer_error)
        options: dict[str, Any] = {"log_level": "critical", "lifespan": "off", "ws": "none"}
        self._server = uvicorn.Server(uvicorn.Config(app, **options))
        return self._server


class Client(httpx.Client):
    """A browser without a window: it sends a form with the word of its session, as a page does."""

    def __init__(self, url: str) -> None:
        super().__init__(base_url=url)

    def send_form(self, path: str, **fields: Any) -> httpx.Response:
        page = self.get("/api/docs").text
        found = re.search(r'name="form_token" value="([0-9a-f]{64})"', page)
        return self.post(path, data={"form_token": found[1] if found else "", **fields})


@pytest.fixture(scope="module")  # its loop runs as long as it: async tests come after it
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing = "needs chromium: apt-get install -y chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking",
               "--disable-component-update", "--disable-sync", "--no-first-run"]  # fmt: skip
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=options)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    """Return a console over a day of sample traces."""
    folder = tmp_path_factory.mktemp("console")
    running = RunningConsole(folder, sample_records(240, epoch_us()))
    yield running
    running.stop()


@pytest.fixture
def empty_console(tmp_path: Path) -> Iterator[RunningConsole]:
    """Return a console without any trace."""
    running = RunningConsole(tmp_path)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def make_sample() -> Any:
    return sample_record


def sample_records(
    count: int, now_us: int, spread_us: int = 20 * 3600 * 10**6
) -> list[TraceRecord]:
    rng = Random(7)
    moments = sorted((rng.random() ** 1.6 for _ in range(count)), reverse=True)
    return [
        sample_record(n, now_us - int(ago * spread_us) - 2_000_000) for n, ago in enumerate(moments)
    ]


def sample_record(
    number: int, started_at_us: int, outcome: str = "", **changes: Any
) -> TraceRecord:
    """Return a request as a gateway with everything on records it; ``outcome`` is by chance."""
    rng = Random(number)
    [drawn] = rng.choices(
        ["ok", "cache", "refused", "quota", "fallback", "down"], [70, 12, 6, 4, 6, 2]
    )
    fields = _ok(number, rng)
    fields.update({"started_at_us": started_at_us}, **_OUTCOMES[outcome or drawn](fields, rng))
    return TraceRecord(**{**fields, **changes})


def _ok(number: int, rng: Random) -> dict[str, Any]:
    before = rng.randrange(2_000, 9_000)
    attempt_us = int(rng.lognormvariate(13.6, 0.7))
    ttft = before + min(attempt_us // 2, int(rng.lognormvariate(12, 0.5)))
    usage = Usage(
        input_uncached=rng.randrange(300, 2200),
        cache_read=rng.choice([0, 0, 512]),
        output_text=rng.randrange(20, 400),
        reasoning=rng.choice([0, 0, 0, 120]),
    )
    cost = usage.total_tokens * 1400
    attempt = AttemptRecord(
        number=1,
        deployment="gpt-main",
        provider="openai",
        model="gpt-5.1-mini",
        start_us=before,
        duration_us=attempt_us,
        ttft_us=ttft - before,
        finish_reason="stop",
        usage=usage,
        cost_nanousd=cost,
        price_version="2026-11-01",
        upstream_status=200,
    )
    total = before + attempt_us + 1800
    return {
        "trace_id": f"{rng.getrandbits(128):032x}",
        "request_id": f"req_{number:06x}",
        "tenant_id": rng.choices(["default", "acme", "globex"], [6, 3, 1])[0],
        "key_id": "key_7Qk2",
        "route": rng.choices(["support", "search", "summaries"], [6, 3, 1])[0],
        "requested_model": "support",
        "duration_us": total,
        "status": 200,
        "is_streaming": True,
        "ttft_us": ttft,
        "finish_reason": rng.choices(["stop", "length"], [12, 1])[0],
        "deployment": "gpt-main",
        "provider": "openai",
        "model": "gpt-5.1-mini",
        "usage": usage,
        "cost_nanousd": cost,
        "price_version": "2026-11-01",
        "cache": "miss",
        "prompt": "support-answer",
        "prompt_version": rng.choice(["1.2.0", "1.3.0"]),
        "experiment": "tone",
        "variant": rng.choice(["plain", "warm"]),
        "session": f"s-{number % 40}",
        "user": f"u-{number % 60}",
        "config_hash": "9b1d2f0c77aa4410",
        "tags": {"app": "help-centre"},
        "spans": _spans(before, attempt_us, total),
        "attempts": [attempt],
        "verdicts": _verdicts(rng),
        "sources": _sources(),
        "payload": Payload(request=_REQUEST, response=_RESPONSE),
    }


def _spans(before: int, attempt_us: int, total: int) -> list[SpanRecord]:
    root = "00000000000000a0"
    steps: list[tuple[str, int, int, dict[str, Any]]] = [
        ("quota", 120, 90, {"santral.quota.tokens": 4610}),
        ("input_guard", 240, 610, {}),
        ("compose", 870, 180, {"gen_ai.prompt.name": "support-answer"}),
        ("retrieve", 1080, before - 1300, {"gen_ai.data_source.id": "docs"}),
        ("generate", before - 60, attempt_us + 900, {"santral.cache": "miss"}),
        ("validate_output", before + attempt_us + 900, 700, {}),
    ]
    return [
        SpanRecord(id=root, name="request", start_us=0, duration_us=total),
        *[
            SpanRecord(
                id=f"{n + 1:016x}",
                parent_id=root,
                name=name,
                start_us=start,
                duration_us=max(40, takes),
                attributes=attributes,
            )
            for n, (name, start, takes, attributes) in enumerate(steps)
        ],
    ]


def _verdicts(rng: Random) -> list[VerdictRecord]:
    found = rng.choice([0, 0, 1, 2])
    return [
        VerdictRecord(
            check="pii",
            place="input",
            verdict="found" if found else "passed",
            action="mask" if found else "allow",
            reason="email, phone" if found else "",
            count=found,
            duration_us=184,
        ),
        VerdictRecord(
            check="injection", place="input", verdict="passed", action="allow", duration_us=96
        ),
        VerdictRecord(
            check="citations",
            place="output",
            verdict=rng.choices(["passed", "found"], [9, 1])[0],
            action="report",
            duration_us=210,
        ),
    ]


def _sources() -> list[SourceRecord]:
    return [
        SourceRecord(
            number=1,
            chunk_id="c1",
            document="handbook/returns.md",
            section="Returns > Within 30 days",
            score=0.871,
            is_cited=True,
        ),
        SourceRecord(
            number=2, chunk_id="c2", document="policy.pdf", section="Refunds", page=4, score=0.644
        ),
        SourceRecord(
            number=3,
            chunk_id="c3",
            document="el-kitabi.md",
            section="İade",
            score=0.612,
            is_cited=True,
        ),
    ]


def _cached(fields: dict[str, Any], rng: Random) -> dict[str, Any]:
    return {
        "cache": "hit",
        "attempts": [],
        "cost_nanousd": 0,
        "usage": None,
        "duration_us": 1900,
        "ttft_us": 1700,
        "spans": fields["spans"][1:4],
        "deployment": "",
    }


def _refused(fields: dict[str, Any], rng: Random) -> dict[str, Any]:
    verdict = VerdictRecord(
        check="injection",
        place="input",
        verdict="found",
        action="refuse",
        reason="asks to ignore the instructions",
        count=1,
        duration_us=130,
    )
    return {
        **_nothing(fields),
        "status": 400,
        "error": "guardrail_refused",
        "verdicts": [fields["verdicts"][0], verdict],
    }


def _nothing(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "attempts": [],
        "usage": None,
        "cost_nanousd": None,
        "duration_us": 1100,
        "ttft_us": None,
        "finish_reason": "",
        "deployment": "",
        "cache": "off",
        "sources": [],
        "spans": fields["spans"][1:3],
        "payload": None,
    }


def _quota(fields: dict[str, Any], rng: Random) -> dict[str, Any]:
    return {**_nothing(fields), "status": 429, "error": "rate_limit_exceeded", "verdicts": []}


def _fallback(fields: dict[str, Any], rng: Random) -> dict[str, Any]:
    good: AttemptRecord = fields["attempts"][0]
    failed = AttemptRecord(
        number=1,
        deployment="gpt-main",
        provider="openai",
        model="gpt-5.1-mini",
        start_us=good.start_us,
        duration_us=240_000,
        error="provider_failed",
        upstream_status=503,
    )
    second = AttemptRecord(
        number=2,
        deployment="extractive",
        provider="local",
        model="extractive",
        start_us=good.start_us + 241_000,
        duration_us=good.duration_us,
        finish_reason="stop",
        usage=good.usage,
        cost_nanousd=None,
    )
    return {
        "attempts": [failed, second],
        "is_degraded": True,
        "deployment": "extractive",
        "cost_nanousd": None,
        "duration_us": fields["duration_us"] + 241_000,
    }


def _down(fields: dict[str, Any], rng: Random) -> dict[str, Any]:
    return {
        **_nothing(fields),
        "status": 504,
        "error": "provider_timeout",
        "duration_us": 5_012_000,
    }


_OUTCOMES: dict[str, Any] = {
    "ok": lambda fields, rng: {},
    "cache": _cached,
    "refused": _refused,
    "quota": _quota,
    "fallback": _fallback,
    "down": _down,
}
_REQUEST = (
    '[{"role": "system", "content": "You answer customers of the shop from the numbered passages. '
    'Cite them. Say so when they do not hold the answer."}, {"role": "user", "content": "How long do I '
    'have to send a lamp back? My e-mail is [EMAIL_1]. Türkçe de yanıtlayabilirsiniz."}]'
)
_RESPONSE = (
    "You have 30 days from delivery to send it back, unused and in its box [1]. "
    "İade süresi teslimden itibaren 30 gündür [3]. Passage [9] does not exist."
)
