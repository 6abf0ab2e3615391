"""A gateway worker in this process: the real one, with scripted providers and a recorded spool."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.stream_checker import check_chat_stream

import santral.app.providers
from santral.app.access import AccessRecord, access_file, write_access
from santral.app.gateway import GatewayProcess
from santral.config.collections import CollectionConfig
from santral.config.load import load
from santral.providers.provider import ChatOnly, Provider, ProviderCall
from santral.quota.account import Account
from santral.quota.book import LimitBook
from santral.quota.limits import Limits
from santral.quota.memory import MemoryLimiter
from santral.quota.rule import Rule, Scope
from santral.retrieval import access
from santral.retrieval.search.options import SearchOptions, options_of
from santral.retrieval.search.question import Question
from santral.retrieval.search.result import SearchResult
from santral.tenants.key import new_key
from santral.tenants.tenant import KeyId, Tenant, TenantId, VirtualKey
from santral.traces.frame import Spooled, decode_frame
from santral.traces.record import TraceRecord, encode_record
from santral.traces.scores.score import ScoreRecord
from santral.wire.delta import ChoiceDelta, Delta, Source, ToolCallDelta
from santral.wire.render import chunk, completion, fold
from santral.wire.usage import Usage

KEY = new_key(random.Random(5).randbytes)
NARROW_KEY = new_key(random.Random(6).randbytes)  # may use the route "plain" alone

USAGE = Usage(input_uncached=100, output_text=20)

#: A step of a script: a delta to yield, an error to raise, or something to wait for.
Step = Delta | Exception | Callable[[], Any]
Script = Sequence[Step] | Callable[[ProviderCall], Sequence[Step]]


@dataclass
class Asked:
    """One call as a provider got it, written out at that moment."""

    model: str
    fields: dict[str, Any]
    call: ProviderCall

    @property
    def text(self) -> str:
        """Everything the provider was told, to search for what it must not be told."""
        sources = [msgspec.to_builtins(source) for source in self.call.sources]
        return json.dumps([self.fields, self.call.question, sources], ensure_ascii=False)


class Scripted(ChatOnly):
    """A provider that answers by script, one script a call; the last one is repeated."""

    def __init__(self) -> None:
        self.scripts: dict[str, list[Script]] = {}
        self.asked: list[Asked] = []
        self.open = 0  # answers that were begun and not closed

    def will(self, *scripts: Script, model: str = "m-one") -> None:
        self.scripts[model] = list(scripts)

    async def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        self.asked.append(Asked(call.model, json.loads(msgspec.json.encode(call.fields)), call))
        queue = self.scripts.get(call.model, [hello])
        script = queue.pop(0) if len(queue) > 1 else queue[0]
        self.open += 1
        try:
            for step in script(call) if callable(script) else script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, Delta):
                    yield step
                else:
                    await step()
        finally:
            self.open -= 1


@dataclass
class Answer:
    """What a client got."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    is_over: bool = False

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of a stream, which is checked whenever a test looks at it."""
        return check_chat_stream(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error, as a body or as the last event of a stream."""
        if self.headers["content-type"].startswith("text/event-stream"):
            return self.events[-1]["error"]
        return self.json["error"]

    @property
    def choices(self) -> list[ChoiceDelta]:
        """What was said, whole or streamed, in one form."""
        if not self.headers["content-type"].startswith("text/event-stream"):
            return [_choice(entry, entry["message"]) for entry in self.json["choices"]]
        parts = [
            Delta(choices=(_choice(entry, entry["delta"]),))
            for event in self.events
            for entry in event.get("choices", ())
        ]
        return list(fold(parts).choices)

    @property
    def usage(self) -> dict[str, Any] | None:
        if not self.headers["content-type"].startswith("text/event-stream"):
            return self.json.get("usage")
        return next((e["usage"] for e in reversed(self.events) if e.get("usage")), None)


def _choice(entry: dict[str, Any], content: dict[str, Any]) -> ChoiceDelta:
    return ChoiceDelta(
        entry["index"],
        content.get("content") or "",
        content.get("refusal") or "",
        content.get("reasoning_content") or "",
        tuple(
            ToolCallDelta(
                call.get("index", position),
                call.get("id", ""),
                _called(call).get("name", ""),
                _called(call).get("arguments", "") or _called(call).get("input", ""),
            )
            for position, call in enumerate(content.get("tool_calls") or ())
        ),
        entry["finish_reason"],
    )


def _called(call: dict[str, Any]) -> dict[str, Any]:
    return call.get("function") or call.get("custom") or {}


class Finding:
    """Finds what a test lets it find, and notes what it was asked for."""

    def __init__(self) -> None:
        self.found: list[Source] = []
        self.generation = "g"
        self.asked: list[tuple[access.Scope, Question, SearchOptions]] = []

    def options(
        self, scope: access.Scope, given: Mapping[str, Any] | None = None, **bounds: Any
    ) -> SearchOptions:
        return options_of(CollectionConfig(), given, **bounds)

    async def search(
        self, scope: access.Scope, question: Question, options: SearchOptions | None = None
    ) -> SearchResult:
        self.asked.append((scope, question, options or SearchOptions()))
        found = tuple(replace(one, collection=scope.collection) for one in self.found)
        return SearchResult(sources=found, support=1.0, generation=self.generation)


class Worker:
    """The worker of a configuration text."""

    def __init__(self, folder: Path, text: str) -> None:
        file = folder / "santral.toml"
        file.write_text(text, encoding="utf-8")
        self.loaded = load(file, {})
        self.provider = Scripted()
        self.records: list[TraceRecord] = []
        self.scores: list[ScoreRecord] = []
        self.spooled: list[bytes] = []
        write_access(access_file(self.loaded.config), _access())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(santral.app.providers, "build_provider", self._build_provider)
            self.process = GatewayProcess(self.loaded)
        asyncio.run(self.process.prepare())
        self._watch_spool()
        self.search = Finding()
        retrieve = self.process.app._desk.stages.retrieve
        retrieve._find_owner = lambda tenant, name: tenant
        retrieve._search = self.search
        self.client: tuple[str, int] | None = None  # the socket's other end

    def _build_provider(
        self, name: str, config: Any, client: Any, local: Callable[[], Provider], *_: Any
    ) -> Provider:
        return local() if config.kind == "local" else self.provider

    def _watch_spool(self) -> None:
        append = self.process._spool.append

        def watched(record: Spooled) -> bool:
            data = encode_record(record)
            read = decode_frame(data)
            if isinstance(read, ScoreRecord):
                self.scores.append(read)
            else:
                self.spooled.append(data)
                self.records.append(read)
            return append(record)

        self.process._spool.append = watched  # type: ignore[method-assign]

    def reset(self) -> None:
        """Forget what former tests did: scripts, records, cache, limits, breakers."""
        self.provider.scripts.clear()
        self.provider.asked.clear()
        self.records.clear()
        self.scores.clear()
        self.spooled.clear()
        self.search.found = []
        self.search.asked.clear()
        generate = self.process.app._desk.stages.generate
        generate._through_cache._cache.clear()
        generate._attempts._health._breakers.clear()
        generate._attempts._fallback.budget._buckets.clear()
        generate._attempts._fallback.hedging._buckets.clear()
        self.limit()

    def find(self, *sources: Source) -> None:
        """Let every search find these passages."""
        self.search.found = list(sources)

    def limit(self, limits: Limits | None = None) -> None:
        """Give the tenant limits, and none of them used."""
        self.limit_by(*(() if limits is None else limits.rules("acme", Scope("tenant", "acme"))))

    @property
    def counted(self) -> dict[str, Account]:
        """The accounts of limits, by name."""
        limiter = self.process._limiter
        assert isinstance(limiter, MemoryLimiter)
        return limiter._accounts

    def limit_by(self, *rules: Rule) -> None:
        """Put these limits in force, and none of them used."""
        current = self.process.current
        self.counted.clear()
        current.put_access(current.snapshot.ring, LimitBook(rules))

    @property
    def open_holds(self) -> int:
        return self.process._limiter.open_holds

    def used(self) -> tuple[int, int]:
        """Tokens spent and reserved today."""
        for name, account in self.counted.items():
            if name.startswith("tokens_per_day"):
                return account.used(account.claim, time.time()) - account.held, account.held
        return 0, 0

    def used_under(self, rule: Rule) -> int:
        """What is spent and reserved in all accounts of a rule now."""
        accounts = self.counted.items()
        now = time.time()
        return sum(a.used(a.claim, now) for name, a in accounts if name.startswith(f"{rule.id}/"))

    @property
    def record(self) -> TraceRecord:
        """The one record of the one request."""
        assert len(self.records) == 1, [r.error for r in self.records]
        return self.records[0]

    def ask(
        self,
        route: str = "plain",
        content: Any = "Hello",
        *,
        key: str = KEY.plaintext,
        headers: Sequence[tuple[bytes, bytes]] = (),
        **fields: Any,
    ) -> Answer:
        """Send one chat request and return the whole answer; nothing is left behind by it."""
        body = {"model": route, "messages": [{"role": "user", "content": content}], **fields}
        return self.post(json.dumps(body).encode(), key=key, headers=headers)

    def post(
        self,
        body: bytes,
        *,
        key: str = KEY.plaintext,
        headers: Sequence[tuple[bytes, bytes]] = (),
        path: str = "/v1/chat/completions",
        method: str = "POST",
        query: bytes = b"",
    ) -> Answer:
        async def main() -> Answer:
            answer = Answer()
            await self.serve([{"body": body}], answer, key, headers, path, method, query)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks were left behind: {left}"
            return answer

        answer = asyncio.run(main())
        assert answer.is_over
        assert self.open_holds == 0, "a hold was left behind"
        assert self.provider.open == 0, "a provider's answer was left open"
        assert len(self.process._attendance) == 0
        return answer

    async def serve(
        self,
        messages: Iterable[dict[str, Any]],
        answer: Answer,
        key: str = KEY.plaintext,
        headers: Sequence[tuple[bytes, bytes]] = (),
        path: str = "/v1/chat/completions",
        method: str = "POST",
        query: bytes = b"",
    ) -> None:
        """Call the application once. After ``messages`` the client waits, connected."""
        waiting = iter(messages)

        async def receive() -> dict[str, Any]:
            for message in waiting:
                wait = message.get("wait")
                if wait is not None:
                    await wait.wait()
                return {"type": "http.request"} | message
            await asyncio.Event().wait()
            raise AssertionError("never")

        async def send(message: dict[str, Any]) -> None:
            _take(answer, message)

        lines = [*headers]
        if key:
            lines.append((b"authorization", f"Bearer {key}".encode()))
        scope = {"type": "http", "method": method, "path": path, "headers": lines}
        scope |= {"query_string": query, "client": self.client}
        await self.process.app(scope, receive, send)

    def close(self) -> None:
        with suppress(RuntimeError):
            asyncio.run(self.process._pool.close())
        self.process._spool.close()


def _take(answer: Answer, message: dict[str, Any]) -> None:
    assert not answer.is_over, "something follows the end of the response"
    if message["type"] == "http.response.start":
        assert answer.status == 0, "the response starts twice"
        answer.status = message["status"]
        answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
    else:
        assert answer.status, "the body comes before the head"
        answer.body += message["body"]
        answer.is_over = not message["more_body"]
        length = answer.headers.get("content-length")
        if answer.is_over and length is not None:
            assert int(length) == len(answer.body)


def _access() -> AccessRecord:
    keys = [
        VirtualKey(
            id=KeyId(name), tenant_id=TenantId("acme"), name=name, prefix=key.prefix,
            digest=key.digest, routes=routes,
        )
        for name, key, routes in (("k1", KEY, None), ("k2", NARROW_KEY, frozenset({"plain"})))
    ]  # fmt: skip
    return AccessRecord(
        revision=1,
        read_at=time.time(),
        tenants=[Tenant(TenantId("acme"), "Acme")],
        keys=keys,
    )


HEAD: dict[str, Any] = {"id": "chatcmpl-up", "model": "m-one", "created": 1_700_000_000}


def part(choice: ChoiceDelta, *, role: bool = False, is_raw: bool = True) -> Delta:
    """One chunk of a stream, with the bytes a provider sends or without."""
    return parts((choice,), role=role, is_raw=is_raw)


def parts(choices: Sequence[ChoiceDelta], *, role: bool = False, is_raw: bool = True) -> Delta:
    made = Delta(choices=tuple(choices), **HEAD)
    return msgspec.structs.replace(made, raw=chunk(made, role=role)) if is_raw else made


def usage(used: Usage = USAGE) -> Delta:
    return Delta(usage=used, **HEAD)


def whole(*choices: ChoiceDelta, used: Usage | None = USAGE, is_raw: bool = True) -> Delta:
    """A whole answer."""
    ended = tuple(
        choice if choice.finish_reason else msgspec.structs.replace(choice, finish_reason="stop")
        for choice in choices
    )
    made = Delta(choices=ended, usage=used, is_whole=True, **HEAD)
    return msgspec.structs.replace(made, raw=completion(made)) if is_raw else made


def cut(text: str, size: int = 4) -> list[str]:
    """Short pieces, through the middle of names and numbers."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def streamed(*choices: ChoiceDelta, size: int = 4, is_raw: bool = True) -> list[Step]:
    """The deltas of a stream that says what ``choices`` say, in short pieces."""
    deltas: list[Step] = []
    for choice in choices:
        index = choice.index
        pieces = [
            *(ChoiceDelta(index, reasoning=piece) for piece in cut(choice.reasoning, size)),
            *(ChoiceDelta(index, piece) for piece in cut(choice.text, size)),
            *(ChoiceDelta(index, refusal=piece) for piece in cut(choice.refusal, size)),
            *(piece for call in choice.tool_calls for piece in _pieces(index, call, size)),
            *(ChoiceDelta(index, native=(block,)) for block in choice.native),
            *(ChoiceDelta(index, annotations=(note,)) for note in choice.annotations),
            ChoiceDelta(index, finish_reason=choice.finish_reason or "stop"),
        ]
        deltas += [part(p, role=n == 0, is_raw=is_raw) for n, p in enumerate(pieces)]
    return [*deltas, usage()]


def _pieces(index: int, call: ToolCallDelta, size: int) -> list[ChoiceDelta]:
    opened = ToolCallDelta(
        call.index, call.id or f"call_{call.index}", call.name or "f", kind=call.kind
    )
    more = [
        ToolCallDelta(call.index, arguments=piece, kind=call.kind)
        for piece in cut(call.arguments, size)
    ]
    return [ChoiceDelta(index, tool_calls=(piece,)) for piece in (opened, *more)]


def saying(*choices: ChoiceDelta) -> Callable[[ProviderCall], Sequence[Step]]:
    """A script that says this, streamed to a call that streams and whole to another."""

    def script(call: ProviderCall) -> Sequence[Step]:
        return streamed(*choices) if call.is_streaming else [whole(*choices)]

    return script


def hello(call: ProviderCall) -> Sequence[Step]:
    return saying(ChoiceDelta(text="Hello there."))(call)
