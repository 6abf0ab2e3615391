"""Files to ingest: what lies below the given paths, each file once, nothing that has no end."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct, field

from santral.errors import BadRequest


class FoundFile(Struct, frozen=True):
    """A file to read. ``location`` is its real path, ``source`` the name that people see."""

    location: str
    root: str
    source: str
    is_named: bool


class Found(Struct):
    """What lies below some paths.

    ``folders`` are the real paths that were walked, ``missing`` the named paths that are gone,
    ``problems`` (name, reason) of what could not be walked, ``unseen`` the folders among them.
    """

    files: list[FoundFile] = field(default_factory=list[FoundFile])
    folders: list[str] = field(default_factory=list[str])
    missing: list[str] = field(default_factory=list[str])
    problems: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    unseen: list[str] = field(default_factory=list[str])


def find_files(paths: Iterable[Path]) -> Found:
    """Return the files below the paths in a stable order; hidden ones and repeated ones are left out.

    A link is followed when it stays inside the folder that was named. Ways back to a folder that
    was walked already end there.
    """
    found = Found()
    seen: set[str] = set()
    for path in paths:
        given = Path(os.path.abspath(path.expanduser()))
        location = os.path.realpath(given)
        if os.path.isdir(location):
            found.folders.append(location)
            _walk(found, seen, given.name or "/", location)
        elif os.path.lexists(location):
            _add(found, seen, FoundFile(location, location, given.name, is_named=True))
        else:
            found.missing.append(location)
    return found


def require_known(found: Found, known: Sequence[str]) -> None:
    """Refuse a path that neither exists nor was ingested before (then it is a deletion).

    Raises:
        BadRequest: names the path.
    """
    for location in found.missing:
        if not any(is_below(name, location) for name in known):
            raise BadRequest(f"There is no file or folder {location}.", code="no_such_path")


def is_below(location: str, folder: str) -> bool:
    """Return whether a location is the folder or lies below it."""
    return location == folder or location.startswith(folder.rstrip(os.sep) + os.sep)


def _walk(found: Found, seen: set[str], name: str, root: str) -> None:
    waiting = [root]
    walked: set[str] = set()
    while waiting:
        folder = waiting.pop()
        if folder in walked:
            continue
        walked.add(folder)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            found.problems.append(
                (_source(name, folder, root), f"the folder cannot be read: {error.strerror}")
            )
            found.unseen.append(folder)
            continue
        below: list[str] = []
        for entry in entries:
            if not entry.name.startswith("."):
                _visit(found, seen, below, entry, name, root)
        waiting.extend(reversed(below))


def _visit(
    found: Found,
    seen: set[str],
    below: list[str],
    entry: os.DirEntry[str],
    name: str,
    root: str,
) -> None:
    location = os.path.realpath(entry.path)
    if not _is_text(entry.name):
        readable = os.fsencode(entry.path).decode(errors="backslashreplace")
        found.problems.append((_source(name, readable, root), "its name is not UTF-8"))
    elif entry.is_symlink() and not is_below(location, root):
        reason = "it is a link that leads out of the folder"
        found.problems.append((_source(name, entry.path, root), reason))
    elif not os.path.exists(location):
        reason = "it is a link that leads nowhere"
        found.problems.append((_source(name, entry.path, root), reason))
    elif os.path.isdir(location):
        below.append(location)
    else:
        source = _source(name, location, root)
        _add(found, seen, FoundFile(location, root, source, is_named=False))


def _source(name: str, location: str, root: str) -> str:
    """Return the name that people see: from the folder that was named down to the file."""
    return f"{name}/{os.path.relpath(location, root)}" if location != root else name


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _add(found: Found, seen: set[str], file: FoundFile) -> None:
    if file.location not in seen:
        seen.add(file.location)
        found.files.append(file)
