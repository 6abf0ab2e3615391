"""Three providers' batch interfaces on one real socket, in the shapes of their references.

Sources: https://platform.openai.com/docs/guides/batch, https://platform.claude.com/docs/en/api/creating-message-batches,
https://ai.google.dev/api/batch-api. A batch is over at its second look. Questions that contain a word
are answered as it says: ``fail`` with a 400, ``busy`` with a 429, ``lost`` not at all. Calls that come
one by one (what a batch left over) are counted in ``single``.
"""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

from aiohttp import web


class BatchUpstream:
    """The server in a thread of its own; a context manager."""

    def __init__(self) -> None:
        self.port = 0
        self.batches: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.single: list[str] = []  # questions asked one by one
        self.is_refusing = False  # no batch is taken
        self.headers: list[dict[str, str]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> BatchUpstream:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._runner is not None
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/openai/v1/files", self._openai_upload)
        app.router.add_get("/openai/v1/files/{id}/content", self._openai_content)
        app.router.add_post("/openai/v1/batches", self._openai_create)
        app.router.add_get("/openai/v1/batches", self._openai_list)
        app.router.add_get("/openai/v1/batches/{id}", self._openai_get)
        app.router.add_post("/openai/v1/batches/{id}/cancel", self._cancel)
        app.router.add_post("/openai/v1/chat/completions", self._openai_single)
        app.router.add_post("/anthropic/messages/batches", self._anthropic_create)
        app.router.add_get("/anthropic/messages/batches/{id}", self._anthropic_get)
        app.router.add_get("/anthropic/messages/batches/{id}/results", self._anthropic_results)
        app.router.add_post("/anthropic/messages/batches/{id}/cancel", self._cancel)
        app.router.add_post("/anthropic/messages", self._anthropic_single)
        app.router.add_post("/gemini/models/{verb}", self._gemini_post)
        app.router.add_get("/gemini/batches", self._gemini_list)
        app.router.add_get("/gemini/batches/{id}", self._gemini_get)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    def _begin(self, kind: str, calls: list[Any], **more: Any) -> str:
        name = f"{kind}-{len(self.batches)}"
        self.batches[name] = {"calls": calls, "looks": 0, "is_cancelled": False, **more}
        return name

    def _look(self, name: str) -> tuple[dict[str, Any], bool]:
        batch = self.batches[name]
        batch["looks"] += 1
        return batch, batch["looks"] > 1 or batch["is_cancelled"]

    async def _cancel(self, request: web.Request) -> web.Response:
        self.batches[request.match_info["id"]]["is_cancelled"] = True
        return web.json_response({})

    # OpenAI

    async def _openai_upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "batch"
        file: Any = form["file"]
        name = f"file-{len(self.files)}"
        self.files[name] = file.file.read()
        return web.json_response({"id": name, "object": "file", "purpose": "batch"})

    async def _openai_content(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["id"]])

    async def _openai_create(self, request: web.Request) -> web.Response:
        self.headers.append(dict(request.headers))
        if self.is_refusing:
            error = {"message": "Billing hard limit has been reached", "code": "billing"}
            return web.json_response({"error": error}, status=400)
        wish = await request.json()
        calls = [json.loads(line) for line in self.files[wish["input_file_id"]].splitlines()]
        assert {call["url"] for call in calls} == {wish["endpoint"]}
        assert len({call["body"]["model"] for call in calls}) == 1
        name = self._begin("batch", calls, metadata=wish["metadata"])
        return web.json_response({"id": name, "object": "batch", "status": "validating"})

    async def _openai_list(self, request: web.Request) -> web.Response:
        data = [
            {"id": name, "status": "in_progress", "metadata": batch.get("metadata")}
            for name, batch in self.batches.items()
        ]
        return web.json_response({"object": "list", "data": data})

    async def _openai_get(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        batch, is_over = self._look(name)
        answer: dict[str, Any] = {"id": name, "status": "in_progress"}
        if is_over:
            lines: dict[bool, list[bytes]] = {True: [], False: []}
            for call in batch["calls"]:
                asked = call["body"]["messages"][-1]["content"]
                status, body = _openai_answer(asked, call["body"]["model"])
                if "lost" not in asked:
                    line = {
                        "id": "batch_req_1",
                        "custom_id": call["custom_id"],
                        "response": {"status_code": status, "request_id": "r", "body": body},
                        "error": None,
                    }
                    lines[status == 200].append(json.dumps(line).encode())
            self.files["out"], self.files["err"] = b"\n".join(lines[True]), b"\n".join(lines[False])
            answer |= {"status": "completed", "output_file_id": "out", "error_file_id": "err"}
        return web.json_response(answer)

    async def _openai_single(self, request: web.Request) -> web.Response:
        body = await request.json()
        asked = body["messages"][-1]["content"]
        self.single.append(asked)
        return web.json_response(_openai_answer("again", body["model"])[1])

    # Anthropic

    async def _anthropic_create(self, request: web.Request) -> web.Response:
        self.headers.append(dict(request.headers))
        wish = await request.json()
        assert all(len(call["custom_id"]) <= 64 for call in wish["requests"])
        name = self._begin("msgbatch", wish["requests"])
        return web.json_response(
            {"id": name, "type": "message_batch", "processing_status": "in_progress"}
        )

    async def _anthropic_get(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        _, is_over = self._look(name)
        status = "ended" if is_over else "in_progress"
        return web.json_response({"id": name, "processing_status": status})

    async def _anthropic_results(self, request: web.Request) -> web.Response:
        batch = self.batches[request.match_info["id"]]
        lines = [
            {"custom_id": call["custom_id"], "result": _anthropic_result(call["params"])}
            for call in batch["calls"]
        ]
        return web.Response(text="\n".join(map(json.dumps, lines)))

    async def _anthropic_single(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.single.append(_text(body["messages"][-1]["content"]))
        return web.json_response(_message("again", body["model"]))

    # Gemini

    async def _gemini_post(self, request: web.Request) -> web.Response:
        self.headers.append(dict(request.headers))
        model, _, verb = request.match_info["verb"].partition(":")
        body = await request.json()
        if verb == "generateContent":
            self.single.append(body["contents"][-1]["parts"][0]["text"])
            return web.json_response(_gemini_answer("again", model))
        assert verb == "batchGenerateContent"
        calls = body["batch"]["inputConfig"]["requests"]["requests"]
        name = self._begin("batches", calls, model=model, mark=body["batch"]["displayName"])
        return web.json_response(
            {"name": f"batches/{name}", "metadata": {"state": "BATCH_STATE_PENDING"}}
        )

    async def _gemini_list(self, request: web.Request) -> web.Response:
        operations = [
            {"name": f"batches/{name}", "metadata": {"displayName": batch.get("mark", "")}}
            for name, batch in self.batches.items()
        ]
        return web.json_response({"operations": operations})

    async def _gemini_get(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        batch, is_over = self._look(name)
        answer: dict[str, Any] = {
            "name": f"batches/{name}",
            "metadata": {"state": "BATCH_STATE_RUNNING"},
        }
        if is_over:
            inlined = [_gemini_entry(call, batch["model"]) for call in batch["calls"]]
            answer |= {
                "done": True,
                "metadata": {"state": "BATCH_STATE_SUCCEEDED"},
                "response": {"inlinedResponses": {"inlinedResponses": inlined}},
            }
        return web.json_response(answer)


def _text(content: Any) -> str:
    return content if isinstance(content, str) else content[-1]["text"]


def _openai_answer(asked: str, model: str) -> tuple[int, dict[str, Any]]:
    if "fail" in asked:
        return 400, {"error": {"message": "no", "type": "invalid_request_error", "code": "bad"}}
    if "busy" in asked:
        return 429, {"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate"}}
    return 200, {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": f"You asked: {asked}"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
    }


def _message(asked: str, model: str) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": f"You asked: {asked}"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1000, "output_tokens": 100},
    }


def _anthropic_result(params: dict[str, Any]) -> dict[str, Any]:
    asked = _text(params["messages"][-1]["content"])
    if "lost" in asked:
        return {"type": "expired"}
    kind = "invalid_request_error" if "fail" in asked else "rate_limit_error"
    if "fail" in asked or "busy" in asked:
        error = {"type": kind, "message": "no"}
        return {"type": "errored", "error": {"type": "error", "error": error}}
    return {"type": "succeeded", "message": _message(asked, params["model"])}


def _gemini_answer(asked: str, model: str) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": f"You asked: {asked}"}]}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 1000,
            "candidatesTokenCount": 100,
            "totalTokenCount": 1100,
        },
        "modelVersion": model,
        "responseId": "r1",
    }


def _gemini_entry(call: dict[str, Any], model: str) -> dict[str, Any]:
    asked = call["request"]["contents"][-1]["parts"][0]["text"]
    if "fail" in asked:
        return {"metadata": call["metadata"], "error": {"code": 3, "message": "no"}}
    if "busy" in asked or "lost" in asked:
        return {"metadata": call["metadata"], "error": {"code": 8, "message": "no"}}
    return {"metadata": call["metadata"], "response": _gemini_answer(asked, model)}
