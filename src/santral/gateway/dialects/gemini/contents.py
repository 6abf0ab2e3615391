"""Gemini's contents as messages of chat completions, with what only Gemini knows carried beside.

Source: https://ai.google.dev/api/caching#Content
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from santral.errors import BadRequest
from santral.gateway.dialects.gemini.opaque import standard, unseal
from santral.gateway.dialects.gemini.read import entries_of, fields_of, read_fields
from santral.wire.chat import NULL
from santral.wire.gemini import FORMAT, SKIP_SIGNATURE, Blob, FileData, FunctionCall

_encode = msgspec.json.Encoder().encode

#: Files that only Google can open: its own, and videos by address.
_GOOGLES = ("https://generativelanguage.googleapis.com/", "gs://", "https://www.youtube.com/")

#: Sounds that chat completions can say. Source: OpenAI's input_audio.format.
_SOUNDS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mp3": "mp3", "audio/mpeg": "mp3"}

#: The fields of a part that are translated; with any other one a part stays whole.
_SAID = frozenset(
    {
        "text",
        "thought",
        "thoughtSignature",
        "inlineData",
        "fileData",
        "functionCall",
        "functionResponse",
    }
)


class _Response(Struct, frozen=True, rename="camel"):
    name: str = ""
    response: Raw = NULL
    id: str = ""
    parts: list[Raw] = []


class _Part(Struct, frozen=True, rename="camel"):
    text: str | None = None
    thought: bool = False
    thought_signature: str = ""
    inline_data: Raw = NULL
    file_data: Raw = NULL
    function_call: Raw = NULL
    function_response: Raw = NULL


class _Content(Struct, frozen=True, rename="camel"):
    parts: list[Raw] = []
    role: str = ""


class MessageWriter:
    """Writes the messages of one request; calls without an id get one, and their results find it."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self._open: list[tuple[str, str]] = []  # name and id of calls without a result yet
        self._turn: _Said | None = None  # of the model, while nobody else spoke

    def add_system(self, raw: Raw) -> None:
        """Take ``systemInstruction``: a content, or a part, or a text, as Google takes it."""
        if bytes(raw).lstrip()[:1] == b'"':
            texts: list[str | None] = [msgspec.json.decode(raw, type=str)]
        else:
            place = "systemInstruction.parts"
            fields = fields_of(raw, "systemInstruction")
            parts = entries_of(fields["parts"], place) if "parts" in fields else [raw]
            texts = [_read_part(part, f"{place}.{at}")[0].text for at, part in enumerate(parts)]
        content = [{"type": "text", "text": text} for text in texts if text]
        if content:
            self.messages.append({"role": "system", "content": _plain(content)})

    def add(self, at: int, raw: Raw) -> None:
        """Take one content; errors name its place.

        Raises:
            BadRequest: an unknown role, or a part that is malformed.
        """
        place = f"contents.{at}"
        content = read_fields(fields_of(raw, place), _Content, place)
        if content.role == "model":
            self._add_said(place, content.parts)
        elif content.role in ("user", "function", ""):
            self._add_asked(place, content.parts)
        else:
            raise BadRequest(
                f"'{place}.role' must be user or model, not '{content.role[:32]}'.",
                code="invalid_request",
                param=f"{place}.role",
            )

    def _add_asked(self, place: str, parts: list[Raw]) -> None:
        self._turn = None
        asked: list[dict[str, Any]] = []
        for at, raw in enumerate(parts):
            part, is_plain = _read_part(raw, f"{place}.parts.{at}")
            if part.function_response != NULL:
                self.messages.append(self._result(f"{place}.parts.{at}", part.function_response))
            elif is_plain and part.text is not None:
                asked.append({"type": "text", "text": part.text})
            else:
                asked.append((_media(part, raw) if is_plain else None) or _native(raw))
        if asked:
            self.messages.append({"role": "user", "content": _plain(asked)})

    def _result(self, place: str, raw: Raw) -> dict[str, Any]:
        response = read_fields(
            fields_of(raw, f"{place}.functionResponse"), _Response, f"{place}.functionResponse"
        )
        said, is_error = _said_by_tool(response.response)
        content: Any = said
        if response.parts:
            media = [
                _media(_read_part(part, place)[0], part) or _native(part) for part in response.parts
            ]
            content = [{"type": "text", "text": said}, *media]
        message = {"role": "tool", "tool_call_id": self._id_of(response), "content": content}
        return message | ({"is_error": True} if is_error else {})

    def _id_of(self, response: _Response) -> str:
        """Return the id of the call that is answered: the named one, or the oldest open of its name."""
        for position, (name, call_id) in enumerate(self._open):
            if call_id == response.id or (not response.id and name == response.name):
                del self._open[position]
                return call_id
        return response.id or f"call_{response.name}"

    def _add_said(self, place: str, parts: list[Raw]) -> None:
        said = self._go_on()
        for at, raw in enumerate(parts):
            part, is_plain = _read_part(raw, f"{place}.parts.{at}")
            if part.function_call != NULL:
                self._call(said, f"{place}.parts.{at}", part)
            elif is_plain and part.text is not None:
                said.take(part, part.text)
            else:
                said.content.append(_native(raw))
        self.messages[-1] = said.message()

    def _go_on(self) -> _Said:
        """Return the model's turn: chats of Google's SDKs keep a content for every event of a stream."""
        if self._turn is None:
            self._turn = _Said()
            self.messages.append({})
        return self._turn

    def _call(self, said: _Said, place: str, part: _Part) -> None:
        where = f"{place}.functionCall"
        call = read_fields(fields_of(part.function_call, where), FunctionCall, where)
        call_id = call.id or f"call_{place.replace('.', '_')}"
        self._open.append((call.name, call_id))
        said.call(call_id, call, part.thought_signature)


class _Said:
    """One turn of the model, as an assistant's message."""

    def __init__(self) -> None:
        self.content: list[dict[str, Any]] = []
        self._calls: list[dict[str, Any]] = []
        self._details: list[dict[str, Any]] = []
        self._thought: list[str] = []  # since the last signature

    def take(self, part: _Part, text: str) -> None:
        """Take a text: of the answer, or a thought that its signature closes."""
        if part.thought:
            self._thought.append(text)
            if part.thought_signature:
                self._close(part.thought_signature)
            return
        if text:
            self._say(text)
        if part.thought_signature:
            data = standard(part.thought_signature)
            self._details.append({"type": "reasoning.encrypted", "data": data, "format": FORMAT})

    def call(self, call_id: str, call: FunctionCall, signature: str) -> None:
        """Take a call of a tool."""
        args = call.args if call.args != NULL else Raw(b"{}")
        function = {"name": call.name, "arguments": bytes(args).decode()}
        entry: dict[str, Any] = {"id": call_id, "type": "function", "function": function}
        if signature and standard(signature) != standard(SKIP_SIGNATURE):
            google = {"thought_signature": standard(signature)}
            entry["extra_content"] = {"google": google}
        self._calls.append(entry)

    def message(self) -> dict[str, Any]:
        """Return the message; thoughts that nobody signed are left out, as Google leaves them out."""
        nothing = None if self._calls else ""
        message: dict[str, Any] = {"role": "assistant", "content": _plain(self.content) or nothing}
        if self._details:
            message["reasoning_details"] = self._details
        if self._calls:
            message["tool_calls"] = self._calls
        return message

    def _say(self, text: str) -> None:
        """Add to the text before, if one is: it was cut where an event ended."""
        last = self.content[-1] if self.content else {}
        if last.get("type") == "text":
            last["text"] += text
        else:
            self.content.append({"type": "text", "text": text})

    def _close(self, signature: str) -> None:
        thought, self._thought = "".join(self._thought), []
        sealed = unseal(signature)
        if sealed is None:
            said = {"text": thought, "signature": standard(signature), "format": FORMAT}
            self._details.append({"type": "reasoning.text", **said})
            return
        kept = {"signature": sealed.signature, "data": sealed.data, "id": sealed.id}
        detail = {name: value for name, value in kept.items() if value}
        if sealed.type == "text":
            detail["text"] = sealed.text or thought
        elif sealed.type == "summary":
            detail["summary"] = sealed.text or thought
        self._details.append(
            {"type": f"reasoning.{sealed.type}", **detail, "format": sealed.format}
        )


def _read_part(raw: Raw, place: str) -> tuple[_Part, bool]:
    """Return a part, and whether it says nothing beyond what is translated."""
    fields = fields_of(raw, place)
    return read_fields(fields, _Part, place), bool(fields) and fields.keys() <= _SAID


def _media(part: _Part, raw: Raw) -> dict[str, Any] | None:
    """Return an image, sound or file as chat says it; None where only Gemini can."""
    if part.inline_data != NULL:
        return _inline(read_fields(fields_of(part.inline_data, "inlineData"), Blob, "inlineData"))
    if part.file_data != NULL:
        return _linked(read_fields(fields_of(part.file_data, "fileData"), FileData, "fileData"))
    return None


def _inline(blob: Blob) -> dict[str, Any] | None:
    kind, data = blob.mime_type.partition(";")[0].lower(), standard(blob.data)
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
    if kind in _SOUNDS:
        return {"type": "input_audio", "input_audio": {"data": data, "format": _SOUNDS[kind]}}
    if kind.startswith(("text/", "application/")):
        return {"type": "file", "file": {"file_data": f"data:{kind};base64,{data}"}}
    return None


def _linked(file: FileData) -> dict[str, Any] | None:
    uri = file.file_uri
    if uri.startswith(_GOOGLES) or not uri.startswith(("https://", "http://")):
        return None
    if file.mime_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": uri}}
    if file.mime_type.startswith(("text/", "application/")):
        return {"type": "file", "file": {"file_url": uri}}
    return None


def _native(raw: Raw) -> dict[str, Any]:
    return {"type": "native", "dialect": "gemini", "block": raw}


def _said_by_tool(response: Raw) -> tuple[str, bool]:
    """Return what a tool said as text, and whether it failed. Source: reference of FunctionResponse."""
    if response == NULL:
        return "", False
    fields = fields_of(response, "functionResponse.response")
    for name, is_error in (("output", False), ("error", True)):
        if fields.keys() == {name} and bytes(fields[name])[:1] == b'"':
            return msgspec.json.decode(fields[name], type=str), is_error
    return bytes(response).decode(), fields.keys() == {"error"}


def _plain(content: list[dict[str, Any]]) -> Any:
    """Return a sole text as a string, as everybody's chat clients write it."""
    if len(content) == 1 and content[0]["type"] == "text":
        return content[0]["text"]
    return content
