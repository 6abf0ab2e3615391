"""The gateway that evaluations ask, in this process and at an address."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from tests.db.databases import anyio_backend, sqlite_template
from tests.upstream import Upstream

from santral.app.elsewhere import asked_server
from santral.app.evaluating import opened_gateway
from santral.config.load import LoadedConfig, load
from santral.db.engine import Engine, connect, reading, sqlite_url
from santral.errors import NotFound
from santral.evals.answer import Question
from santral.evals.example import ToolCall
from santral.tenants.store import list_tenants
from santral.tenants.tenant import TenantId
from santral.traces.record import TraceRecord, decode_record
from santral.traces.segment import read_frames

__all__ = ["anyio_backend", "sqlite_template"]

pytestmark = pytest.mark.anyio

DEFAULT = TenantId("default")
PROMPT = "+++\ndescription = 'x'\n[variables.tone]\n+++\n## system\nAnswer in a {{ tone }} tone.\n"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
def loaded(tmp_path: Path, upstream: Upstream) -> LoadedConfig:
    behaviours = ("ok", "tools", "failed", "slow")
    (tmp_path / "prompts" / "tone").mkdir(parents=True)
    (tmp_path / "prompts" / "tone" / "1.0.0.md").write_text(PROMPT)
    (tmp_path / "santral.toml").write_text(
        f'[providers.up]\nkind = "openai-compatible"\nbase_url = "{upstream.base_url}"\n'
        + "".join(
            f'[deployments.{name}]\nprovider = "up"\nmodel = "{name}"\nretries = 0\n'
            for name in behaviours
        )
    )
    return load(tmp_path / "santral.toml", {})


@pytest.fixture
async def engine(tmp_path: Path, sqlite_template: Path) -> AsyncGenerator[Engine]:
    folder = tmp_path / "santral-data"
    folder.mkdir()
    shutil.copy(sqlite_template, folder / "santral.db")
    opened = connect(sqlite_url(folder))
    yield opened
    await opened.dispose()


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def spooled(folder: Path) -> list[TraceRecord]:
    return [
        decode_record(body)
        for path in (folder / "santral-data" / "spool").glob("*.spool")
        for body in read_frames(path, 0, 0)
    ]


async def test_a_question_goes_through_the_whole_gateway_and_is_traced(
    loaded: LoadedConfig, engine: Engine, tmp_path: Path, upstream: Upstream
) -> None:
    async with opened_gateway(loaded, engine, DEFAULT) as ask:
        answer = await ask(
            Question(
                model="ok",
                messages=said("What is open? Write to ayse@example.com"),
                prompt="tone@1.0.0",
                variables={"tone": "dry"},
                settings={"temperature": 0.5},
                tags={"eval_run": "run_1"},
            )
        )
    (record,) = spooled(tmp_path)
    sent = upstream.seen[-1].body
    assert (answer.error, bool(answer.text), answer.finish_reason) == ("", True, "stop")
    assert (answer.prompt, answer.prompt_version, answer.trace_id) == (
        "tone",
        "1.0.0",
        record.trace_id,
    )
    assert (record.tags, record.key_id, record.cache) == ({"eval_run": "run_1"}, "evals", "off")
    assert sent["messages"][0] == {"role": "system", "content": "Answer in a dry tone."}
    assert (sent["temperature"], answer.usage == record.usage) == (0.5, True)


async def test_a_data_folder_in_which_nobody_is_yet_gets_the_first_tenant_alone(
    loaded: LoadedConfig, engine: Engine
) -> None:
    async with opened_gateway(loaded, engine, DEFAULT):
        pass
    async with reading(engine) as conn:
        assert [tenant.id for tenant in await list_tenants(conn)] == [DEFAULT]
    with pytest.raises(NotFound, match="no tenant 'acme'"):
        async with opened_gateway(loaded, engine, TenantId("acme")):
            pass


async def test_what_one_question_meets_is_its_answer_and_what_all_would_meet_is_raised(
    loaded: LoadedConfig, engine: Engine
) -> None:
    async with opened_gateway(loaded, engine, DEFAULT) as ask:
        failed = await ask(Question(model="failed", messages=said("x")))
        late = await ask(Question(model="slow", messages=said("x"), timeout_s=0.05))
        lacking = await ask(Question(model="ok", messages=said("x"), prompt="tone"))
        with pytest.raises(NotFound, match="no model or route 'fialed'"):
            await ask(Question(model="fialed", messages=said("x")))
        with pytest.raises(NotFound, match="no prompt 'tome'"):
            await ask(Question(model="ok", messages=said("x"), prompt="tome"))
    assert (failed.error, failed.text) == ("provider_failed", "")
    assert late.error == "timeout"
    assert "tone" in lacking.error_message


async def test_tools_that_a_model_calls_are_read(loaded: LoadedConfig, engine: Engine) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    async with opened_gateway(loaded, engine, DEFAULT) as ask:
        answer = await ask(Question(model="tools", messages=said("x"), tools=[tool]))
    assert answer.tool_calls
    assert all(isinstance(call, ToolCall) and call.name for call in answer.tool_calls)


async def test_limits_of_the_installation_hold_for_evaluations(
    tmp_path: Path, loaded: LoadedConfig, engine: Engine
) -> None:
    path = tmp_path / "santral.toml"
    path.write_text(path.read_text() + "[limits]\nrequests_per_minute = 1\n")
    async with opened_gateway(load(path, {}), engine, DEFAULT) as ask:
        answers = [await ask(Question(model="ok", messages=said(str(n)))) for n in range(2)]
    assert answers[0].error == ""
    assert answers[1].error == "requests_per_minute_exceeded"


async def test_a_server_elsewhere_is_asked_with_a_key(anyio_backend: str) -> None:
    seen: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        body = await request.json()
        seen.append((request.headers["authorization"], body["model"]))
        if body["model"] == "none":
            return web.json_response({"error": {"message": "no", "code": "x"}}, status=404)
        message = {"role": "assistant", "content": "four"}
        return web.json_response(
            {"model": "m", "choices": [{"message": message, "finish_reason": "stop"}]},
            headers={"x-santral-cost-usd": "0.000012", "x-santral-trace-id": "t" * 32},
        )

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    async with asked_server(f"http://{host}:{port}", "sk-1") as ask:
        told = await ask(Question(model="docs", messages=said("2+2?")))
        with pytest.raises(NotFound):
            await ask(Question(model="none", messages=said("2+2?")))
    await runner.cleanup()
    async with asked_server(f"http://{host}:{port}", "sk-1") as ask:
        gone = await ask(Question(model="docs", messages=said("2+2?")))
    assert (told.text, told.cost_nanousd, told.trace_id) == ("four", 12_000, "t" * 32)
    assert seen[0] == ("Bearer sk-1", "docs")
    assert gone.error == "unreachable"
