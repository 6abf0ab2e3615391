"""A provider on this machine, scripted to be good, slow, busy, garbled or cut: real sockets, no mocks.

Speaks OpenAI's chat completions at ``/v1/chat/completions``; the request's ``model`` names what it
does (``BEHAVIOURS``), with an argument after a colon: ``slow:300`` waits 300 ms. What follows a
``#`` is only for telling callers apart: ``flaky:1#a`` and ``flaky:1#b`` fail once each. In a test:

    with Upstream() as upstream:
        upstream.base_url            # http://127.0.0.1:49152/v1
        upstream.seen[-1].body       # what it was asked, in order
        upstream.seen[-1].left       # threading.Event: the client closed before the end

By hand: ``python tests/upstream.py --port 9999``, then ``GET /admin/seen``, ``POST /admin/reset``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from aiohttp import web

ID = "chatcmpl-upstream"
PII = (
    "Write to ayse.yilmaz@example.com or call +90 532 123 45 67. "
    "Her T.C. kimlik no is 10000000146, her IBAN TR33 0006 1005 1978 6457 8413 26, "
    "her card 4111 1111 1111 1111."
)
REFUSAL = "I'm sorry, but I can't help with that."


@dataclass
class Seen:
    """One request as it came."""

    headers: dict[str, str]
    body: dict[str, Any]
    raw: bytes
    left: threading.Event = field(default_factory=threading.Event)

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def is_streaming(self) -> bool:
        return bool(self.body.get("stream"))


class Call:
    """What a behaviour works with: the request, its argument, and ways to answer."""

    def __init__(self, request: web.Request, seen: Seen, argument: str, count: int) -> None:
        self.request = request
        self.seen = seen
        self.argument = argument
        self.count = count  # calls of this very model name before this one
        self._response: web.StreamResponse | None = None

    @property
    def question(self) -> str:
        """The text of the last user message."""
        for message in reversed(self.seen.body.get("messages", [])):
            if message.get("role") == "user":
                content = message.get("content")
                if isinstance(content, str):
                    return content
                return "\n".join(part.get("text", "") for part in content or ())
        return ""

    def number(self, default: float) -> float:
        return float(self.argument) if self.argument else default

    async def begin(self, content_type: str = "text/event-stream") -> web.StreamResponse:
        if self._response is None:
            self._response = web.StreamResponse(headers={"content-type": content_type})
            await self._response.prepare(self.request)
        return self._response

    async def send(self, data: bytes) -> None:
        await (await self.begin()).write(data)

    async def event(self, payload: dict[str, Any] | str) -> None:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        await self.send(f"data: {text}\n\n".encode())

    async def chunk(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> None:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        await self.event(self.head() | {"choices": [choice]} | more)

    def head(self, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        return {"id": ID, "object": kind, "created": 1_700_000_000, "model": self.seen.model}

    def usage(self, text: str) -> dict[str, Any]:
        return {"usage": usage_of(self.question, text)}

    async def cut(self) -> None:
        """Drop the connection as a crashed server does."""
        transport = self.request.transport
        if transport is not None:
            transport.abort()

    async def say(
        self, text: str, *, finish: str = "stop", usage: bool = True
    ) -> web.StreamResponse:
        """Answer ``text``, whole or streamed as asked, correctly in every detail."""
        if not self.seen.is_streaming:
            return self.whole({"content": text}, text, finish=finish, usage=usage)
        await self.chunk({"role": "assistant", "content": ""})
        for piece in pieces(text):
            await self.chunk({"content": piece})
        await self.chunk({}, finish)
        asked = (self.seen.body.get("stream_options") or {}).get("include_usage")
        if asked and usage:
            await self.event(self.head() | {"choices": []} | self.usage(text))
        await self.event("[DONE]")
        return await self.begin()

    def whole(
        self, message: dict[str, Any], text: str, *, finish: str = "stop", usage: bool = True
    ) -> web.Response:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "refusal": None} | message,
            "logprobs": None,
            "finish_reason": finish,
        }
        body = self.head("chat.completion") | {"choices": [choice]}
        return web.json_response(body | (self.usage(text) if usage else {}))


def pieces(text: str) -> list[str]:
    """Cut a text as tokenizers do: short, and through the middle of names and numbers."""
    return [text[at : at + 4] for at in range(0, len(text), 4)]


def usage_of(question: str, text: str) -> dict[str, Any]:
    """Tokens by a rule a test can repeat: one for every four characters, and one."""
    prompt, completion = len(question) // 4 + 1, len(text) // 4 + 1
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def answer_to(question: str) -> str:
    """What the good behaviours answer."""
    return f"You asked: {question}"


def refuse(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    error = {"message": message, "type": kind, "param": None, "code": code}
    return web.json_response({"error": error}, status=status, headers=headers)


async def ok(call: Call) -> web.StreamResponse:
    """Echo the last user message; ``big:KB`` pads the answer, ``length`` stops at the limit."""
    return await call.say(answer_to(call.question))


async def length(call: Call) -> web.StreamResponse:
    return await call.say(answer_to(call.question), finish="length")


async def big(call: Call) -> web.StreamResponse:
    return await call.say("abc " * int(call.number(256) * 256))


async def empty(call: Call) -> web.StreamResponse:
    return await call.say("")


async def slow(call: Call) -> web.StreamResponse:
    """``slow:MS`` waits before the head of the answer."""
    await asyncio.sleep(call.number(300) / 1000)
    return await ok(call)


async def paced(call: Call) -> web.StreamResponse:
    """``paced:MS`` waits before every delta."""
    await call.chunk({"role": "assistant", "content": ""})
    for piece in pieces(answer_to(call.question)):
        await asyncio.sleep(call.number(20) / 1000)
        await call.chunk({"content": piece})
    await call.chunk({}, "stop")
    await call.event("[DONE]")
    return await call.begin()


async def stalled(call: Call) -> web.StreamResponse:
    """Sends not even a head."""
    await asyncio.sleep(3600)
    return await call.begin()


async def stalled_start(call: Call) -> web.StreamResponse:
    """Sends the head, the role and comments that keep the connection alive, and no content."""
    await call.chunk({"role": "assistant", "content": ""})
    while True:
        await call.send(b": still thinking\n\n")
        await asyncio.sleep(0.02)


async def stalled_middle(call: Call) -> web.StreamResponse:
    """Stops for good after some content."""
    await call.chunk({"role": "assistant", "content": ""})
    await call.chunk({"content": "The beginning"})
    await asyncio.sleep(3600)
    return await call.begin()


async def cut_start(call: Call) -> web.StreamResponse:
    """Closes before the head."""
    await call.cut()
    return web.Response()


async def cut_middle(call: Call) -> web.StreamResponse:
    """Closes between two events."""
    await call.begin("text/event-stream" if call.seen.is_streaming else "application/json")
    if call.seen.is_streaming:
        await call.chunk({"role": "assistant", "content": ""})
        await call.chunk({"content": "The beginning"})
    else:
        await call.send(b'{"id": "chatcmpl-upstream", "cho')
    await asyncio.sleep(0.05)
    await call.cut()
    return await call.begin()


async def cut_event(call: Call) -> web.StreamResponse:
    """Closes in the middle of an event."""
    await call.chunk({"role": "assistant", "content": ""})
    await call.chunk({"content": "The beginning"})
    await call.send(b'data: {"id": "chatcmpl-upstream", "choices": [{"ind')
    await asyncio.sleep(0.05)
    await call.cut()
    return await call.begin()


async def ended_early(call: Call) -> web.StreamResponse:
    """Ends the body properly, but without finish_reason and [DONE]."""
    await call.chunk({"role": "assistant", "content": ""})
    await call.chunk({"content": "The beginning"})
    return await call.begin()


async def garbled_html(call: Call) -> web.StreamResponse:
    return web.Response(text="<!doctype html><h1>Welcome to nginx</h1>", content_type="text/html")


async def garbled_json(call: Call) -> web.StreamResponse:
    """The right type and the wrong bytes."""
    if not call.seen.is_streaming:
        return web.Response(text='{"choices": [}', content_type="application/json")
    await call.event("{not json")
    return await call.begin()


async def garbled_middle(call: Call) -> web.StreamResponse:
    """Garbage after some content."""
    await call.chunk({"role": "assistant", "content": ""})
    await call.chunk({"content": "The beginning"})
    await call.event("<html>")
    return await call.begin()


async def garbled_type(call: Call) -> web.StreamResponse:
    """JSON of a wrong shape."""
    return web.json_response({"choices": "none today"})


async def busy(call: Call) -> web.StreamResponse:
    """429; ``busy:ms``, ``busy:s``, ``busy:float``, ``busy:date`` give the hint in that form."""
    hints = {
        "": {},
        "ms": {"retry-after-ms": "1500"},
        "s": {"retry-after": "2"},
        "float": {"retry-after": "1.5"},
        "date": {"retry-after": formatdate(4_000_000_000, usegmt=True)},
    }
    return refuse(
        429,
        "Rate limit reached for requests",
        kind="requests",
        code="rate_limit_exceeded",
        headers=hints[call.argument],
    )


async def busy_once(call: Call) -> web.StreamResponse:
    """429 and then an answer; ``busy-once:ms``, ``:float``, ``:s``, ``:date`` hint at a short wait."""
    if call.count:
        return await ok(call)
    soon = formatdate(time.time() + 1, usegmt=True)
    hints = {
        "": {},
        "ms": {"retry-after-ms": "50"},
        "float": {"retry-after": "0.05"},
        "s": {"retry-after": "1"},
        "date": {"retry-after": soon},
    }
    return refuse(429, "Slow down", kind="requests", headers=hints[call.argument])


async def failed(call: Call) -> web.StreamResponse:
    """``failed:STATUS``, 500 by default."""
    status = int(call.number(500))
    return refuse(status, "The server had an error", kind="server_error")


async def unauthorized(call: Call) -> web.StreamResponse:
    """401 that quotes the key, as OpenAI does."""
    key = call.seen.headers.get("authorization", "").removeprefix("Bearer ")
    return refuse(401, f"Incorrect API key provided: {key}.", code="invalid_api_key")


async def no_money(call: Call) -> web.StreamResponse:
    message = "You exceeded your current quota, please check your plan and billing details."
    return refuse(429, message, kind="insufficient_quota", code="insufficient_quota")


async def refused(call: Call) -> web.StreamResponse:
    """``refused:STATUS``, 400 by default."""
    status = int(call.number(400))
    return refuse(status, "Unknown parameter: 'frobnicate'.", code="unknown_parameter")


async def context(call: Call) -> web.StreamResponse:
    """400 because the prompt is too long; ``context:vllm`` says it in words only."""
    message = "This model's maximum context length is 8192 tokens. However, you requested 9000."
    return refuse(400, message, code=None if call.argument else "context_length_exceeded")


async def error_inside(call: Call) -> web.StreamResponse:
    """An error inside a 200; ``error-inside:TYPE`` names its type, ``overloaded_error`` and so on."""
    kind = call.argument or "server_error"
    error = {"error": {"message": "The engine is on fire", "type": kind, "code": None}}
    if not call.seen.is_streaming:
        return web.json_response(error)
    await call.event(error)
    return await call.begin()


async def error_middle(call: Call) -> web.StreamResponse:
    """The same after some content."""
    await call.chunk({"role": "assistant", "content": ""})
    await call.chunk({"content": "The beginning"})
    await call.event({"error": {"message": "The engine is on fire", "type": "server_error"}})
    await call.event("[DONE]")
    return await call.begin()


async def filtered(call: Call) -> web.StreamResponse:
    """400 of the provider's own filter, as Azure says it."""
    message = "The response was filtered due to the prompt triggering the content policy."
    return refuse(400, message, kind="invalid_request_error", code="content_filter")


async def empty_body(call: Call) -> web.StreamResponse:
    """200 and nothing."""
    kind = "text/event-stream" if call.seen.is_streaming else "application/json"
    return web.Response(body=b"", headers={"content-type": kind})


async def stalled_alive(call: Call) -> web.StreamResponse:
    """Some content, then comments that keep the connection alive for ever."""
    await call.chunk({"role": "assistant", "content": ""})
    await call.chunk({"content": "The beginning"})
    while True:
        await call.send(b": still thinking\n\n")
        await asyncio.sleep(0.02)


async def no_usage(call: Call) -> web.StreamResponse:
    return await call.say(answer_to(call.question), usage=False)


async def no_done(call: Call) -> web.StreamResponse:
    """finish_reason comes, [DONE] does not."""
    await call.chunk({"role": "assistant", "content": ""})
    await call.chunk({"content": "All there."})
    await call.chunk({}, "stop")
    return await call.begin()


async def usage_every(call: Call) -> web.StreamResponse:
    """Usage so far on every chunk, as vLLM's continuous_usage_stats and Perplexity."""
    text, so_far = answer_to(call.question), ""
    await call.chunk({"role": "assistant", "content": ""}, **call.usage(""))
    for piece in pieces(text):
        so_far += piece
        await call.chunk({"content": piece}, **call.usage(so_far))
    await call.chunk({}, "stop", **call.usage(text))
    await call.event("[DONE]")
    return await call.begin()


async def azure(call: Call) -> web.StreamResponse:
    """A first chunk without choices, an empty id, and content filter results."""
    filters = [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False}}}]
    first = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
    await call.event(first | {"prompt_filter_results": filters})
    return await ok(call)


async def sloppy(call: Call) -> web.StreamResponse:
    """What imitators get wrong at once: no role, null and missing fields, ends and content twice."""
    await call.event(call.head() | {"choices": [{"delta": {"content": "All "}}], "usage": None})
    choice: dict[str, Any] = {"index": 0, "delta": {"role": "assistant", "content": "there."}}
    await call.event(call.head() | {"id": None, "choices": [choice]})
    await call.chunk({"content": None, "tool_calls": None}, "stop")
    await call.chunk({"content": "again"}, "stop")
    await call.event("[DONE]")
    return await call.begin()


async def tools(call: Call) -> web.StreamResponse:
    """Two parallel tool calls, their arguments in fragments."""
    calls = [("call_a", "weather", '{"city": "İzmir"}'), ("call_b", "time", '{"zone": "TRT"}')]
    return await call_tools(call, calls)


async def call_tools(call: Call, calls: list[tuple[str, str, str]]) -> web.StreamResponse:
    """Call tools, each given as id, name and arguments."""
    if not call.seen.is_streaming:
        entries = [
            {"id": i, "type": "function", "function": {"name": n, "arguments": a}}
            for i, n, a in calls
        ]
        return call.whole({"content": None, "tool_calls": entries}, "", finish="tool_calls")
    await call.chunk({"role": "assistant", "content": None})
    for index, (name_id, name, arguments) in enumerate(calls):
        opening = {"name": name, "arguments": ""}
        entry = {"index": index, "id": name_id, "type": "function", "function": opening}
        await call.chunk({"tool_calls": [entry]})
        for piece in pieces(arguments):
            fragment = {"index": index, "function": {"arguments": piece}}
            await call.chunk({"tool_calls": [fragment]})
    await call.chunk({}, "tool_calls")
    await call.event(call.head() | {"choices": []} | call.usage(""))
    await call.event("[DONE]")
    return await call.begin()


async def use(call: Call) -> web.StreamResponse:
    """``use:NAME=ARGUMENTS`` calls one tool, its arguments in fragments."""
    name, _, arguments = call.argument.partition("=")
    return await call_tools(call, [("call_u", name, arguments or "{}")])


async def agent(call: Call) -> web.StreamResponse:
    """Calls tools as ``tools`` does; once their results are there, it answers with them."""
    results = [m for m in call.seen.body.get("messages", []) if m.get("role") == "tool"]
    if not results:
        return await tools(call)
    texts = [
        m["content"] if isinstance(m["content"], str) else m["content"][0]["text"] for m in results
    ]
    return await call.say("Found: " + ", ".join(texts))


async def json_ok(call: Call) -> web.StreamResponse:
    """A JSON answer; ``json:{"any":"text"}`` chooses it."""
    return await call.say(call.argument or '{"city": "Ankara", "population": 5803482}')


async def judge(call: Call) -> web.StreamResponse:
    """Fill in a judge's form: well of an answer that holds "good"; with the chances where asked."""
    instructions = str(call.seen.body["messages"][0]["content"])
    is_good = "good" in call.question.partition("<answer ")[2].partition("</answer ")[0]
    score = "5" if is_good else "1"
    said = (
        f'"score": {score}'
        if '"score"' in instructions
        else f'"label": "{"yes" if is_good else "no"}"'
    )
    text = f'{{"reason": "so", {said}}}'
    answer = call.whole({"content": text}, text)
    if call.seen.body.get("logprobs") and '"score"' in said:
        tokens = ['{"reason": "so", "score":', f" {score}", "}"]
        chances = [{"token": token, "logprob": 0.0, "top_logprobs": []} for token in tokens]
        near = "4" if is_good else "2"
        chances[1]["top_logprobs"] = [
            {"token": f" {score}", "logprob": -0.2231435513},  # 0.8
            {"token": f" {near}", "logprob": -1.6094379124},  # 0.2
        ]
        body = json.loads(answer.text or "")
        body["choices"][0]["logprobs"] = {"content": chances, "refusal": None}
        return web.json_response(body)
    return answer if not call.seen.is_streaming else await call.say(text)


async def trailing(call: Call) -> web.StreamResponse:
    """JSON, and then white space for ever, as models in a JSON mode sometimes do."""
    await call.chunk({"role": "assistant", "content": ""})
    for piece in pieces('{"a": 1}'):
        await call.chunk({"content": piece})
    while True:
        await call.chunk({"content": "\n"})
        await asyncio.sleep(0.02)


async def json_retry(call: Call) -> web.StreamResponse:
    """Broken JSON first; valid once the conversation holds an answer and a correction of it."""
    roles = [message.get("role") for message in call.seen.body.get("messages", [])]
    is_corrected = "assistant" in roles and roles[-1] != "assistant"
    return await call.say(
        '{"city": "Ankara", "population": 5803482}' if is_corrected else '{"city":'
    )


async def json_never(call: Call) -> web.StreamResponse:
    return await call.say("Here is your JSON: {city: Ankara}")


async def pii(call: Call) -> web.StreamResponse:
    """Personal data, split over deltas of four characters."""
    return await call.say(PII)


async def refusal(call: Call) -> web.StreamResponse:
    """A model that declines in words; ``refusal:field`` uses the field made for it."""
    if call.argument != "field":
        return await call.say(REFUSAL)
    if not call.seen.is_streaming:
        return call.whole({"content": None, "refusal": REFUSAL}, "")
    await call.chunk({"role": "assistant", "refusal": ""})
    for piece in pieces(REFUSAL):
        await call.chunk({"refusal": piece})
    await call.chunk({}, "stop")
    await call.event("[DONE]")
    return await call.begin()


async def flaky(call: Call) -> web.StreamResponse:
    """``flaky:N`` fails N times with 500, then answers."""
    if call.count < int(call.number(1)):
        return refuse(500, "Not yet", kind="server_error")
    return await ok(call)


async def say(call: Call) -> web.StreamResponse:
    """``say:TEXT`` answers with the text."""
    return await call.say(call.argument)


async def obedient(call: Call) -> web.StreamResponse:
    """``obedient:MS`` repeats the question where the system message says so, else declines; waits MS."""
    await asyncio.sleep(call.number(0) / 1000)
    told = [m.get("content", "") for m in call.seen.body.get("messages", [])]
    is_told = any("repeat the question" in str(text) for text in told)
    return await call.say(answer_to(call.question) if is_told else REFUSAL)


async def never_streams(call: Call) -> web.StreamResponse:
    """Answers whole whatever was asked."""
    text = answer_to(call.question)
    return call.whole({"content": text}, text)


async def always_streams(call: Call) -> web.StreamResponse:
    """Streams whatever was asked."""
    call.seen.body["stream"] = True
    call.seen.body["stream_options"] = {"include_usage": True}
    return await ok(call)


async def redirect(call: Call) -> web.StreamResponse:
    """Sends the caller elsewhere: a client must not follow."""
    return web.Response(status=307, headers={"location": "http://127.0.0.1:1/v1/chat/completions"})


#: Model name -> what it does. An argument follows a colon.
BEHAVIOURS: dict[str, Callable[[Call], Awaitable[web.StreamResponse]]] = {
    "ok": ok,
    "length": length,
    "big": big,
    "empty": empty,
    "slow": slow,
    "paced": paced,
    "stalled": stalled,
    "stalled-start": stalled_start,
    "stalled-middle": stalled_middle,
    "cut-start": cut_start,
    "cut-middle": cut_middle,
    "cut-event": cut_event,
    "ended-early": ended_early,
    "garbled-html": garbled_html,
    "garbled-json": garbled_json,
    "garbled-middle": garbled_middle,
    "garbled-type": garbled_type,
    "busy": busy,
    "busy-once": busy_once,
    "failed": failed,
    "unauthorized": unauthorized,
    "no-money": no_money,
    "refused": refused,
    "context": context,
    "error-inside": error_inside,
    "error-middle": error_middle,
    "filtered": filtered,
    "empty-body": empty_body,
    "stalled-alive": stalled_alive,
    "no-usage": no_usage,
    "no-done": no_done,
    "usage-every": usage_every,
    "azure": azure,
    "sloppy": sloppy,
    "tools": tools,
    "use": use,
    "agent": agent,
    "obedient": obedient,
    "json": json_ok,
    "judge": judge,
    "trailing": trailing,
    "json-retry": json_retry,
    "json-never": json_never,
    "pii": pii,
    "refusal": refusal,
    "flaky": flaky,
    "say": say,
    "never-streams": never_streams,
    "always-streams": always_streams,
    "redirect": redirect,
}


#: What behaviours that are about deltas do when a whole answer is asked for.
WHOLE: dict[str, Callable[[Call], Awaitable[web.StreamResponse]]] = {
    "paced": slow,
    "stalled-start": stalled,
    "stalled-middle": stalled,
    "stalled-alive": stalled,
    "cut-event": cut_middle,
    "ended-early": garbled_json,
    "garbled-middle": garbled_json,
    "error-middle": error_inside,
    "no-done": ok,
    "usage-every": ok,
    "azure": ok,
    "sloppy": ok,
}


class Upstream:
    """The provider in a thread of its own; a context manager. ``port`` 0 takes a free one."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.seen: list[Seen] = []
        self._counts: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def reset(self) -> None:
        """Forget what was seen, and let ``flaky`` fail again."""
        self.seen.clear()
        self._counts.clear()

    def asked(self, model: str) -> list[Seen]:
        """The requests for one model, in order."""
        return [seen for seen in self.seen if seen.model == model]

    def __enter__(self) -> Upstream:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        await asyncio.sleep(0.05)  # a connection's socket is closed some turns of the loop later

    async def _start(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._answer)
        app.router.add_get("/admin/seen", self._show)
        app.router.add_post("/admin/reset", self._reset)
        self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            seen = Seen(headers, json.loads(raw), raw)
        except ValueError:
            return refuse(400, "The body is not JSON.")
        self.seen.append(seen)
        name, _, argument = seen.model.partition("#")[0].partition(":")
        behaviour = (None if seen.is_streaming else WHOLE.get(name)) or BEHAVIOURS.get(name)
        if behaviour is None:
            return refuse(404, f"The model '{seen.model}' does not exist", code="model_not_found")
        call = Call(request, seen, argument, self._counts[seen.model])
        self._counts[seen.model] += 1
        try:
            return await behaviour(call)
        except asyncio.CancelledError:
            seen.left.set()
            raise
        except ConnectionError:
            seen.left.set()
            return await call.begin()

    async def _show(self, request: web.Request) -> web.Response:
        return web.json_response(
            [
                {"model": s.model, "headers": s.headers, "body": s.body, "left": s.left.is_set()}
                for s in self.seen
            ]
        )

    async def _reset(self, request: web.Request) -> web.Response:
        self.reset()
        return web.Response(status=204)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9999)
    with Upstream(parser.parse_args().port) as upstream:
        print(f"{upstream.base_url} answers as: {', '.join(BEHAVIOURS)}", flush=True)  # noqa: T201
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
