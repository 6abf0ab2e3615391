"""Structured answers: an extract put into the JSON object that a schema asks for.

Only what an extract has is filled in, by the names people give such fields: the answer, the numbers
or names of its sources, how sure it is, whether it is known, its language. A further property is
left out where it may be, null where it may be null, and otherwise the request is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

import jsonschema_rs

from santral.errors import ProviderRefusedRequest
from santral.providers.local.extractive import Extract

#: The object of ``response_format`` ``json_object``, which names no schema. Chosen.
PLAIN_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["answer", "citations", "confidence"],
    "properties": {
        "answer": {"type": "string"},
        "citations": {"type": "array", "items": {"type": "integer"}},
        "confidence": {"type": "number"},
    },
}

_ANSWER = frozenset({"answer", "response", "reply", "text", "content", "result", "summary",
                     "yanit", "yanıt", "cevap", "ozet", "özet"})  # fmt: skip
_CITED = frozenset({"citations", "citation", "sources", "source", "references", "passages",
                    "documents", "document", "kaynaklar", "kaynak", "alıntılar", "alintilar"})  # fmt: skip
_QUOTES = frozenset({"quotes", "quote", "evidence", "excerpts", "dayanak"})
_CONFIDENCE = frozenset({"confidence", "score", "certainty", "probability", "güven", "guven"})
_KNOWN = frozenset({"known", "is_known", "found", "answered", "is_answered", "has_answer",
                    "biliniyor"})  # fmt: skip
_LANGUAGE = frozenset({"language", "lang", "dil"})

_REMEDY = "Put a model before the embedded answerer on this route, or simplify the schema."


def structured(extract: Extract, schema: Mapping[str, Any]) -> str:
    """Return the JSON text of the object that the schema describes.

    Raises:
        ProviderRefusedRequest: the schema asks for something that an extract does not have.
    """
    properties = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(properties, dict):
        raise _refusal("describes no object with properties")
    shapes = cast("dict[str, dict[str, Any]]", properties)
    required = cast("list[str]", schema.get("required", []))
    only_text = _only_text(shapes)
    filled: dict[str, Any] = {}
    for name, shape in shapes.items():
        fill = _filler(name, shape, is_answer=name == only_text)
        if fill is not None:
            filled[name] = fill(extract)
        elif name in required:
            filled[name] = _empty(name, shape)
    _validate(schema, filled)
    return json.dumps(filled, ensure_ascii=False)


def _filler(
    name: str, shape: Mapping[str, Any], *, is_answer: bool
) -> Callable[[Extract], Any] | None:
    """Return what fills the property, chosen by its type and then by its name."""
    key = name.lower()
    for kind in _kinds(shape):
        for names, fill in _FILLERS.get(_full_kind(kind, shape), ()):
            if key in names:
                return fill
        if kind == "string" and is_answer:
            return _answer
    return None


def _answer(extract: Extract) -> str:
    if not extract.is_known:
        return extract.text
    return " ".join(quote.text for quote in extract.quotes)  # the numbers have their own property


def _documents(extract: Extract) -> list[str]:
    return list(dict.fromkeys(quote.source.document for quote in extract.quotes))


_FILLERS: dict[str, tuple[tuple[frozenset[str], Callable[[Extract], Any]], ...]] = {
    "string": (
        (_ANSWER, _answer),
        (_QUOTES, _answer),
        (_CITED, lambda e: ", ".join(_documents(e))),
        (_LANGUAGE, lambda e: e.language),
    ),
    "array of integer": ((_CITED, lambda e: e.citations),),
    "array of number": ((_CITED, lambda e: e.citations),),
    "array of string": (
        (_CITED, _documents),
        (_QUOTES, lambda e: [quote.text for quote in e.quotes]),
    ),
    "number": ((_CONFIDENCE, lambda e: round(e.confidence, 2)),),
    "boolean": ((_KNOWN, lambda e: e.is_known),),
}


def _kinds(shape: Mapping[str, Any]) -> list[str]:
    kind = shape.get("type")
    return [kind] if isinstance(kind, str) else cast("list[str]", kind or [])


def _full_kind(kind: str, shape: Mapping[str, Any]) -> str:
    if kind != "array":
        return kind
    items = cast("Mapping[str, Any]", shape.get("items") or {})
    return f"array of {items.get('type')}"


def _only_text(shapes: Mapping[str, Mapping[str, Any]]) -> str:
    """The name of the one free text, which can only be the answer whatever it is called."""
    texts = [n for n, s in shapes.items() if "string" in _kinds(s) and "enum" not in s]
    named = [name for name in texts if name.lower() in _ANSWER]
    return texts[0] if len(texts) == 1 and not named else ""


def _empty(name: str, shape: Mapping[str, Any]) -> None:
    if "null" in _kinds(shape):
        return
    raise _refusal(
        f"requires '{name}', which a quoted answer does not have (it has an answer text, citations, "
        "quotes, confidence, known and language)"
    )


def _validate(schema: Mapping[str, Any], filled: dict[str, Any]) -> None:
    try:
        # The schema is the caller's: references to other places are not followed, and patterns run
        # in linear time.
        options = jsonschema_rs.RegexOptions()
        validator = jsonschema_rs.validator_for(dict(schema), offline=True, pattern_options=options)
        validator.validate(filled)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        reason = str(error).split("\n", 1)[0]
        raise _refusal(f"cannot be met with quotes from the sources: {reason}") from None


def _refusal(reason: str) -> ProviderRefusedRequest:
    return ProviderRefusedRequest(
        f"The schema of the answer {reason}. {_REMEDY}", param="response_format"
    )
