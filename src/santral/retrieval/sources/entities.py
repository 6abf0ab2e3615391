"""entities.xml, the heart of an XML export of Confluence: read once, in a stream, expanding nothing."""

from __future__ import annotations

import zipfile
import zlib
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.parsers import expat

from msgspec import Struct, field
from msgspec.structs import replace

from santral.retrieval.document import UnreadableError
from santral.retrieval.sources.archive import Entry

#: Kinds of objects that are read.
_READ = frozenset({"Page", "BlogPost", "BodyContent", "Attachment"})
_CHUNK = 256 * 1024


class WikiPage(Struct, frozen=True, kw_only=True):
    """A page or blog post; its body lies in a file of its id."""

    id: str
    title: str = "Untitled"
    parent: str = ""
    version: str = ""
    is_current: bool = True
    changed_at: datetime | None = None
    body_stamp: str = ""


class WikiFile(Struct, frozen=True):
    """An attached file: its latest version, and the page that it hangs on."""

    id: str
    title: str
    version: str
    of: str


class Entities(Struct):
    """What an export holds, by id."""

    pages: dict[str, WikiPage] = field(default_factory=dict[str, WikiPage])
    files: dict[str, WikiFile] = field(default_factory=dict[str, WikiFile])


def read_entities(entry: Entry, folder: Path, max_bytes: int) -> Entities:
    """Return what entities.xml holds, and write the bodies of pages into ``folder``.

    Raises:
        UnreadableError: it is no such file, damaged, or unpacks to more than ``max_bytes``.
    """
    reader = _Reader(folder)
    size = 0
    try:
        with zipfile.ZipFile(entry.archive) as archive, archive.open(entry.path) as file:
            while piece := file.read(_CHUNK):
                size += len(piece)
                if size > max_bytes:
                    raise UnreadableError(f"it unpacks to more than {max_bytes} bytes")
                reader.parser.Parse(piece, False)
            reader.parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise UnreadableError(f"entities.xml is no XML: {error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
        raise UnreadableError(f"entities.xml cannot be unpacked: {error}") from None
    return reader.whole()


class _Reader:
    """Collects objects: <object class><id/><property name>value or <id/></property></object>."""

    def __init__(self, folder: Path) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.EntityDeclHandler = self._refuse
        self._folder = folder
        self._found = Entities()
        self._bodies: dict[str, str] = {}
        self._path: list[str] = []
        self._class = ""
        self._property = ""
        self._said: dict[str, list[str]] = {}

    def whole(self) -> Entities:
        """Return all that was read, bodies with their pages."""
        for id, stamp in self._bodies.items():
            page = self._found.pages.get(id)
            if page is not None:
                self._found.pages[id] = replace(page, body_stamp=stamp)
        return self._found

    def _start(self, name: str, attributes: dict[str, Any]) -> None:
        self._path.append(name)
        if len(self._path) == 2 and name == "object":
            self._class, self._said = attributes.get("class", ""), {}
        elif len(self._path) == 3:
            self._property = "id" if name == "id" else attributes.get("name", "")

    def _text(self, text: str) -> None:
        is_value = len(self._path) == 3 or (len(self._path) == 4 and self._path[3] == "id")
        if is_value and self._class in _READ and self._path[2] in ("id", "property"):
            self._said.setdefault(self._property, []).append(text)

    def _end(self, name: str) -> None:
        if len(self._path) == 2 and self._class in _READ:
            said = {key: "".join(parts).strip() for key, parts in self._said.items()}
            if said.get("id", "").isalnum():
                self._keep(said)
        self._path.pop()

    def _keep(self, said: dict[str, str]) -> None:
        is_current = said.get("contentStatus", "current") == "current" and not said.get(
            "originalVersion"
        )
        if self._class == "BodyContent":
            self._keep_body(said)
        elif self._class == "Attachment":
            if is_current:
                of = said.get("containerContent") or said.get("content", "")
                title = said.get("title") or said.get("fileName", "")
                version = said.get("version") or said.get("attachmentVersion", "1")
                self._found.files[said["id"]] = WikiFile(said["id"], title, version, of)
        else:
            self._found.pages[said["id"]] = WikiPage(
                id=said["id"],
                title=said.get("title") or "Untitled",
                parent=said.get("parent", ""),
                version=said.get("version", ""),
                is_current=is_current,
                changed_at=_moment(said.get("lastModificationDate", "")),
            )

    def _keep_body(self, said: dict[str, str]) -> None:
        of = said.get("content", "")
        if not of.isalnum():
            return
        body = said.get("body", "").encode()
        (self._folder / f"{of}.html").write_bytes(body)
        self._bodies[of] = sha256(body).hexdigest()[:32]

    def _refuse(self, *declared: object) -> None:
        raise UnreadableError("entities.xml declares entities of its own")


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
