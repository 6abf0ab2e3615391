"""Metadata as people write it: in sidecar files, folder defaults, front matter and the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, cast, get_args

import msgspec
from msgspec.structs import asdict, replace

from santral.errors import BadRequest, nearest
from santral.retrieval.document import Attribute, Document, Lifecycle, Metadata

#: What may be said of a document beside its text.
FIELDS = (*Metadata.__struct_fields__, "title")
_TEXTS = ("owner", "title")
_SCHEMES = ("http", "https", "s3", "file")
_MOMENTS = ("created_at", "modified_at", "expires_at")
_LIFECYCLES: tuple[str, ...] = get_args(Lifecycle)
#: What front matter calls things, and what we do.
_ALIASES = {
    "date": "created_at",
    "created": "created_at",
    "updated": "modified_at",
    "modified": "modified_at",
    "lastmod": "modified_at",
    "expires": "expires_at",
    "author": "owner",
    "groups": "allowed_groups",
    "status": "lifecycle",
}
#: Longest text, most groups and most own fields. Chosen: a row stays a row.
_MAX_TEXT, _MAX_GROUPS, _MAX_ATTRIBUTES = 2_000, 100, 64


def parsed_fields(given: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return checked fields of metadata, ready for ``with_fields``.

    Raises:
        BadRequest: an unknown field (the nearest is named) or a value that means nothing; names place
            and field.
    """
    parsed: dict[str, Any] = {}
    for field, value in given.items():
        if field not in FIELDS:
            raise BadRequest(
                f"Unknown field '{str(field)[:64]}' in {place}. Fields are {', '.join(FIELDS)}; your "
                f"own go below attributes.{nearest(str(field)[:64], FIELDS)}",
                code="unknown_field",
                param=str(field)[:64],
            )
        parsed[field] = _value(field, value, f"{place}: {field}")
    return parsed


def with_fields(metadata: Metadata, fields: Mapping[str, Any]) -> Metadata:
    """Return metadata with checked fields on top; attributes are merged by their names."""
    known = {name: value for name, value in fields.items() if name != "title"}
    if "attributes" in known:
        known["attributes"] = {**metadata.attributes, **known["attributes"]}
    return replace(metadata, **known)


def over(metadata: Metadata, above: Metadata) -> Metadata:
    """Return metadata with what another one says on top of it."""
    said = {name: value for name, value in asdict(above).items() if value not in (None, "", (), {})}
    if above.lifecycle == Metadata().lifecycle:
        said.pop("lifecycle")
    return with_fields(metadata, said)


def own_metadata(document: Document) -> tuple[Metadata, tuple[str, ...]]:
    """Return what a document says of itself, and the groups that it names.

    Others wrote it: what means nothing is left out, and what front matter has beside our fields
    becomes an attribute. The groups are apart: a document may narrow who sees it, not widen it.
    """
    metadata = Metadata(
        url=document.url if document.url.startswith(("https://", "http://")) else "",
        owner=document.author[:_MAX_TEXT],
        created_at=document.created_at,
        modified_at=document.modified_at,
        attributes=_own_attributes(document.attributes),
    )
    groups: tuple[str, ...] = ()
    for name, value in document.front_matter.items():
        field = _ALIASES.get(name.lower(), name.lower())
        try:
            if field == "allowed_groups":
                groups = _groups(value, name)
            elif field in Metadata.__struct_fields__:
                metadata = with_fields(metadata, {field: _value(field, value, name)})
            elif field != "title":
                metadata = with_fields(metadata, {"attributes": _attributes({name: value}, name)})
        except BadRequest:
            continue
    return metadata, groups


def narrowed(allowed: tuple[str, ...], own: tuple[str, ...]) -> tuple[str, ...]:
    """Return the groups that may see a document which names its ``own`` inside those it is given to."""
    if not allowed:
        return own
    return tuple(group for group in allowed if group in own) or allowed


def _own_attributes(given: Mapping[str, Attribute]) -> dict[str, Attribute]:
    return dict(list(given.items())[:_MAX_ATTRIBUTES])


def _value(field: str, value: Any, at: str) -> Any:
    if field == "url":
        return _url(value, at)
    if field in _TEXTS:
        return _text(value, at)
    if field in _MOMENTS:
        return None if value is None else _moment(value, at)
    if field == "allowed_groups":
        return _groups(value, at)
    if field == "attributes":
        return _attributes(value, at)
    if value not in _LIFECYCLES:
        hint = nearest(str(value)[:64], _LIFECYCLES)
        raise _wrong(at, f"one of {', '.join(_LIFECYCLES)}", hint)
    return value


def _text(value: Any, at: str) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise _wrong(at, f"a text of at most {_MAX_TEXT} characters")
    return value


def _url(value: Any, at: str) -> str:
    """Return an address that a citation may link to: nothing that a browser would run."""
    url = _text(value, at).strip()
    scheme, colon, _ = url.partition(":")
    if colon and "/" not in scheme and scheme.lower() not in _SCHEMES:
        raise _wrong(at, f"an address of {', '.join(_SCHEMES)}")
    return url


def _moment(value: Any, at: str) -> datetime:
    """Return a moment; a date is its first one, and without a zone it is UTC."""
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        elif isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time.min)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise _wrong(at, "a date or time in ISO 8601, like 2026-01-31")


def _groups(value: Any, at: str) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or len(cast("Sequence[Any]", given)) > _MAX_GROUPS:
        raise _wrong(at, f"a list of at most {_MAX_GROUPS} groups")
    groups = [_text(group, at).strip() for group in cast("Sequence[Any]", given)]
    if not all(groups):
        raise _wrong(at, "names of groups, not empty ones")
    return tuple(sorted(set(groups)))


def _attributes(value: Any, at: str) -> dict[str, Attribute]:
    if not isinstance(value, Mapping) or len(cast("Mapping[Any, Any]", value)) > _MAX_ATTRIBUTES:
        raise _wrong(at, f"a table of at most {_MAX_ATTRIBUTES} fields")
    return {
        _text(name, at): _attribute(item, f"{at}.{name}")
        for name, item in cast("Mapping[Any, Any]", value).items()
    }


def _attribute(value: Any, at: str) -> Attribute:
    if isinstance(value, list | tuple):
        items = cast("Sequence[Any]", value)
        if not all(isinstance(item, str | int | float) for item in items):
            raise _wrong(at, "a text, a number, true or false, or a list of texts")
        value = ", ".join(str(item) for item in items)
    if isinstance(value, date):
        value = value.isoformat()
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return float(value)
    return _text(value, at)


def _wrong(at: str, wanted: str, hint: str = "") -> BadRequest:
    return BadRequest(f"{at} has to be {wanted}.{hint}", code="bad_metadata")


def as_json(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return checked fields as JSON keeps them; ``parsed_fields`` reads them again."""
    kept: dict[str, Any] = msgspec.to_builtins(dict(fields))
    return kept
