"""What a client says of an answer: read from JSON, and held against what each score may be."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, cast

import msgspec
from msgspec import Struct

from santral.errors import BadRequest, nearest
from santral.traces.scores.score import OF_REQUEST, OF_RESPONSE

#: Scores with a meaning of their own, and what each wants.
KNOWN: Mapping[str, str] = {
    "thumbs": "value 1 or 0, or label up or down",
    "rating": "value from 1 to 5",
    "comment": "comment",
    "correction": "correction: what the answer should have been",
    "final_text": "correction: what the user sent in the end",
    "copy": "nothing: the user took the answer over",
    "accept": "value 1 or 0: the user accepted the answer, or threw it away",
    "regenerate": "nothing: the user asked for another answer",
}
#: Those that behaviour says, not the user.
IMPLICIT = frozenset({"copy", "accept", "regenerate", "final_text"})

#: Largest value of a score of one's own. Chosen: an average of such numbers stays exact enough.
_MOST = 1e9
_MOST_TAGS, _MOST_LABEL, _MOST_ID = 10, 128, 200
_NAME = re.compile("[a-z][a-z0-9_.-]{0,63}")
_TRACE_ID = re.compile("[0-9a-f]{32}")
_REQUEST_ID = re.compile("req_[0-9a-f]{24}")
_RATINGS = (1.0, 5.0)

Origin: TypeAlias = Literal["user", "implicit"]


class Given(Struct, frozen=True, kw_only=True):
    """One piece of feedback, checked."""

    target: str  # a trace, or request: or response: and an id
    name: str
    source: Origin
    value: float | None = None
    label: str = ""
    words: str = ""  # a comment or a correction
    user: str = ""
    is_retracted: bool = False


class _Body(Struct, frozen=True, kw_only=True):
    name: str
    trace_id: str = ""
    response_id: str = ""
    value: float | bool | None = None
    label: str = ""
    comment: str = ""
    correction: str = ""
    tags: list[str] = []
    user: str = ""
    source: Literal["", "user", "implicit"] = ""


def read_feedback(body: bytes, most_chars: int) -> Given:
    """Return what a body says.

    Raises:
        BadRequest: it is no JSON object, a field is unknown or out of its range; names it.
    """
    fields = object_in(body)
    unknown(fields, _Body.__struct_fields__)
    try:
        said = msgspec.convert(fields, _Body)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The feedback cannot be read: {error}.", code="invalid_request") from None
    _check_name(said.name)
    user = _short(said.user, "user")
    target = target_of(said.trace_id, said.response_id)
    source: Origin = said.source or ("implicit" if said.name in IMPLICIT else "user")
    if "value" in fields and said.value is None:
        return Given(target=target, name=said.name, source=source, user=user, is_retracted=True)
    words = said.correction or said.comment
    if len(words) > most_chars:
        raise BadRequest(
            f"The text has {len(words)} characters; at most {most_chars} are taken.",
            param="correction" if said.correction else "comment",
        )
    return Given(
        target=target,
        name=said.name,
        source=source,
        value=_value(said),
        label=_label(said),
        words=words,
        user=user,
    )


def retraction(query: Mapping[str, str]) -> Given:
    """Return what a DELETE takes back; raises as ``read_feedback``."""
    unknown(query, ("trace_id", "response_id", "name", "user", "source"))
    name, source = query.get("name", ""), query.get("source", "")
    _check_name(name)
    if source not in ("", "user", "implicit"):
        raise BadRequest(f"source is '{source[:64]}'. Use user or implicit.", param="source")
    return Given(
        target=target_of(query.get("trace_id", ""), query.get("response_id", "")),
        name=name,
        source=cast("Origin", source) or ("implicit" if name in IMPLICIT else "user"),
        user=_short(query.get("user", ""), "user"),
        is_retracted=True,
    )


def target_of(trace_id: str, response_id: str) -> str:
    """Return what stands for the answer that is meant: its trace, or what finds the trace later.

    Raises:
        BadRequest: neither is given, both are, or one cannot be an id of an answer.
    """
    if bool(trace_id) == bool(response_id):
        raise BadRequest(
            "Give trace_id (the header x-santral-trace-id) or response_id (x-request-id, or the "
            "answer's own id), one of the two.",
            param="trace_id",
        )
    if _TRACE_ID.fullmatch(trace_id):
        return trace_id
    found = _REQUEST_ID.search(trace_id or response_id)  # our own ids hold it: chatcmpl-req_…
    if found is not None:
        return OF_REQUEST + found[0]
    if trace_id:
        raise BadRequest(
            "trace_id has 32 hexadecimal digits: take it from the header x-santral-trace-id.",
            param="trace_id",
        )
    if len(response_id) > _MOST_ID or not response_id.isprintable():
        raise BadRequest(
            f"response_id has at most {_MOST_ID} printable characters.", param="response_id"
        )
    return OF_RESPONSE + response_id


def object_in(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is.

    Raises:
        BadRequest: it is none.
    """
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest(
            "The body is no JSON object. Send one such as "
            '{"trace_id": "…", "name": "thumbs", "value": 1}.',
            code="invalid_json",
        ) from None


def unknown(fields: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Check that all fields are known.

    Raises:
        BadRequest: one is not; the nearest is named.
    """
    for name in fields:
        if name not in known:
            raise BadRequest(
                f"There is no field '{name[:64]}'.{nearest(name[:64], known)} Fields: "
                f"{', '.join(known)}.",
                param=name[:64],
            )


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"name is '{name[:64]}'. Use {', '.join(KNOWN)}, or one of your own from a-z, 0-9, _, . "
            "and -.",
            param="name",
        )


def _value(said: _Body) -> float | None:
    name, value = said.name, None if said.value is None else float(said.value)
    if value is not None and (not math.isfinite(value) or abs(value) > _MOST):
        raise _wrong(f"value is {value}: it has to be a number between -{_MOST:g} and {_MOST:g}")
    if name in ("thumbs", "accept"):
        return _yes_or_no(said, value)
    if name == "rating" and (value is None or not _RATINGS[0] <= value <= _RATINGS[1]):
        raise _wrong(f"A rating wants {KNOWN['rating']}")
    if name == "comment" and not said.comment:
        raise _wrong("A comment wants words in the field comment", "comment")
    if name in ("correction", "final_text") and not said.correction:
        raise _wrong(f"{name} wants {KNOWN[name]}", "correction")
    if name in ("copy", "regenerate"):
        return 1.0 if value is None else value
    if name not in KNOWN and value is None and not (said.label or said.comment or said.tags):
        raise _wrong(f"'{name}' says nothing: give value, label, comment or tags")
    return value


def _yes_or_no(said: _Body, value: float | None) -> float:
    if value is None and said.name == "thumbs" and said.label in ("up", "down"):
        return float(said.label == "up")
    if value not in (0.0, 1.0):
        raise _wrong(f"'{said.name}' wants {KNOWN[said.name]}")
    return value


def _label(said: _Body) -> str:
    if len(said.tags) > _MOST_TAGS:
        raise BadRequest(f"At most {_MOST_TAGS} tags are taken.", param="tags")
    label = ", ".join(part for part in (said.label, *said.tags) if part)
    if len(label) > _MOST_LABEL:
        raise BadRequest(
            f"Label and tags have {len(label)} characters; at most {_MOST_LABEL} are taken.",
            param="label",
        )
    return label


def _short(text: str, field: str) -> str:
    if len(text) > _MOST_LABEL:
        raise BadRequest(f"{field} has at most {_MOST_LABEL} characters.", param=field)
    return text


def _wrong(message: str, param: str = "value") -> BadRequest:
    return BadRequest(f"{message}.", param=param)
