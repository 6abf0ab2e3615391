"""Sidecars: files that say something of documents beside them.

``NAME.meta.json`` or ``NAME.meta.yaml`` is about the file NAME, ``_metadata.yaml`` (or ``.json``) about
every file of its folder and the folders below; the nearer one wins.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from santral.errors import BadRequest
from santral.retrieval.document import UnreadableError
from santral.retrieval.ingest.fields import parsed_fields
from santral.retrieval.reading.front import front_matter

_OF_ONE = (".meta.json", ".meta.yaml", ".meta.yml")
_OF_FOLDERS = ("_metadata.yaml", "_metadata.yml", "_metadata.json")

#: Longest file that is read. Chosen: it says a few things about documents.
MAX_SIDECAR_BYTES = 16 * 1024


def is_sidecar(location: str) -> bool:
    """Whether a file is about documents, and none itself."""
    name = location.rpartition("/")[2]
    return name in _OF_FOLDERS or name.endswith(_OF_ONE)


class Sidecars:
    """What the sidecars of one source say, by what it is about.

    One that cannot be read holds back what it is about: it may say who may see it.
    """

    def __init__(self) -> None:
        self._of_one: dict[str, dict[str, Any] | str] = {}
        self._of_folder: dict[str, dict[str, Any] | str] = {}

    def add(self, location: str, source: str, content: bytes) -> str:
        """Take a sidecar in; return why it cannot be read, or an empty string."""
        try:
            self._put(location, _parsed(source, content))
        except (BadRequest, UnreadableError) as error:
            reason = error.message if isinstance(error, BadRequest) else f"{source}: {error}"
            return self.hold_back(location, reason)
        return ""

    def hold_back(self, location: str, reason: str) -> str:
        """Note that a sidecar cannot be had, and why; return the reason."""
        self._put(location, reason)
        return reason

    def say(self, location: str) -> dict[str, Any]:
        """Return the checked fields that hold for a document: of its folders, then of itself.

        Raises:
            UnreadableError: a sidecar about it cannot be read.
        """
        if not self._of_folder and not self._of_one:
            return {}
        found: dict[str, Any] = {}
        parts = location.split("/")
        for depth in range(1, len(parts)):
            _merge(found, self._of_folder.get("/".join(parts[:depth]), {}))
        _merge(found, self._of_one.get(location, {}))
        return found

    def _put(self, location: str, said: dict[str, Any] | str) -> None:
        folder, _, name = location.rpartition("/")
        if name in _OF_FOLDERS:
            if isinstance(said, dict):
                said.pop("title", None)  # a folder has no title that its files could share
            self._of_folder[folder] = said
            return
        about = location
        for ending in _OF_ONE:
            about = about.removesuffix(ending)
        self._of_one[about] = said


def _merge(found: dict[str, Any], said: Mapping[str, Any] | str) -> None:
    if isinstance(said, str):
        raise UnreadableError(f"its sidecar cannot be used: {said}")
    attributes = {**found.get("attributes", {}), **said.get("attributes", {})}
    found.update(said)
    if attributes:
        found["attributes"] = attributes


def _parsed(source: str, content: bytes) -> dict[str, Any]:
    if len(content) > MAX_SIDECAR_BYTES:
        raise BadRequest(f"{source} is longer than {MAX_SIDECAR_BYTES:,} bytes.")
    try:
        text = content.decode("utf-8-sig").strip()
        value = json.loads(text) if source.endswith(".json") else _yaml(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{source} cannot be read: {type(error).__name__}.") from None
    if not isinstance(value, dict):
        raise BadRequest(f"{source} has to hold fields with values.")
    return parsed_fields(cast("dict[str, Any]", value), source)


def _yaml(text: str) -> dict[str, Any]:
    """Return fields as front matter is read: plain YAML without aliases."""
    if not text:
        return {}
    fields, rest = front_matter(f"---\n{text.removeprefix('---').strip()}\n---\n")
    if rest:
        raise ValueError(text)
    return fields
