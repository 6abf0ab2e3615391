"""The prompt library: every version in a folder, found by name, version or label."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from msgspec import Struct

from santral.errors import BadRequest, ConfigError, NotFound, nearest
from santral.prompts.file import Draft, read_draft
from santral.prompts.front import fault
from santral.prompts.link import FindDraft, link
from santral.prompts.version import PromptVersion, SemVer

#: The label that a request without version and label gets. Chosen: the name people use.
DEFAULT_LABEL = "production"

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
LABEL = re.compile(r"[a-z][a-z0-9_-]{0,63}")


NAME_RULE = "a prompt is named in lower case letters, digits, '-' and '_'"


class Drafts(Struct, frozen=True):
    """The drafts of one prompt, from oldest to newest, and its labels."""

    drafts: tuple[Draft, ...]
    labels: Mapping[str, str]

    def find(self, pointer: str) -> Draft | None:
        """Return the draft of a version or label; with an empty one, the default."""
        wanted = self.labels.get(pointer, pointer) or self.labels.get(DEFAULT_LABEL, "")
        if wanted:
            return next((draft for draft in self.drafts if draft.version == wanted), None)
        releases = [draft for draft in self.drafts if not draft.order.is_prerelease]
        return (releases or self.drafts)[-1]


class Prompt(Struct, frozen=True):
    """A named prompt: its versions from oldest to newest, and its labels."""

    name: str
    versions: tuple[PromptVersion, ...]
    labels: dict[str, str]  # label to version

    def find(self, version: str) -> PromptVersion | None:
        """Return the version, or ``None``."""
        try:
            wanted = SemVer(version)
        except ValueError:
            return None
        return next((v for v in self.versions if v.order == wanted), None)

    @property
    def default(self) -> PromptVersion | None:
        """The version labelled ``production``, else the newest release, else the newest.

        None: the one that is labelled so cannot be used.
        """
        if DEFAULT_LABEL in self.labels:
            return self.find(self.labels[DEFAULT_LABEL])
        releases = [v for v in self.versions if not v.order.is_prerelease]
        return (releases or self.versions)[-1]


class PromptLibrary:
    """An immutable snapshot of all prompts of one place: a folder, or what a tenant has registered.

    ``drafts`` are what they were made of, ``broken`` says why a version, as NAME@1.2.0, cannot be used.
    """

    __slots__ = ("_by_label", "_by_version", "_defaults", "_prompts", "broken", "drafts")

    def __init__(
        self,
        prompts: Mapping[str, Prompt],
        drafts: Mapping[str, Drafts] | None = None,
        broken: Mapping[str, str] | None = None,
    ) -> None:
        self.drafts = drafts or {}
        self.broken = broken or {}
        self._prompts = dict(sorted(prompts.items()))
        self._defaults = {name: prompt.default for name, prompt in self._prompts.items()}
        self._by_version = {
            (p.name, v.version): v for p in self._prompts.values() for v in p.versions
        }
        self._by_label = {
            (p.name, label): self._by_version[(p.name, found.version)]
            for p in self._prompts.values()
            for label, version in p.labels.items()
            if (found := p.find(version)) is not None
        }

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self._prompts.values())

    def __len__(self) -> int:
        return len(self._prompts)

    def __contains__(self, name: object) -> bool:
        return name in self._prompts or name in self.drafts

    def resolve(
        self, name: str, version: str | None = None, label: str | None = None
    ) -> PromptVersion:
        """Return the version that a request names; with neither, the default one.

        Raises:
            BadRequest: both a version and a label were given.
            NotFound: there is no such prompt, version or label, or it cannot be used; names the nearest.
        """
        prompt = self._prompts.get(name)
        if prompt is None:
            raise self._unknown(name)
        if version is not None and label is not None:
            raise BadRequest(
                f"Prompt '{name}' was named by version and by label; give one of them.",
                code="invalid_request",
                param="santral.prompt.version",
            )
        if version is not None:
            return self._version(prompt, version)
        if label is not None:
            return self._label(prompt, label)
        return self._defaults[name] or self._label(prompt, DEFAULT_LABEL)

    def label_of(self, name: str, version: str | None, label: str | None) -> str:
        """Return the label by which ``resolve`` found what it found; empty where by none."""
        if version is not None:
            return ""
        return label or (DEFAULT_LABEL if (name, DEFAULT_LABEL) in self._by_label else "")

    def find(self, reference: str) -> PromptVersion:
        """Return the version a setting names: ``NAME``, ``NAME@LABEL`` or ``NAME@1.2.0``.

        Raises:
            NotFound: there is no such prompt, version or label, or it cannot be used; names the nearest.
        """
        return self.resolve(*split_reference(reference))

    def _version(self, prompt: Prompt, version: str) -> PromptVersion:
        found = self._by_version.get((prompt.name, version)) or prompt.find(version)
        if found is None:
            self._refuse_broken(f"{prompt.name}@{version}")
            known = ", ".join(v.version for v in prompt.versions)
            raise _missing(
                f"Prompt '{prompt.name}' has no version '{version}'; it has {known}.", "version"
            )
        return found

    def _label(self, prompt: Prompt, label: str) -> PromptVersion:
        found = self._by_label.get((prompt.name, label))
        if found is None:
            self._refuse_broken(f"{prompt.name}@{prompt.labels.get(label, '')}")
            hint = nearest(label, prompt.labels)
            known = ", ".join(prompt.labels) or "none"
            raise _missing(
                f"Prompt '{prompt.name}' has no label '{label}'; its labels: {known}.{hint}",
                "label",
            )
        return found

    def _unknown(self, name: str) -> NotFound:
        for reference in self.broken:
            if reference.partition("@")[0] == name:
                self._refuse_broken(reference)
        return _missing(f"There is no prompt '{name}'.{nearest(name, self._prompts)}", "name")

    def _refuse_broken(self, reference: str) -> None:
        if reference in self.broken:
            raise _missing(f"Prompt {reference} cannot be used: {self.broken[reference]}", "name")


def split_reference(reference: str) -> tuple[str, str | None, str | None]:
    """Return name, version and label of ``NAME``, ``NAME@LABEL`` or ``NAME@1.2.0``."""
    name, at, pointer = reference.partition("@")
    if not at:
        return name, None, None
    return (name, pointer, None) if pointer[:1].isdigit() else (name, None, pointer)


def load_prompts(folder: Path) -> PromptLibrary:
    """Load every prompt under ``folder``; a folder that does not exist holds none.

    Raises:
        ConfigError: one line per fault, each with ``file:line``; nothing is loaded.
    """
    library, faults = inspect_prompts(folder)
    if faults:
        raise ConfigError("\n".join(faults))
    return library


def inspect_prompts(folder: Path) -> tuple[PromptLibrary, list[str]]:
    """Return what can be loaded, and every fault as a line with ``file:line``.

    A prompt of a folder includes prompts of the same folder.
    """
    faults: list[str] = []
    if folder.exists() and not folder.is_dir():
        return PromptLibrary({}), [f"{folder}:1: prompts are kept in a folder, and this is a file."]
    drafts: dict[str, Drafts] = {}
    for place in sorted(folder.iterdir()) if folder.exists() else []:
        if place.is_dir() and not place.name.startswith("."):
            found = _drafts(place, faults)
            if found is not None:
                drafts[place.name] = found
    broken: dict[str, str] = {}
    prompts = linked(drafts, partial(find_draft, drafts), broken)
    return PromptLibrary(prompts, drafts, broken), [*faults, *broken.values()]


def linked(
    drafts: Mapping[str, Drafts],
    find: FindDraft,
    broken: dict[str, str],
    ready: Mapping[str, PromptVersion] | None = None,
) -> dict[str, Prompt]:
    """Return the prompts of drafts; a version that cannot be linked is left out, and ``broken`` says
    why. ``ready`` are versions linked before, by the hash of their file and NAME@1.2.0."""
    known = ready or {}
    prompts: dict[str, Prompt] = {}
    for name, of_name in drafts.items():
        versions: list[PromptVersion] = []
        for draft in of_name.drafts:
            try:
                versions.append(
                    known.get(draft.content_hash + draft.reference) or link(draft, find)
                )
            except ConfigError as error:
                broken[draft.reference] = error.message
        if versions:
            prompts[name] = Prompt(name, tuple(versions), dict(of_name.labels))
    return prompts


def find_draft(drafts: Mapping[str, Drafts], reference: str) -> Draft:
    """Return the draft that ``NAME``, ``NAME@LABEL`` or ``NAME@1.2.0`` names.

    Raises:
        NotFound: there is none; names the nearest.
    """
    name, _, pointer = reference.partition("@")
    of_name = drafts.get(name)
    if of_name is None or not of_name.drafts:
        raise _missing(f"There is no prompt '{name}'.{nearest(name, drafts)}", "name")
    found = of_name.find(pointer)
    if found is None:
        raise _missing(
            f"Prompt '{name}' has no version or label '{pointer}'."
            f"{nearest(pointer, [*of_name.labels, *(d.version for d in of_name.drafts)])}",
            "version",
        )
    return found


def _drafts(folder: Path, faults: list[str]) -> Drafts | None:
    if not NAME.fullmatch(folder.name):
        faults.append(f"{folder}:1: {NAME_RULE}.")
        return None
    before = len(faults)
    found: dict[SemVer, Draft] = {}
    for path in sorted(folder.glob("*.md")):
        if path.name == "README.md" or path.name.startswith("."):
            continue
        try:
            read = read_draft(path, folder.name)
            if read.order in found:
                raise fault(
                    path, 1, f"the version is there already: {found[read.order].version}.md"
                )
            found[read.order] = read
        except ConfigError as error:
            faults.append(error.message)
    ordered = tuple(found[order] for order in sorted(found))
    # A label that points to a version with a fault has no fault of its own.
    labels = {} if len(faults) > before else _labels(folder / "labels.toml", ordered, faults)
    return Drafts(ordered, labels) if ordered else None


def _labels(path: Path, versions: tuple[Draft, ...], faults: list[str]) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        rows = path.read_text(encoding="utf-8").split("\n")
        table = tomllib.loads("\n".join(rows))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        faults.append(f"{path}:{place[1] if place else 1}: the labels are not TOML: {error}.")
        return {}
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{path}:1: the labels cannot be read: {error}.")
        return {}
    known = [v.version for v in versions]
    for label, version in table.items():
        reason = _label_fault(label, version, known)
        if reason:
            line = next((n for n, row in enumerate(rows, 1) if label in row), 1)
            faults.append(f"{path}:{line}: {reason}.")
    return {label: str(v) for label, v in table.items() if v in known}


def _label_fault(label: str, version: object, known: list[str]) -> str:
    if not LABEL.fullmatch(label):
        return f"'{label}' cannot be a label: lower case letters, digits, '-' and '_'"
    if version not in known:
        there = ", ".join(known) or "none"
        return f"the label '{label}' points to version '{version}', which is not there (there: {there})"
    return ""


def _missing(message: str, param: str) -> NotFound:
    return NotFound(message, code="prompt_not_found", param=f"santral.prompt.{param}")
