"""The data plane as plain ASGI: which endpoint answers, and what needs no conversation."""

from __future__ import annotations

import random  # noqa: TID251 - for the type alone; the generator is an argument
import re
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from santral.errors import BadRequest, MethodNotAllowed, NotFound, SantralError, nearest
from santral.gateway.attendance import Attendance, ClientLeft, Receive
from santral.gateway.batches.cabinet import Cabinet
from santral.gateway.batches.endpoints import Batches, Files
from santral.gateway.batches.runner import BatchRunner
from santral.gateway.context import Dialect
from santral.gateway.conversation import Conversation
from santral.gateway.desk import Desk, Handler, Scope
from santral.gateway.dialects.chat import ChatDialect
from santral.gateway.dialects.completions import CompletionsDialect
from santral.gateway.dialects.gemini.dialect import GeminiDialect
from santral.gateway.dialects.gemini.lookup import list_all, show_one, token_count
from santral.gateway.dialects.messages.count import CountTokens
from santral.gateway.dialects.messages.dialect import MessagesDialect
from santral.gateway.dialects.responses.dialect import ResponsesDialect
from santral.gateway.dialects.responses.lookup import Lookup
from santral.gateway.dialects.responses.state import ResponseStore
from santral.gateway.feedback import MAX_BODY_BYTES as FEEDBACK_BYTES
from santral.gateway.feedback import Feedback
from santral.gateway.held.cabinet import HeldCabinet
from santral.gateway.held.endpoint import HeldAnswers
from santral.gateway.models import list_models, one_model
from santral.gateway.objects import ObjectFolder
from santral.gateway.respond import Send, id_headers
from santral.gateway.stages import Stages
from santral.gateway.state import Current
from santral.gateway.tasks.embeddings import EmbeddingsTask
from santral.gateway.tasks.moderations import ModerationsTask
from santral.gateway.tasks.rerank import RerankTask
from santral.gateway.tasks.task import Task, TaskDialect, TaskHandler
from santral.tenants.scope import KeyScope
from santral.tenants.url import refuse_key_in_url
from santral.traces.metrics import CONTENT_TYPE, Metrics

Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]

CHAT = ChatDialect()

#: What a multipart form adds to its file. Chosen: generous.
FORM_BYTES = 64 * 1024
GEMINI = GeminiDialect()
MESSAGES = MessagesDialect()


class GatewayApp:
    """The ASGI application of a gateway worker."""

    def __init__(
        self,
        current: Current,
        stages: Stages,
        attendance: Attendance,
        metrics: Metrics,
        rng: random.Random,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.current = current
        #: Renders the numbers of all processes; the composition root sets it, where there are others.
        self.render_metrics: Callable[[], Awaitable[str]] = partial(_rendered, metrics)
        self._rng = rng
        self._desk = Desk(current, stages, attendance, rng, clock, wall)
        in_flight = metrics["santral_in_flight"].child()
        metrics.watch(lambda: in_flight.set(len(attendance)))
        conversation = Conversation(stages)
        self.responses = store = ResponseStore(
            ObjectFolder(current.snapshot.config.data.folder / "objects", "responses", wall),
            lambda: current.snapshot.config.responses,
        )
        responses = ResponsesDialect(store, wall)
        spoken = (CHAT, CompletionsDialect(), MESSAGES, responses, GEMINI)
        self.held = HeldAnswers(
            HeldCabinet(current.snapshot.config.data.folder / "objects", wall),
            stages,
            {dialect.name: dialect for dialect in spoken},
            current,
            wall,
        )
        cabinet = Cabinet(current.snapshot.config.data.folder / "objects")
        self.batches = BatchRunner(self, cabinet, current, attendance, wall)
        files, batches = Files(cabinet, wall), Batches(cabinet, wall, self.batches.wake)
        self.feedback = feedback = Feedback(current, stages.trace.spool, metrics, rng, clock, wall)
        #: Endpoints by exact path, then by pattern, whose named groups become ``Inbound.parts``.
        self._endpoints: dict[str, dict[str, Endpoint]] = {
            "/v1/chat/completions": {"POST": self._at_desk(CHAT, conversation, "conversations")},
            "/v1/completions": {
                "POST": self._at_desk(CompletionsDialect(), conversation, "conversations")
            },
            "/v1/messages": {"POST": self._at_desk(MESSAGES, conversation, "conversations")},
            "/v1/messages/count_tokens": {
                "POST": self._at_desk(MESSAGES, CountTokens(stages), "conversations")
            },
            "/v1/responses": {"POST": self._at_desk(responses, conversation, "responses")},
            "/v1/embeddings": {"POST": self._at_task(EmbeddingsTask(), stages, "embeddings")},
            "/v1/rerank": {"POST": self._at_task(RerankTask(), stages, "rerank")},
            "/v2/rerank": {"POST": self._at_task(RerankTask(), stages, "rerank")},
            "/v1/moderations": {"POST": self._at_task(ModerationsTask(), stages, "moderations")},
            "/v1/files": {
                "POST": self._upload(files),
                "GET": self._at_desk(CHAT, files.list, "files"),
            },
            "/v1/batches": {
                "POST": self._at_desk(CHAT, batches.create, "batches"),
                "GET": self._at_desk(CHAT, batches.list, "batches"),
            },
            **self._feedback(feedback),
            "/v1/models": {"GET": self._models},
            "/health/live": {"GET": self._live},
            "/health/ready": {"GET": self._ready},
            "/metrics": {"GET": self._show_metrics},
        }
        self._patterns: list[tuple[re.Pattern[str], dict[str, Endpoint]]] = [
            *self._kept_responses(responses, Lookup(store)),
            *self._google(conversation, CountTokens(stages, token_count)),
            *self._kept_files(files, batches),
            (
                re.compile("/v1/held/(?P<id>[^/]+)"),
                {"GET": self._at_desk(CHAT, self.held.show, "held")},
            ),
            (re.compile("/v1/models/(?P<model>.+)"), {"GET": self._model}),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise BadRequest(f"Santral speaks HTTP here, not {scope['type']}.")
        methods = self._endpoints.get(scope["path"]) or self._by_pattern(scope)
        endpoint = methods.get(scope["method"]) if methods else None
        try:
            refuse_key_in_url(scope["path"], scope.get("query_string", b""))
            if endpoint is None:
                raise self._no_endpoint(scope, methods)
            await endpoint(scope, receive, send)
        except SantralError as error:
            await self._send_error(send, error, _dialect_of(scope))
        except ClientLeft:
            pass

    def _at_desk(self, dialect: Dialect, handle: Handler, asks: KeyScope) -> Endpoint:
        async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
            await self._desk.serve(scope, receive, send, dialect, handle, asks=asks)

        return endpoint

    def _feedback(self, feedback: Feedback) -> dict[str, dict[str, Endpoint]]:
        def taken(handle: Handler) -> Endpoint:
            async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
                await self._desk.serve(
                    scope,
                    receive,
                    send,
                    CHAT,
                    handle,
                    asks="feedback",
                    max_body_bytes=FEEDBACK_BYTES,
                )

            return endpoint

        return {
            "/v1/feedback": {
                "POST": feedback.with_tokens(taken(feedback.give)),
                "DELETE": feedback.with_tokens(taken(feedback.retract)),
                "OPTIONS": feedback.preflight,
            },
            "/v1/feedback/tokens": {"POST": taken(feedback.token)},
        }

    def _at_task(self, task: Task, stages: Stages, asks: KeyScope) -> Endpoint:
        return self._at_desk(TaskDialect(task.name), TaskHandler(task, stages), asks)

    def _google(
        self, conversation: Handler, count: Handler
    ) -> list[tuple[re.Pattern[str], dict[str, Endpoint]]]:
        """Gemini's endpoints; a model's name may hold ``/`` and ``:``, the last ``:`` ends it."""

        # Official SDKs ask below /v1 or /v1beta, by their version.
        model = "/v1(?:beta|alpha)?/models/(?P<model>.+)"
        return [
            (re.compile("/v1beta/models"), {"GET": self._at_desk(GEMINI, list_all, "models")}),
            (
                re.compile(f"{model}:(?P<verb>generateContent|streamGenerateContent)"),
                {"POST": self._at_desk(GEMINI, conversation, "conversations")},
            ),
            (
                re.compile(f"{model}:(?P<verb>countTokens)"),
                {"POST": self._at_desk(GEMINI, count, "conversations")},
            ),
            (
                re.compile("/v1beta/models/(?P<model>.+)"),
                {"GET": self._at_desk(GEMINI, show_one, "models")},
            ),
        ]

    def _kept_responses(
        self, dialect: Dialect, lookup: Lookup
    ) -> list[tuple[re.Pattern[str], dict[str, Endpoint]]]:
        one = {
            "GET": self._at_desk(dialect, lookup.retrieve, "responses"),
            "DELETE": self._at_desk(dialect, lookup.delete, "responses"),
        }
        items = {"GET": self._at_desk(dialect, lookup.list_input, "responses")}
        cancel = {"POST": self._at_desk(dialect, lookup.cancel, "responses")}
        return [
            (re.compile("/v1/responses/(?P<id>[^/]+)"), one),
            (re.compile("/v1/responses/(?P<id>[^/]+)/input_items"), items),
            (re.compile("/v1/responses/(?P<id>[^/]+)/cancel"), cancel),
        ]

    def _upload(self, files: Files) -> Endpoint:
        async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
            most = self.current.snapshot.config.batches.max_file_bytes + FORM_BYTES
            await self._desk.serve(
                scope, receive, send, CHAT, files.upload, asks="files", max_body_bytes=most
            )

        return endpoint

    def _kept_files(
        self, files: Files, batches: Batches
    ) -> list[tuple[re.Pattern[str], dict[str, Endpoint]]]:
        one = {
            "GET": self._at_desk(CHAT, files.retrieve, "files"),
            "DELETE": self._at_desk(CHAT, files.delete, "files"),
        }
        return [
            (re.compile("/v1/files/(?P<id>[^/]+)"), one),
            (
                re.compile("/v1/files/(?P<id>[^/]+)/content"),
                {"GET": self._at_desk(CHAT, files.content, "files")},
            ),
            (
                re.compile("/v1/batches/(?P<id>[^/]+)"),
                {"GET": self._at_desk(CHAT, batches.retrieve, "batches")},
            ),
            (
                re.compile("/v1/batches/(?P<id>[^/]+)/cancel"),
                {"POST": self._at_desk(CHAT, batches.cancel, "batches")},
            ),
        ]

    def _by_pattern(self, scope: Scope) -> dict[str, Endpoint] | None:
        for pattern, methods in self._patterns:
            found = pattern.fullmatch(scope["path"])
            if found is not None:
                scope["santral.parts"] = found.groupdict()
                return methods
        return None

    def _no_endpoint(self, scope: Scope, methods: dict[str, Endpoint] | None) -> SantralError:
        path, method = scope["path"], scope["method"]
        verb = _VERB.search(path)
        if verb and method == "POST":
            return MethodNotAllowed(
                f"Of Gemini's methods there are {_VERBS}, not {verb[1][:64]}. Embeddings are at "
                "/v1/embeddings, in OpenAI's form."
            )
        if methods:
            return MethodNotAllowed(f"{path} takes {', '.join(methods)}, not {method}.")
        hint = nearest(path, self._endpoints)
        return NotFound(f"There is no endpoint {path}.{hint}", code="unknown_endpoint")

    async def _models(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        ctx = self._desk.new_context(scope, headers, CHAT, "models")
        answer = list_models(ctx, headers, scope.get("query_string", b""))
        await self._send_json(send, 200, answer)

    async def _model(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        ctx = self._desk.new_context(scope, headers, CHAT, "models")
        answer = one_model(ctx, headers, scope["santral.parts"]["model"])
        await self._send_json(send, 200, answer)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._send_json(send, 200, {"status": "live"})

    async def _ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        reasons = self.current.reasons_not_ready()
        status = 503 if reasons else 200
        await self._send_json(
            send, status, {"status": "not ready" if reasons else "ready", "reasons": reasons}
        )

    async def _show_metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _respond(
            send,
            200,
            [(b"content-type", CONTENT_TYPE.encode())],
            (await self.render_metrics()).encode(),
        )

    async def _send_json(self, send: Send, status: int, body: object) -> None:
        name, value = b"x-request-id", self._request_id().encode()
        headers = [(b"content-type", b"application/json"), (name, value)]
        await _respond(send, status, headers, msgspec.json.encode(body))

    async def _send_error(self, send: Send, error: SantralError, dialect: Dialect) -> None:
        request_id = self._request_id()
        status, headers, body = dialect.error(error, request_id)
        headers += [
            (b"content-type", b"application/json"),
            *id_headers(dialect.name, request_id),
        ]
        await _respond(send, status, headers, body)

    def _request_id(self) -> str:
        return f"req_{self._rng.getrandbits(96):024x}"


#: Whose errors a path's callers expect, by how it begins; all others expect OpenAI's.
_DIALECTS: tuple[tuple[str, Dialect], ...] = (
    ("/v1/messages", MESSAGES),
    ("/v1beta/", GEMINI),
)


def _dialect_of(scope: Scope) -> Dialect:
    path = scope["path"]
    if _GOOGLES.search(path) or any(name == b"x-goog-api-key" for name, _ in scope["headers"]):
        return GEMINI
    return next((dialect for start, dialect in _DIALECTS if path.startswith(start)), CHAT)


#: A method of a model, as Google's own endpoints name them; models may have a colon and a number.
_VERB = re.compile("^/v1(?:beta|alpha)/models/.+:([A-Za-z]+)$")
_VERBS = "generateContent, streamGenerateContent and countTokens"

#: What Gemini's clients ask for below ``/v1``, which is also OpenAI's.
_GOOGLES = re.compile("/models/.+:(?:generateContent|streamGenerateContent|countTokens)$")


async def _rendered(metrics: Metrics) -> str:
    return metrics.render()


async def _respond(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
