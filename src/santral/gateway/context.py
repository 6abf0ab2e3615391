"""What is known about one request while it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from santral.guardrails.entities.mask import Placeholders
from santral.traces.record import (
    AttemptRecord,
    Attribute,
    ExposureRecord,
    SpanRecord,
    VerdictRecord,
)
from santral.wire.delta import Delta, Source
from santral.wire.loss import Losses

if TYPE_CHECKING:
    from msgspec import Raw

    from santral.errors import SantralError
    from santral.gateway.attendance import Guest
    from santral.gateway.citations.citation import Citation
    from santral.gateway.inbound import Inbound, Writer
    from santral.gateway.state import RouteState, Snapshot
    from santral.quota.limiter import Hold
    from santral.tenants.keyring import Caller
    from santral.web.errors import ErrorAnswer
    from santral.wire.chat import ChatCall
    from santral.wire.task import TaskRequest

#: Ids of a request's own steps: they count up, and are unique within their trace. The root's id is
#: random, because providers are told it.
_SPAN_IDS = tuple(f"{number:016x}" for number in range(64))

#: Codes of requests that were cut short.
CLIENT_LEFT, STOPPING = "client_left", "gateway_stopping"
#: Code of an attempt that was cancelled because another one beside it was quicker.
HEDGE_LOST = "hedge_lost"

Emit: TypeAlias = Callable[[Delta], Awaitable[None]]


class RequestContext:
    """One request. Each field is written by exactly one stage; its comment says which."""

    __slots__ = (
        "answer_text",
        "arm_prompt",
        "arm_search",
        "arm_settings",
        "attempts",
        "body_bytes",
        "cache",
        "cache_entry",
        "cache_saved_nanousd",
        "cache_similarity",
        "call",
        "caller",
        "caller_headers",
        "caller_trace_id",
        "citations",
        "clock",
        "deployment",
        "dialect",
        "experiment",
        "exposures",
        "fall_to",
        "groups",
        "guest",
        "hold",
        "inbound",
        "index_generation",
        "is_committed",
        "is_degraded",
        "is_guarded",
        "is_inner",
        "is_prepaid",
        "is_reviewed",
        "losses",
        "output_cap",
        "output_schema",
        "parent_span_id",
        "pinned",
        "placeholders",
        "prompt",
        "prompt_schema",
        "prompt_settings",
        "prompt_version",
        "question",
        "request_id",
        "requested_model",
        "response_id",
        "root_span_id",
        "route",
        "route_decision",
        "said",
        "send_copies",
        "snapshot",
        "sources",
        "spans",
        "started",
        "started_at_us",
        "task",
        "trace_id",
        "ttft_us",
        "unit_tokens",
        "unknown_answer",
        "variant",
        "verdicts",
    )

    def __init__(
        self,
        *,
        request_id: str,
        trace_id: str,
        caller_trace_id: str,
        parent_span_id: str,
        root_span_id: str,
        caller: Caller,
        snapshot: Snapshot,
        dialect: Dialect,
        clock: Callable[[], float],
        started_at_us: int,
    ) -> None:
        self.request_id = request_id  # api
        self.trace_id = trace_id  # api: ours, one per request
        self.caller_trace_id = caller_trace_id  # api: from traceparent, may be empty
        self.parent_span_id = parent_span_id  # api: the caller's span, or empty
        self.root_span_id = root_span_id  # api
        self.caller = caller  # api
        self.snapshot = snapshot  # api: configuration and prompts this request started on
        self.dialect = dialect  # api: how the caller speaks
        self.clock = clock  # api
        self.started = clock()  # api
        self.started_at_us = started_at_us  # api
        self.guest: Guest | None = None  # api: how the request is attended to
        self.body_bytes = 0  # api
        self.caller_headers: dict[str, str] = {}  # api: those a provider may be told
        self.requested_model = ""  # api
        self.inbound: Inbound  # api: as it came, of a conversation
        self.call: ChatCall  # api reads it; compose, retrieve and input_guard change its messages
        self.task: TaskRequest | None = None  # api: in place of call, where it is no conversation
        self.route: RouteState  # api; assign puts what arms change in its place
        self.hold: Hold | None = None  # quota
        self.fall_to = ""  # quota: the only deployment that may answer, a limit being used up
        self.unit_tokens = 0  # quota: estimate of the input; generate adds to it
        self.placeholders = Placeholders()  # input_guard, retrieve and validate_output share them
        self.output_cap: int | None = None  # quota: most output tokens the provider may make
        self.losses = Losses()  # quota and generate: what was dropped or changed on the way
        self.is_guarded = False  # input_guard: the messages are masked as the policy wants
        self.said: list[
            Any
        ] = []  # input_guard: the caller's messages, masked, without prompt and sources
        self.prompt = ""  # compose
        self.prompt_version = ""  # compose
        self.prompt_settings: dict[str, Any] = {}  # compose: model settings of the prompt
        self.prompt_schema: dict[str, Any] | None = None  # compose: its output schema
        self.experiment = ""  # assign: the first that the request takes part in
        self.variant = ""  # assign
        self.exposures: list[ExposureRecord] = []  # assign: what the request's units see
        self.arm_prompt = ""  # assign: in place of the route's
        self.arm_settings: Mapping[str, Any] = {}  # assign: of the model, before the prompt's own
        self.arm_search: Mapping[str, Any] = {}  # assign: options of the search
        self.groups: frozenset[str] = frozenset()  # retrieve: whose documents the caller sees
        self.index_generation = ""  # retrieve: of the index that was searched, with its owner
        self.unknown_answer = ""  # retrieve: what is answered in place of a model
        self.question = ""  # retrieve: what was searched for
        self.sources: tuple[Source, ...] = ()  # retrieve
        self.citations: list[Citation] = []  # cite: what the answer cites, as the caller may see it
        self.output_schema: bytes | None = None  # validate_output: JSON Schema of the answer
        self.cache = "off"  # generate: off, miss, hit, semantic, collapsed
        self.cache_entry = ""  # generate: the beginning of the key, to kill an answer by
        self.cache_similarity = (
            0.0  # generate: of the question whose answer was, or would be, given
        )
        self.cache_saved_nanousd = 0  # generate: what making this answer has cost before
        self.route_decision: dict[str, Attribute] = {}  # route: why these deployments were asked
        self.send_copies: Callable[[], None] | None = None  # route: mirrors, once the answer left
        self.deployment = ""  # generate
        self.attempts: list[AttemptRecord] = []  # generate
        self.is_degraded = False  # generate: a last rung or last resort answers
        self.ttft_us: int | None = None  # generate: first content, at our socket
        self.pinned = ""  # api: the only deployment that may answer, of a batch's request
        self.is_inner = False  # api: it was asked from inside, for a batch
        self.is_prepaid = False  # api: it has been answered by a provider's batch
        self.is_committed = False  # respond: something has been sent, no way back
        self.response_id = ""  # validate_output, or the dialect that makes its own
        self.is_reviewed = False  # validate_output: a person let this one answer go
        self.answer_text = ""  # validate_output: what the caller got
        self.verdicts: list[VerdictRecord] = []  # input_guard, retrieve, validate_output
        self.spans: list[SpanRecord] = []  # every stage adds its own

    @property
    def asked(self) -> ChatCall | TaskRequest | None:
        """What came in: a conversation or a task; None while it could not be read."""
        return self.task or getattr(self, "call", None)

    @property
    def interruption(self) -> str:
        """Why the request was cancelled: its client left, or the gateway is stopping."""
        return STOPPING if self.guest is not None and self.guest.is_stopped else CLIENT_LEFT

    def elapsed_us(self) -> int:
        """Microseconds since the request was accepted."""
        return int((self.clock() - self.started) * 1e6)

    @property
    def w3c_trace_id(self) -> str:
        """The trace that providers are told about: the caller's own where it has one."""
        return self.caller_trace_id or self.trace_id

    def add_span(
        self,
        name: str,
        start_us: int,
        *,
        error: str = "",
        attributes: dict[str, Attribute] | None = None,
    ) -> None:
        """Record a step that began at ``start_us`` and ends now."""
        number = len(self.spans) + 1
        self.spans.append(
            SpanRecord(
                id=_SPAN_IDS[number] if number < len(_SPAN_IDS) else f"{number:016x}",
                parent_id=self.root_span_id,
                name=name,
                start_us=start_us,
                duration_us=self.elapsed_us() - start_us,
                error=error,
                attributes=attributes or {},
            )
        )


class Dialect(Protocol):
    """A protocol that callers speak."""

    @property
    def name(self) -> str:
        """What traces call it: chat, messages, responses, completions, gemini."""
        ...

    async def parse(self, inbound: Inbound, ctx: RequestContext) -> ChatCall:
        """Read a request into the internal form.

        Raises:
            BadRequest: malformed; the message names the place in the caller's own words.
        """
        ...

    def writer(self, ctx: RequestContext) -> Writer:
        """Return the writer of the answer to ``ctx.call``."""
        ...

    @property
    def cites_blocks(self) -> bool:
        """Whether a citation belongs to a block of text, not to a place in all of it."""
        ...

    def citation(self, citation: Citation) -> Raw:
        """Return a citation as an annotation that this protocol's writer understands."""
        ...

    def error(self, error: SantralError, request_id: str) -> ErrorAnswer:
        """Return an error as this protocol's clients expect it."""
        ...

    def limit_headers(self, headers: Mapping[str, str]) -> Iterable[tuple[bytes, bytes]]:
        """Return rate limits, given in OpenAI's names, under this protocol's names."""
        ...
