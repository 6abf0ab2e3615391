"""Which prompt a tenant gets under a name: from the folder, its own, of those above it, of everybody.

The registry as it stands in the database is compiled whole, and swapped whole; a request looks at
memory alone. A name that the configured folder declares is the folder's for everybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from msgspec import Struct, field

from santral.errors import ConfigError, NotFound, nearest
from santral.prompts.file import Draft, parse_draft
from santral.prompts.library import (
    Drafts,
    Prompt,
    PromptLibrary,
    find_draft,
    linked,
    split_reference,
)
from santral.prompts.link import link
from santral.prompts.version import PromptVersion

#: How a setting says that a prompt is registered and does not stand in the folder.
REGISTERED = "registry:"
#: The owner of prompts that every tenant gets. No tenant is called so.
EVERYBODY = "*"


class StoredVersion(Struct, frozen=True):
    """A version as its row says: ``body`` is the whole file."""

    tenant_id: str
    name: str
    version: str
    content_hash: str
    body: str


class StoredLabel(Struct, frozen=True):
    """Where a label points."""

    tenant_id: str
    name: str
    label: str
    version: str


class Registered(Struct, frozen=True):
    """Everything that was registered, at one moment, and whose part each tenant is."""

    versions: list[StoredVersion] = field(default_factory=list[StoredVersion])
    labels: list[StoredLabel] = field(default_factory=list[StoredLabel])
    parents: dict[str, str | None] = field(default_factory=dict[str, str | None])


class Resolved(Struct, frozen=True):
    """A version, and the label by which it was found; empty where by none."""

    version: PromptVersion
    label: str = ""


class Registry:
    """Prompts by tenant, compiled; immutable.

    ``before`` lends what it has compiled: the text of a version never changes.
    """

    __slots__ = ("_drafts", "_faults", "_files", "_owners", "_parents", "_paths", "registered")

    def __init__(
        self,
        files: PromptLibrary,
        registered: Registered | None = None,
        before: Registry | None = None,
    ) -> None:
        self.registered = registered or Registered()
        self._files = files
        self._parents = self.registered.parents
        self._drafts: dict[StoredVersion, Draft] = {}
        self._faults: dict[StoredVersion, str] = {}
        self._paths: dict[str, tuple[str, ...]] = {}
        drafts = self._read(before)
        self._owners = {owner: PromptLibrary({}, of_owner) for owner, of_owner in drafts.items()}
        for owner in drafts:
            self._owners[owner] = self._linked(owner, drafts[owner], before)

    def with_files(self, files: PromptLibrary) -> Registry:
        """Return the same registry beside another folder."""
        return Registry(files, self.registered, self)

    def resolve(
        self, tenant: str, name: str, version: str | None = None, label: str | None = None
    ) -> Resolved:
        """Return the version that a tenant's request names; with neither, the default one.

        Raises:
            BadRequest: both a version and a label were given.
            NotFound: there is no such prompt for this tenant, or no such version or label of it.
        """
        library = self._library(tenant, name)
        if library is None:
            known = [known for _, known in self.names(tenant)]
            raise NotFound(
                f"There is no prompt '{name[:64]}'.{nearest(name[:64], known)}",
                code="prompt_not_found",
                param="santral.prompt.name",
            )
        found = library.resolve(name, version, label)
        return Resolved(found, library.label_of(name, version, label))

    def find(self, tenant: str, reference: str) -> Resolved:
        """Return what ``NAME``, ``NAME@LABEL`` or ``NAME@1.2.0`` names for a tenant, with
        ``registry:`` before it or without; raises as ``resolve``."""
        return self.resolve(tenant, *split_reference(reference.removeprefix(REGISTERED)))

    def owner_of(self, tenant: str, name: str) -> str | None:
        """Return whose prompt a tenant gets under a name: empty for the folder's, None for nobody's."""
        if name in self._files:
            return ""
        return next((one for one in self._path(tenant) if name in self._owners[one]), None)

    def prompt(self, tenant: str, name: str) -> Prompt | None:
        """Return the prompt that a tenant gets under a name, with all its versions that can be used."""
        library = self._library(tenant, name)
        return None if library is None else next((p for p in library if p.name == name), None)

    def names(self, tenant: str) -> Iterator[tuple[str, str]]:
        """Yield owner and name of every prompt that a tenant gets, the nearest owner's first."""
        seen: set[str] = set()
        for owner, library in (
            ("", self._files),
            *((o, self._owners[o]) for o in self._path(tenant)),
        ):
            for name in sorted(library.drafts):
                if name not in seen:
                    seen.add(name)
                    yield owner, name

    def drafts(self, owner: str) -> Mapping[str, Drafts]:
        """Return what an owner has registered, by name."""
        library = self._owners.get(owner)
        return {} if library is None else library.drafts

    def link(self, owner: str, draft: Draft) -> PromptVersion:
        """Compile a version that an owner may register; raises ConfigError."""
        return link(draft, partial(self._included, owner))

    def broken(self) -> Mapping[tuple[str, str], str]:
        """Return why versions cannot be used, by owner and NAME@1.2.0."""
        return {
            (owner, reference): reason
            for owner, library in self._owners.items()
            for reference, reason in library.broken.items()
        }

    def _library(self, tenant: str, name: str) -> PromptLibrary | None:
        if name in self._files:
            return self._files
        for owner in self._path(tenant):
            if name in self._owners[owner]:
                return self._owners[owner]
        return None

    def _path(self, tenant: str) -> tuple[str, ...]:
        """Return the owners whose prompts a tenant gets, the nearest first; those without any are left
        out."""
        path = self._paths.get(tenant)
        if path is None:
            steps: list[str] = []
            step: str | None = tenant
            while step is not None and step not in steps:
                steps.append(step)
                step = self._parents.get(step)
            steps.append(EVERYBODY)
            path = tuple(owner for owner in dict.fromkeys(steps) if owner in self._owners)
            if tenant in self._parents or tenant == EVERYBODY:
                self._paths[tenant] = path
        return path

    def _read(self, before: Registry | None) -> dict[str, dict[str, Drafts]]:
        found: dict[str, dict[str, list[Draft]]] = {}
        for stored in self.registered.versions:
            draft = self._draft(stored, before)
            of_name = found.setdefault(stored.tenant_id, {}).setdefault(stored.name, [])
            if draft is not None:
                of_name.append(draft)
        labels: dict[tuple[str, str], dict[str, str]] = {}
        for label in self.registered.labels:
            labels.setdefault((label.tenant_id, label.name), {})[label.label] = label.version
        return {
            owner: {
                name: Drafts(
                    tuple(sorted(drafts, key=lambda draft: draft.order)),
                    labels.get((owner, name), {}),
                )
                for name, drafts in of_owner.items()
            }
            for owner, of_owner in found.items()
        }

    def _draft(self, stored: StoredVersion, before: Registry | None) -> Draft | None:
        known = before._drafts.get(stored) if before is not None else None
        try:
            draft = known or parse_draft(
                stored.body, stored.name, stored.version, f"{stored.name}@{stored.version}"
            )
        except ConfigError as error:
            self._faults[stored] = error.message
            return None
        self._drafts[stored] = draft
        return draft

    def _linked(
        self, owner: str, drafts: Mapping[str, Drafts], before: Registry | None
    ) -> PromptLibrary:
        broken = {
            f"{stored.name}@{stored.version}": reason
            for stored, reason in self._faults.items()
            if stored.tenant_id == owner
        }
        ready = before._ready(owner) if before is not None else {}
        prompts = linked(drafts, partial(self._included, owner), broken, ready)
        return PromptLibrary(prompts, drafts, broken)

    def _included(self, owner: str, reference: str) -> Draft:
        """Return the draft that a prompt of ``owner`` includes: what the owner gets under the name."""
        library = self._library(owner, reference.partition("@")[0])
        return find_draft(library.drafts if library is not None else {}, reference)

    def _ready(self, owner: str) -> dict[str, PromptVersion]:
        """Return the compiled versions that include nothing, by their content."""
        library = self._owners.get(owner)
        versions = [version for prompt in library or () for version in prompt.versions]
        return {v.content_hash + v.reference: v for v in versions if not v.includes}
