"""Office files: zip archives of XML, opened so that neither can be made a bomb of."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from datetime import datetime
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from msgspec import Struct

from santral.retrieval.document import UnreadableError
from santral.retrieval.reading.file import moment

#: Parts of an archive, bytes of one unpacked and of all that are read. Chosen: a thousand pages of
#: text are 20 MB of XML.
MAX_PARTS, MAX_PART_BYTES, MAX_TOTAL_BYTES = 20_000, 128 * 1024 * 1024, 256 * 1024 * 1024
#: How much smaller a long part may be packed. Measured: XML of sheets reaches 60; zeros reach 1,030.
MAX_RATIO, _LONG_BYTES = 250, 4 * 1024 * 1024
#: Elements nested in each other, and elements of one part. Chosen: pages of people stay below 60.
_DEEPEST, _MOST_ELEMENTS = 500, 4_000_000


class About(Struct, frozen=True):
    """What an office file says of itself."""

    title: str = ""
    author: str = ""
    created_at: datetime | None = None
    modified_at: datetime | None = None


class Archive:
    """A zip archive whose parts are read one by one, never unpacked to disk, never deeper than one.

    Raises:
        UnreadableError: from every method: damaged, encrypted, or made to be unpacked without end.
    """

    def __init__(self, content: bytes) -> None:
        try:  # NotImplementedError: zipfile's word for a way of packing that it does not know
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
            raise UnreadableError("it is damaged and cannot be opened") from None
        entries = self._zip.infolist()
        if len(entries) > MAX_PARTS:
            raise UnreadableError(f"it is made of more than {MAX_PARTS:,} parts")
        self._entries = {entry.filename.lstrip("/"): entry for entry in entries}
        self._left = MAX_TOTAL_BYTES

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def names(self, folder: str) -> list[str]:
        """Return the names of the parts below a folder, in order."""
        return sorted(name for name in self._entries if name.startswith(folder))

    def part(self, name: str) -> bytes:
        """Return the bytes of a part."""
        entry = self._entries.get(name)
        if entry is None:
            raise UnreadableError(f"it is damaged: {name} is missing")
        if entry.flag_bits & 1:
            raise UnreadableError("it is encrypted and cannot be opened")
        if entry.file_size > MAX_PART_BYTES or _is_bomb(entry.file_size, entry.compress_size):
            raise UnreadableError("it is packed like a zip bomb")
        try:  # NotImplementedError: as above
            with self._zip.open(entry) as file:
                content = file.read(min(MAX_PART_BYTES, self._left) + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError,
                NotImplementedError):  # fmt: skip
            raise UnreadableError(f"it is damaged: {name} cannot be unpacked") from None
        self._left -= len(content)
        if self._left < 0 or len(content) > MAX_PART_BYTES:
            raise UnreadableError("it is packed like a zip bomb")
        return content

    def tree(self, name: str) -> Element:
        """Return the elements of a part; see ``xml_tree``."""
        return xml_tree(self.part(name))

    def related(self, name: str) -> dict[str, str]:
        """Return the parts that a part refers to, by id; what lies outside is left out."""
        folder, _, file = name.rpartition("/")
        relations = f"{folder}/_rels/{file}.rels"
        if relations not in self:
            return {}
        return {
            item.get("Id", ""): posixpath.normpath(
                posixpath.join("/", folder, item.get("Target", ""))
            ).lstrip("/")
            for item in self.tree(relations)
            if item.get("TargetMode") != "External"
        }

    def about(self) -> About:
        """Return what the file says of itself; nothing where it says nothing."""
        if "docProps/core.xml" not in self:
            return About()
        said = {item.tag: (item.text or "").strip() for item in self.tree("docProps/core.xml")}
        return About(
            said.get("title", ""),
            said.get("creator", ""),
            moment(said.get("created", "")),
            moment(said.get("modified", "")),
        )


def xml_tree(content: bytes) -> Element:
    """Return the elements of XML under their local names, attributes too.

    No document type is accepted: entities, of which bombs and references to files are made, need one.

    Raises:
        UnreadableError: it is no XML, has a document type, or is nested too deep.
    """
    builder = TreeBuilder()
    parse_xml(content, builder.start, builder.end, builder.data)
    return builder.close()


def parse_xml(content: bytes, start: Any, end: Any, data: Any) -> None:
    """Call ``start(tag, attributes)``, ``end(tag)`` and ``data(text)`` for what XML holds, in order.

    Raises:
        UnreadableError: as ``xml_tree``.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    names: dict[str, str] = {}
    depth = count = 0

    def local(name: str) -> str:
        found = names.get(name)
        if found is None:
            found = names[name] = name.rpartition(":")[2]
        return found

    def opened(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > _DEEPEST or count > _MOST_ELEMENTS:
            raise UnreadableError("it is nested too deep, or has too many parts")
        found = {local(key): value for key, value in attributes.items()}
        if len(found) < len(attributes):  # id and r:id: the one with a prefix refers to a part
            found.update({local(key): value for key, value in attributes.items() if ":" in key})
        start(local(name), found)

    def closed(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(local(name))

    def refuse(*_: object) -> None:
        raise UnreadableError("its XML has a document type, which office programs do not write")

    parser.StartElementHandler, parser.EndElementHandler = opened, closed
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = data, refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise UnreadableError(f"its XML is damaged: {error}") from None


def _is_bomb(size: int, packed: int) -> bool:
    return size > _LONG_BYTES and size > MAX_RATIO * max(packed, 1)
