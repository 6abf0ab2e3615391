"""The nouns: an uploaded file, a batch, one request of it; and their shapes on the wire.

Source: https://platform.openai.com/docs/api-reference/batch and .../files
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from santral.errors import BadRequest

Status = Literal[
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
]

#: States in which nothing is left to do.
ENDED: frozenset[Status] = frozenset({"failed", "completed", "expired", "cancelled"})

#: What a batch may ask for. ``/v1/messages`` is ours: the others are OpenAI's.
ENDPOINTS = (
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
    "/v1/messages",
)

PURPOSES = ("batch", "batch_output", "assistants", "fine-tune", "user_data", "vision", "evals")


class StoredFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file of a tenant. ``groups`` are of the key whose answers it holds: others do not read it."""

    id: str
    filename: str
    purpose: str
    bytes: int
    created_at: int  # seconds since the Unix epoch
    groups: list[str] = []
    is_of_named_groups: bool = False  # that key says with each request whose documents it may see

    def wire(self) -> dict[str, Any]:
        """Return OpenAI's ``file`` object."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": self.created_at,
            "expires_at": None,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


class LineError(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong with one line of an input file."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class Counts(Struct, frozen=True, kw_only=True):
    """Requests of a batch by what became of them."""

    total: int = 0
    completed: int = 0
    failed: int = 0


class Native(Struct, frozen=True, kw_only=True):
    """A part of a batch that a provider answers in a batch of its own."""

    deployment: str
    reference: str  # the provider's id
    is_over: bool = False


class Batch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One batch as it is kept. Times are seconds since the Unix epoch, 0 where not reached."""

    id: str
    tenant_id: str
    key_id: str
    endpoint: str
    input_file_id: str
    completion_window: str
    created_at: int
    expires_at: int
    status: Status = "validating"
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    counts: Counts = Counts()
    errors: list[LineError] = []
    output_file_id: str = ""
    error_file_id: str = ""
    in_progress_at: int = 0
    finalizing_at: int = 0
    completed_at: int = 0
    failed_at: int = 0
    expired_at: int = 0
    cancelling_at: int = 0
    cancelled_at: int = 0
    native: list[Native] = []
    groups: list[str] = []  # whose documents its key may be answered from
    is_of_named_groups: bool = False  # its requests say whose, in place of the key's own

    @property
    def is_over(self) -> bool:
        return self.status in ENDED

    def moved(self, status: Status, now: int, **changes: Any) -> Batch:
        """Return the batch in another state, entered ``now``."""
        moment = {} if status == "validating" else {f"{status}_at": now}
        return msgspec.structs.replace(self, status=status, **moment, **changes)

    def wire(self) -> dict[str, Any]:
        """Return OpenAI's ``batch`` object."""
        times = {
            name: getattr(self, name) or None
            for name in (
                "in_progress_at",
                "expires_at",
                "finalizing_at",
                "completed_at",
                "failed_at",
                "expired_at",
                "cancelling_at",
                "cancelled_at",
            )
        }
        errors = [msgspec.to_builtins(error) for error in self.errors]
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "errors": {"object": "list", "data": errors} if errors else None,
            "input_file_id": self.input_file_id,
            "completion_window": self.completion_window,
            "status": self.status,
            "output_file_id": self.output_file_id or None,
            "error_file_id": self.error_file_id or None,
            "created_at": self.created_at,
            **times,
            "request_counts": msgspec.to_builtins(self.counts),
            "metadata": self.metadata or None,
        }


class CreateBatch(Struct, frozen=True, kw_only=True):
    """The body of ``POST /v1/batches``."""

    input_file_id: str
    endpoint: str
    completion_window: str = "24h"
    metadata: dict[str, str] | None = None
    output_expires_after: dict[str, Any] | None = None


class Line(Struct, frozen=True, kw_only=True):
    """One request of a batch: a line of its input file."""

    custom_id: str
    url: str
    body: msgspec.Raw
    method: str = "POST"


def request_id(batch: Batch, line: Line) -> str:
    """Return the id of one request of a batch: the same whenever it is asked."""
    name = f"{batch.tenant_id}/{batch.id}/{line.custom_id}".encode()
    return f"batch_req_{hashlib.blake2b(name, digest_size=16).hexdigest()}"


def answers_id(batch_id: str, kind: str) -> str:
    """Return the id of a batch's file of answers, ``output`` or ``error``.

    Made from the batch: a crash between the file and the batch makes no second file.
    """
    return f"file-{hashlib.blake2b(f'{batch_id}/{kind}'.encode(), digest_size=16).hexdigest()}"


class Result(Struct, frozen=True, kw_only=True):
    """What became of one request: a line of the output or error file."""

    id: str
    custom_id: str
    response: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    @property
    def is_success(self) -> bool:
        return self.response is not None and self.response["status_code"] < 400


class _Body(Struct, frozen=True):
    stream: bool | None = None


_lines = msgspec.json.Decoder(Line)
_bodies = msgspec.json.Decoder(_Body)


def read_lines(data: bytes, endpoint: str, max_lines: int) -> tuple[list[Line], list[LineError]]:
    """Return the requests of an input file, and everything that is wrong with it."""
    lines: list[Line] = []
    errors: list[LineError] = []
    seen: set[str] = set()
    for number, raw in enumerate(data.splitlines(), 1):
        if not raw.strip():
            continue
        line = _line(raw, number, endpoint, seen)
        if isinstance(line, LineError):
            errors.append(line)
        else:
            seen.add(line.custom_id)
            lines.append(line)
        if len(errors) >= MAX_ERRORS:
            break
    if not lines and not errors:
        errors.append(LineError(code="empty_file", message="The input file holds no request."))
    if len(lines) > max_lines:
        message = f"The file holds {len(lines)} requests; at most {max_lines} are taken (batches.max_lines)."
        errors.append(LineError(code="too_many_requests", message=message))
    return lines, errors


#: Errors of one input file that are told. Chosen.
MAX_ERRORS = 100


def _line(raw: bytes, number: int, endpoint: str, seen: set[str]) -> Line | LineError:
    def wrong(code: str, message: str, param: str | None = None) -> LineError:
        return LineError(code=code, message=message, line=number, param=param)

    try:
        line = _lines.decode(raw)
        body = _bodies.decode(line.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return wrong("invalid_json_line", f"Not a request of a batch: {error}.")
    if line.method != "POST":
        return wrong("invalid_method", f"The method is POST, not {line.method}.", "method")
    if line.url != endpoint:
        return wrong("mismatched_endpoint", f"The batch asks {endpoint}, not {line.url}.", "url")
    if not line.custom_id or len(line.custom_id) > 512:
        return wrong("invalid_custom_id", "custom_id has 1 to 512 characters.", "custom_id")
    if line.custom_id in seen:
        return wrong(
            "duplicate_custom_id", f"'{line.custom_id}' is used in another line.", "custom_id"
        )
    if body.stream:
        return wrong("stream_not_supported", "A batch cannot stream.", "body.stream")
    return line


def read_create(body: bytes) -> CreateBatch:
    """Read the body of ``POST /v1/batches``.

    Raises:
        BadRequest: malformed, another endpoint or window; names the place.
    """
    try:
        wish = msgspec.json.decode(body, type=CreateBatch)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{error}.", code="invalid_request") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}", code="invalid_json") from None
    if wish.endpoint not in ENDPOINTS:
        raise BadRequest(
            f"A batch cannot ask '{wish.endpoint[:100]}'. It can ask {', '.join(ENDPOINTS)}.",
            code="invalid_request",
            param="endpoint",
        )
    if wish.completion_window != "24h":
        raise BadRequest(
            "completion_window is '24h'.", code="invalid_request", param="completion_window"
        )
    return wish
