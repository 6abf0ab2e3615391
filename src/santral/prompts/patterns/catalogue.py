"""The prompts that come with Santral, and the cases by which they are measured."""

from __future__ import annotations

from pathlib import Path

from santral.errors import NotFound, nearest
from santral.prompts.folder import Written, write_versions
from santral.prompts.library import PromptLibrary, load_prompts

#: Where the prompts lie: a folder of prompts like anybody's.
FOLDER = Path(__file__).parent
#: Beside the versions of a pattern: examples with a recorded answer each, one JSON object a line.
CASES_FILE = "cases.jsonl"


def patterns() -> PromptLibrary:
    """Return every pattern.

    Raises:
        ConfigError: a file of the installation was changed and cannot be used.
    """
    return load_prompts(FOLDER)


def cases_of(name: str) -> Path:
    """Return the file of a pattern's cases."""
    return FOLDER / name / CASES_FILE


def copy_pattern(name: str, folder: Path, *, is_forced: bool = False) -> list[Written]:
    """Copy a pattern into a folder of prompts, to make it one's own.

    Raises:
        NotFound: there is no such pattern; names the nearest.
        Conflict: a file is there with another text, and nobody has said that it may be replaced.
    """
    known = patterns().drafts
    if name not in known:
        raise NotFound(
            f"There is no pattern '{name[:64]}'.{nearest(name[:64], known)} "
            "List them with: santral prompts patterns list",
            code="prompt_not_found",
        )
    bodies = {draft.version: draft.text for draft in known[name].drafts}
    return write_versions(folder, name, bodies, known[name].labels, is_forced=is_forced)
