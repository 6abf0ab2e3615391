"""A data set as it is kept: its row, revisions of its examples, and versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

from santral.evals.example import Example

RevisionKind: TypeAlias = Literal["create", "patch", "delete", "erase"]
Origin: TypeAlias = Literal["hand", "file", "trace", "review", "augmented", "generated"]


class Provenance(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an example comes from."""

    origin: Origin = "hand"
    source: str = (
        ""  # a file's name, a trace's id, a review item's, a parent example's, a document's
    )
    how: str = ""  # of what was made: noise:typos, swap:names, paraphrase, model and prompt
    user: str = ""  # the end user whose words it holds, where a trace says so
    session: str = ""

    @property
    def subject(self) -> str:
        """What the row of an example names: a user, or a session that names nobody."""
        return (self.user or (f"session:{self.session}" if self.session else ""))[:256]


class Dataset(Struct, frozen=True, kw_only=True):
    """One row of ``datasets``."""

    tenant_id: str
    name: str
    description: str
    settings: dict[str, Any]
    created_by: str
    created_at: datetime
    updated_at: datetime


class Revision(Struct, frozen=True, kw_only=True):
    """One state of an example. ``content`` is nothing where it was taken out."""

    example_id: str
    revision: int
    kind: RevisionKind
    content: Example | None
    content_hash: str  # of what it held, also after an erasure
    split: str
    provenance: Provenance | None
    subject: str
    created_by: str
    created_at: datetime

    @property
    def is_there(self) -> bool:
        """Whether a version made now would hold it."""
        return self.kind in ("create", "patch")

    @property
    def holds_a_person(self) -> bool:
        """Whether it holds what an end user said, or was made from such."""
        origin = self.provenance.origin if self.provenance is not None else "hand"
        return bool(self.subject) or origin in ("trace", "review", "augmented")


class Version(Struct, frozen=True, kw_only=True):
    """One row of ``dataset_versions``: which revision of which examples, for good."""

    version: int
    manifest_hash: str
    examples: int
    card: dict[str, Any] = field(default_factory=dict[str, Any])
    note: str = ""
    created_by: str = ""
    created_at: datetime


class Changed(Struct, frozen=True):
    """What a change did, counted."""

    created: int = 0
    patched: int = 0
    same: int = 0
    deleted: int = 0

    def __add__(self, other: Changed) -> Changed:
        return Changed(
            self.created + other.created,
            self.patched + other.patched,
            self.same + other.same,
            self.deleted + other.deleted,
        )

    def __str__(self) -> str:
        said = [f"{self.created} new", f"{self.patched} changed", f"{self.same} as they were"]
        return ", ".join([*said, f"{self.deleted} deleted"] if self.deleted else said)
