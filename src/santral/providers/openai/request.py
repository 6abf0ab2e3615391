"""Writes calls in the dialect of OpenAI's chat completions, as each vendor takes them.

Where nothing has to change, the caller's bytes go out as they came: the quirks of a vendor are
looked for by name among the top-level fields, and messages are opened only for a request that came
in another dialect or for a vendor that is known to refuse what they may hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from santral.providers.openai.messages import MessageFitter
from santral.providers.provider import ProviderCall
from santral.providers.vendor import Vendor
from santral.wire.chat import ENGINE_LIMITS
from santral.wire.loss import Losses

_encode = msgspec.json.Encoder().encode
_options = msgspec.json.Decoder(dict[str, Any])
#: Fields that translations of other dialects write and OpenAI does not know.
_FOREIGN_FIELDS = frozenset({"thinking", "top_k"})
#: Fields that say something about tools, and without them are refused.
_OF_TOOLS = ("tools", "tool_choice", "parallel_tool_calls")
_TRUE = Raw(b"true")
_NULL = b"null"
_WITH_USAGE = Raw(b'{"include_usage":true}')
_ANY_OBJECT: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": False},
}


class RequestWriter:
    """Writes calls as one vendor takes them."""

    __slots__ = (
        "_asks_usage",
        "_mends",
        "_messages",
        "_nulls",
        "_opens",
        "_output_limit",
        "_takes",
    )

    def __init__(self, vendor: Vendor) -> None:
        self._asks_usage = vendor.asks_usage
        self._output_limit = vendor.output_limit
        self._takes = vendor.takes
        self._nulls = vendor.strict_nulls
        self._mends = _mends_of(vendor)
        self._messages = MessageFitter(vendor)
        self._opens = self._messages.is_picky

    def write(self, call: ProviderCall) -> bytes:
        """Return the body; what the vendor does not take goes into ``call.losses``."""
        fields: dict[str, Any] = {**call.fields, "model": call.model}
        for name in call.native:
            self._take_native(name, call, fields)
        if call.is_streaming:
            fields["stream"] = _TRUE
            if self._asks_usage:
                fields["stream_options"] = _with_usage(fields.get("stream_options"))
            else:
                fields.pop("stream_options", None)
        else:
            fields.pop("stream", None)
            fields.pop("stream_options", None)  # OpenAI refuses it without a stream
        if call.max_output_tokens is not None:
            self._bound_output(fields, call.max_output_tokens)
        if self._nulls:
            fields = {k: v for k, v in fields.items() if not _is_null(v)}
        for name, mend in self._mends.items():
            if name in fields:
                mend(fields, call.losses)
        if self._opens or call.dialect != "chat":
            self._fit_messages(fields, call)
        return _encode(fields)

    def _take_native(self, name: str, call: ProviderCall, fields: dict[str, Any]) -> None:
        if name in self._takes:
            fields.setdefault(name, call.native[name])
        else:
            call.losses.drop(name)

    def _fit_messages(self, fields: dict[str, Any], call: ProviderCall) -> None:
        is_foreign = call.dialect != "chat"
        fields["messages"] = self._messages.fit(
            fields["messages"], call.losses, is_foreign=is_foreign
        )
        if "tools" in fields:
            fitted = self._messages.fit_tools(fields["tools"], call.losses, is_foreign=is_foreign)
            fields["tools"] = fitted
            if not fitted:
                for name in _OF_TOOLS:
                    fields.pop(name, None)
        if is_foreign:
            for name in _FOREIGN_FIELDS - self._takes:
                if name in fields and not _is_null(fields.pop(name)):
                    call.losses.drop(name)

    def _bound_output(self, fields: dict[str, Any], limit: int) -> None:
        """Keep the client's own output limit where it is stricter, under the name it chose."""
        is_set = False
        for name in ("max_completion_tokens", "max_tokens", *ENGINE_LIMITS):
            if name not in fields or _is_null(fields[name]):
                continue
            asked = _integer(fields[name])
            if asked is None or not 0 <= asked <= limit:
                fields[name] = limit
            is_set = is_set or name not in ENGINE_LIMITS
        if not is_set:
            fields[self._output_limit] = limit


#: Changes the fields of a request that hold a certain name.
_Mend = Callable[[dict[str, Any], Losses], None]


def _mends_of(vendor: Vendor) -> dict[str, _Mend]:
    """Return what has to be done about each field that the vendor does not take as it is."""
    mends: dict[str, _Mend] = {name: _drop(name, why) for name, why in vendor.drops.items()}
    for name, theirs in vendor.renames.items():
        mends[name] = _rename(name, theirs)
    if vendor.max_n is not None:
        mends["n"] = _bound_choices(vendor.max_n)
    if vendor.capabilities and not {"json_schema", "json_object"} <= vendor.capabilities:
        mends["response_format"] = _fit_format(vendor)
    return mends


def _drop(name: str, why: str) -> _Mend:
    def drop(fields: dict[str, Any], losses: Losses) -> None:
        if not _is_null(fields.pop(name)):
            losses.drop(name, why)

    return drop


def _rename(name: str, theirs: str) -> _Mend:
    def rename(fields: dict[str, Any], losses: Losses) -> None:
        del losses  # it says the same
        fields.setdefault(theirs, fields.pop(name))

    return rename


def _bound_choices(most: int) -> _Mend:
    def bound(fields: dict[str, Any], losses: Losses) -> None:
        asked = _integer(fields["n"])
        if asked is not None and asked > most:
            losses.change("n", most)
            fields["n"] = most
        if most == 1:
            del fields["n"]  # what every vendor gives; some refuse the field itself

    return bound


def _fit_format(vendor: Vendor) -> _Mend:
    """A vendor without schemas is asked for JSON, one without plain JSON for any object."""

    def fit(fields: dict[str, Any], losses: Losses) -> None:
        asked = _kind_of(fields["response_format"])
        if asked == "json_schema" and "json_schema" not in vendor.capabilities:
            asked = "json_object"
            losses.change("response_format", asked)
            fields["response_format"] = {"type": asked}
        if asked != "json_object" or "json_object" in vendor.capabilities:
            return
        if "json_schema" in vendor.capabilities:
            fields["response_format"] = _ANY_OBJECT
        else:
            losses.drop("response_format")
            del fields["response_format"]

    return fit


def _kind_of(value: Any) -> str:
    try:
        kind = _options.decode(_encode(value)).get("type")
    except msgspec.DecodeError:
        return ""
    return kind if isinstance(kind, str) else ""


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, Raw) and bytes(value).strip() == _NULL)


def _integer(value: Any) -> int | None:
    if isinstance(value, Raw):
        value = msgspec.json.decode(value)
    return value if isinstance(value, int) else None


def _with_usage(options: Any) -> Any:
    """Return stream options that ask for usage and keep what else the client set."""
    if options is None:
        return _WITH_USAGE
    try:
        return {**_options.decode(_encode(options)), "include_usage": True}
    except msgspec.DecodeError:
        return _WITH_USAGE
