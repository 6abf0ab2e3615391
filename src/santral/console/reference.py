"""Reads an OpenAPI document into what the page of the admin API shows: endpoints, fields, objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from msgspec import Struct

Json: TypeAlias = Mapping[str, Any]

#: How every endpoint is signed in to is said once, above all of them.
_SIGN_IN = ("authorization", "x-api-key")
_LIMITS = {"minimum": "≥", "maximum": "≤", "minLength": "length ≥", "maxLength": "length ≤"}


class Type(Struct, frozen=True):
    """What may stand in a field: words, and the object that they name."""

    text: str
    object: str = ""


class Field(Struct, frozen=True, kw_only=True):
    """A parameter, or a field of an object."""

    name: str
    type: Type
    place: str
    is_required: bool
    default: str
    description: str


class Object(Struct, frozen=True, kw_only=True):
    """A JSON object that is sent or answered."""

    name: str
    description: str
    fields: tuple[Field, ...]


class Endpoint(Struct, frozen=True, kw_only=True):
    """One method of one path; ``answer`` is the object of a success."""

    method: str
    path: str
    anchor: str
    group: str
    description: str
    parameters: tuple[Field, ...]
    body: Object | None
    status: int
    answer: Type | None


class Reference(Struct, frozen=True, kw_only=True):
    """What the page shows; ``objects`` are those that an answer is made of."""

    endpoints: tuple[Endpoint, ...]
    objects: tuple[Object, ...]


def reference(document: Json) -> Reference:
    """Return every endpoint of ``document`` in its order, and the objects that answers hold."""
    schemas: Json = document.get("components", {}).get("schemas", {})
    endpoints = tuple(
        _endpoint(method, path, operation, schemas)
        for path, operations in document.get("paths", {}).items()
        for method, operation in operations.items()
    )
    named = _reached([e.answer.object for e in endpoints if e.answer], schemas)
    objects = tuple(_object(name, schemas[name]) for name in sorted(named))
    return Reference(endpoints=endpoints, objects=objects)


def _endpoint(method: str, path: str, operation: Json, schemas: Json) -> Endpoint:
    sent = _content(operation.get("requestBody", {}))
    name = _type(sent).object if sent else ""
    status, answer = _success(operation)
    return Endpoint(
        method=method.upper(),
        path=path,
        anchor=str(operation.get("operationId", f"{method}-{path}")),
        group=str(next(iter(operation.get("tags", ())), "")),
        description=str(operation.get("description") or operation.get("summary", "")),
        parameters=tuple(
            _parameter(given)
            for given in operation.get("parameters", ())
            if given["name"] not in _SIGN_IN
        ),
        body=_object(name, schemas[name]) if name in schemas else None,
        status=status,
        answer=_type(answer) if answer else None,
    )


def _success(operation: Json) -> tuple[int, Json]:
    responses: Json = operation.get("responses", {})
    status = min((int(code) for code in responses if code.startswith("2")), default=200)
    return status, _content(responses.get(str(status), {}))


def _content(holder: Json) -> Json:
    return holder.get("content", {}).get("application/json", {}).get("schema", {})


def _parameter(given: Json) -> Field:
    schema: Json = given.get("schema", {})
    return Field(
        name=str(given["name"]),
        type=_type(schema),
        place=str(given.get("in", "")),
        is_required=bool(given.get("required")),
        default=_default(schema),
        description=str(given.get("description", "")),
    )


def _object(name: str, schema: Json) -> Object:
    required = schema.get("required", ())
    return Object(
        name=name,
        description=str(schema.get("description", "")),
        fields=tuple(
            Field(
                name=field,
                type=_type(declared),
                place="body",
                is_required=field in required,
                default=_default(declared),
                description=str(declared.get("description", "")),
            )
            for field, declared in schema.get("properties", {}).items()
        ),
    )


def _default(schema: Json) -> str:
    value = schema.get("default")
    return "" if value in (None, "") else json.dumps(value, ensure_ascii=False)


def _type(schema: Json) -> Type:
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return Type(name, name)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        parts = [_type(choice) for choice in choices]
        return Type(" | ".join(p.text for p in parts), next((p.object for p in parts), ""))
    if "enum" in schema:
        return Type(" | ".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"]))
    if schema.get("type") == "array":
        item = _type(schema.get("items", {}))
        return Type(f"list of {item.text}", item.object)
    return Type(_plain(schema))


def _plain(schema: Json) -> str:
    text = str(schema.get("type", "any"))
    if "format" in schema:
        text += f" ({schema['format']})"
    limits = [f"{sign} {schema[name]}" for name, sign in _LIMITS.items() if name in schema]
    return ", ".join([text, *limits])


def _reached(names: list[str], schemas: Json) -> set[str]:
    """Return ``names`` and every object that their fields hold."""
    reached: set[str] = set()
    waiting = [name for name in names if name in schemas]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [found for found in _held(schemas[name]) if found in schemas]
    return reached


def _held(schema: Json) -> Iterator[str]:
    for declared in schema.get("properties", {}).values():
        yield _type(declared).object
