"""Chat completions as OpenAI speaks them: the request read once, its unknown fields kept.

A request is decoded twice from the same bytes, both times in C: into a typed view of the fields
Santral looks at, and into raw slices of every top-level field, so that what we do not know rides
through byte for byte. Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Raw, Struct

from santral.errors import BadRequest, nearest

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool", "function"]


#: Stands for a field that is not there: what rides through as ``Raw`` cannot be None.
NULL = Raw(b"null")


class FunctionCall(Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class CustomCall(Struct, frozen=True):
    input: str | None = None


class ToolCall(Struct, frozen=True):
    index: int = 0
    id: str | None = None
    type: str | None = None
    function: FunctionCall | None = None
    custom: CustomCall | None = None  # a tool that takes plain text


class FilePart(Struct, frozen=True):
    filename: str | None = None
    file_data: str | None = None  # a data: URL


class ContentPart(Struct, frozen=True):
    """One part of a message. Images and sounds ride through unread."""

    type: str
    text: str | None = None
    refusal: str | None = None
    block: Raw = NULL  # of a part that only one dialect knows
    file: FilePart | None = None


class Message(Struct, frozen=True):
    role: Role
    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    function_call: FunctionCall | None = None  # what tool calls were before
    reasoning_content: Any = None  # a text where vendors of reasoning models agree
    reasoning: Any = None
    reasoning_details: Raw = NULL

    @property
    def text(self) -> str:
        """All the text of the message, parts joined by line feeds."""
        if isinstance(self.content, str):
            return self.content
        if self.content is None:
            return ""
        return "\n".join(part.text for part in self.content if part.text)


class StreamOptions(Struct, frozen=True):
    include_usage: bool = False


class JsonSchemaFormat(Struct, frozen=True):
    name: str = "answer"
    schema: Raw = Raw(b"{}")
    strict: bool | None = None


class ResponseFormat(Struct, frozen=True):
    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: JsonSchemaFormat | None = None


class PromptExtra(Struct, frozen=True, forbid_unknown_fields=True):
    """Which prompt to compose with; at most one of ``version`` and ``label``."""

    name: str
    version: str | None = None
    label: str | None = None
    variables: dict[str, Any] = {}


class RetrievalExtra(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to search, for whom, and how; settings of a search are checked by what searches.

    A request does not name the route that rewrites questions: its key may not be for that.
    """

    collection: str | None = None
    filters: dict[str, Any] = {}
    groups: list[str] | None = (
        None  # whose documents; only those a key holds, unless it names groups
    )
    top_k: Any = UNSET
    max_tokens: Any = UNSET
    weights: Any = UNSET
    candidates: Any = UNSET
    rewrite: Any = UNSET
    queries: Any = UNSET
    hyde: Any = UNSET
    rerank: Any = UNSET
    rerank_candidates: Any = UNSET
    diversity: Any = UNSET
    recency_half_life_days: Any = UNSET
    neighbours: Any = UNSET
    parents: Any = UNSET
    order: Any = UNSET
    whole_document_tokens: Any = UNSET
    min_score: Any = UNSET

    @property
    def options(self) -> dict[str, Any]:
        """The settings of a search that the request says otherwise than its collection."""
        given = {name: getattr(self, name) for name in SEARCH_OPTIONS}
        return {name: value for name, value in given.items() if value is not UNSET}


#: What of a search a request may set: the fields of RetrievalExtra that are no names of its own.
SEARCH_OPTIONS = RetrievalExtra.__struct_fields__[3:]


class CacheExtra(Struct, frozen=True, forbid_unknown_fields=True):
    """How much less than its route a request takes from a cache: nothing here widens it."""

    semantic: bool | None = None  # false: equal requests only
    threshold: float | None = None  # higher than the route's; a lower one changes nothing


class Extras(Struct, frozen=True, forbid_unknown_fields=True):
    """The ``santral`` field of a request body."""

    prompt: PromptExtra | None = None
    retrieval: RetrievalExtra | None = None
    session: str | None = None
    user: str | None = None
    tags: dict[str, str] = {}
    cache: bool | CacheExtra | None = None
    priority: Literal["interactive", "batch"] | None = None  # who waits for room first
    shadow: bool | None = None  # false: no copy of this request for deployments on trial
    output_schema: Raw = Raw(b"")  # empty: none given


#: A number of tokens that a limit can count with. Chosen: beyond any window.
Count: TypeAlias = Annotated[int, Meta(le=2**31)]
#: How many answers may be asked for at once. Specified: OpenAI's maximum.
Choices: TypeAlias = Annotated[int, Meta(le=128)]


class ChatRequest(Struct, frozen=True):
    """The fields of a chat request that Santral looks at."""

    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    n: Choices | None = None
    response_format: ResponseFormat | None = None
    user: str | None = None
    prediction: Raw = NULL
    santral: Extras | None = None


_view_decoder = msgspec.json.Decoder(ChatRequest)
_fields_decoder = msgspec.json.Decoder(dict[str, Raw])
_messages_decoder = msgspec.json.Decoder(list[Raw])


class ChatCall:
    """One conversation request: a typed ``view``, every field, and the messages to send.

    This is the one form in which a request goes through the gateway, whatever dialect it came in:
    OpenAI's chat completions, with what other dialects need carried beside
    (docs/decisions/0010-one-internal-form.md). ``dialect`` is the one it came in, ``native`` the
    top-level fields which only that dialect knows. ``messages`` holds raw slices until a stage
    replaces one; replaced ones are plain dicts.
    """

    __slots__ = ("dialect", "extras", "fields", "messages", "native", "view")

    def __init__(
        self,
        view: ChatRequest,
        fields: dict[str, Raw],
        dialect: str = "chat",
        native: dict[str, Raw] | None = None,
    ) -> None:
        self.view = view
        self.fields = fields
        self.dialect = dialect
        self.native = native or {}
        self.extras = view.santral or _NO_EXTRAS
        self.messages: list[Raw | dict[str, Any]] = [*_messages_decoder.decode(fields["messages"])]

    @property
    def max_output_tokens(self) -> int | None:
        """The most output that any reading of the request allows; None where it sets no bound.

        Engines differ in which of several bounds they heed, and take a negative one for none.
        """
        view = self.view
        asked = [n for n in (view.max_completion_tokens, view.max_tokens) if n is not None]
        if not self.fields.keys().isdisjoint(ENGINE_LIMITS):
            asked += [_bound(self.fields[name]) for name in ENGINE_LIMITS if name in self.fields]
        return None if not asked or min(asked) < 0 else max(asked)

    @property
    def answers(self) -> int:
        """How many answers a provider may make, whether or not all of them are sent."""
        best_of = self.fields.get("best_of") or self.native.get("best_of")
        made = 1 if best_of is None else _bound(best_of)
        return max(self.view.n or 1, made, 1)


#: What engines call the bound of an answer beside OpenAI's two names. They are read here because
#: the quota reserves for an answer before it is known which engine gives it. Sources: llama.cpp,
#: tools/server ("n_predict" wins over "max_tokens"); TGI and SGLang; Responses; Ollama.
ENGINE_LIMITS = ("max_length", "max_new_tokens", "max_output_tokens", "n_predict", "num_predict")

#: Every name of that bound: where a request has one of them, settings of others do not add theirs.
OUTPUT_BOUNDS = frozenset(("max_completion_tokens", "max_tokens", *ENGINE_LIMITS))


def _bound(value: Raw) -> int:
    """Return a number of tokens; what is none counts as no bound, like a negative one."""
    try:
        return msgspec.json.decode(value, type=int)
    except msgspec.DecodeError:
        return -1


_NO_EXTRAS = Extras()


def chat_call(
    fields: Mapping[str, Any], *, dialect: str, native: dict[str, Raw] | None = None
) -> ChatCall:
    """Return the call that a request of another dialect was translated into; errors as ``read_chat``."""
    return ChatCall(*read_chat(msgspec.json.encode(fields)), dialect, native)


def parse_chat(body: bytes) -> ChatCall:
    """Read a chat request; errors as ``read_chat``."""
    return ChatCall(*read_chat(body))


def read_chat(body: bytes) -> tuple[ChatRequest, dict[str, Raw]]:
    """Return the typed view of a chat request and every field as it came.

    Raises:
        BadRequest: not JSON, a wrong type, a missing field, or an unknown ``santral`` extra; the
            message names the place, ``param`` holds its path.
    """
    try:
        view = _view_decoder.decode(body)
        fields = _fields_decoder.decode(body)
        if not body.isascii():
            str(body, "utf-8")  # fields we only pass through are skipped unread by the decoder
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}", code="invalid_json") from None
    return view, fields


def invalid(text: str) -> BadRequest:
    """Turn msgspec's ``Expected `int`, got `str` - at `$.n` `` into an error that names the place."""
    reason, _, path = text.partition(" - at `")
    param = path.rstrip("`").removeprefix("$").removeprefix(".") or None
    hint = ""
    if "unknown field `" in reason:
        unknown = reason.partition("unknown field `")[2].rstrip("`")
        hint = nearest(unknown, _EXTRA_NAMES.get(param or "", _EXTRA_NAMES["santral"]))
        param = f"{param}.{unknown}" if param else unknown
        reason = f"Unknown field '{unknown}'."
        return BadRequest(f"{reason}{hint}", code="unknown_extra", param=param)
    if "missing required field `" in reason:
        missing = reason.partition("missing required field `")[2].rstrip("`")
        param = f"{param}.{missing}" if param else missing
        return BadRequest(f"'{param}' is missing.", code="invalid_request", param=param)
    place = f" at '{param}'" if param else ""
    return BadRequest(f"{reason}{place}.", code="invalid_request", param=param)


_EXTRA_NAMES: dict[str, tuple[str, ...]] = {
    "santral": Extras.__struct_fields__,
    "santral.prompt": PromptExtra.__struct_fields__,
    "santral.retrieval": RetrievalExtra.__struct_fields__,
    "santral.cache": CacheExtra.__struct_fields__,
}
