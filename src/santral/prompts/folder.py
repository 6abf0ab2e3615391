"""Prompts in a folder and in the registry: what push reads, what pull writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from santral.errors import BadRequest, Conflict, NotFound, nearest
from santral.prompts.file import Draft, content_hash
from santral.prompts.library import PromptLibrary


class Written(Struct, frozen=True):
    """A file, and whether it was written; one that was there already as it should be was not."""

    path: Path
    is_new: bool


def chosen(library: PromptLibrary, names: Sequence[str]) -> list[Draft]:
    """Return the versions of the prompts named, or of all, those first that others include.

    Raises:
        NotFound: there is no prompt of a name; names the nearest.
    """
    for name in names:
        if name not in library:
            raise NotFound(
                f"There is no prompt '{name}'.{nearest(name, library.drafts)}",
                code="prompt_not_found",
            )
    drafts = {
        draft.reference: draft
        for name, of_name in library.drafts.items()
        if not names or name in names
        for draft in of_name.drafts
    }
    includes = {v.reference: v.includes for prompt in library for v in prompt.versions}
    return sorted(drafts.values(), key=lambda draft: len(includes.get(draft.reference, ())))


def write_versions(
    folder: Path,
    name: str,
    bodies: Mapping[str, str],
    labels: Mapping[str, str],
    *,
    is_forced: bool = False,
) -> list[Written]:
    """Write versions as files, and where labels point; nothing where one file says something else.

    Raises:
        Conflict: a file is there with another text, and nobody has said that it may be replaced.
        BadRequest: the folder cannot be written.
    """
    place = folder / name
    files = {place / f"{version}.md": body for version, body in bodies.items()}
    if labels:
        rows = (f'"{label}" = "{version}"\n' for label, version in sorted(labels.items()))
        files[place / "labels.toml"] = "".join(rows)
    differing = [path for path, text in files.items() if _differs(path, text)]
    if differing and not is_forced:
        raise Conflict(_told(differing[0], files[differing[0]]), code="prompt_version_exists")
    try:
        return [_write(path, text) for path, text in files.items()]
    except OSError as error:
        raise BadRequest(f"{place} cannot be written: {error.strerror}.") from None


def _differs(path: Path, text: str) -> bool:
    return path.exists() and content_hash(path.read_text(encoding="utf-8")) != content_hash(text)


def _told(path: Path, text: str) -> str:
    known = content_hash(path.read_text(encoding="utf-8"))
    return (
        f"{path} is there with another text: sha256 {known}, and the registry has "
        f"{content_hash(text)}. Move it away, or replace it with --force."
    )


def _write(path: Path, text: str) -> Written:
    if path.exists() and not _differs(path, text):
        return Written(path, is_new=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return Written(path, is_new=True)
