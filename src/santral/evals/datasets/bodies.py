"""Bodies of ``/api/datasets``: what comes in, and what goes out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from santral.evals.datasets.change import DatasetLine, OnExisting
from santral.evals.datasets.dataset import Changed, Revision, Version
from santral.tenants.tenant import DEFAULT_TENANT


class _Of(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(DEFAULT_TENANT, max_length=128, description="Whose data set.")


class NewDataset(_Of):
    """A data set to make."""

    name: str = Field(max_length=128, description="Letters, digits and . _ -")
    description: str = Field("", max_length=4_000, description="What it is for.")


class NewExamples(_Of):
    """Examples to add."""

    examples: list[dict[str, Any]] = Field(
        max_length=1_000,
        description="As lines of a JSONL file have them; one without an id is called by its content.",
    )
    on_existing: OnExisting = Field(
        "replace", description="What happens with an id that is there with another content."
    )


class ChangedExample(_Of):
    """Fields of an example to change; null takes one back."""

    changes: dict[str, Any] = Field(description="Field to value.")


class CommitBody(_Of):
    """A version to make of what is there now."""

    note: str = Field("", max_length=4_000, description="What has changed, in words.")


class SplitBody(_Of):
    """Shares of splits."""

    shares: str = Field("train=0.8,test=0.2", description="Name=share, with commas; they make 1.")
    stratify: str = Field("", description="A metadata field whose values have these shares each.")
    anew: bool = Field(False, description="Decide also about examples that have a split.")


class AugmentBody(_Of):
    """Ways to make further examples by rules."""

    ways: list[str] = Field(description="noise:KIND and swap:KIND.")
    per_example: int = Field(1, ge=1, le=20, description="Most of each way for one example.")
    split: str = Field("", description="Only of examples in this split.")
    seed: int = Field(0, ge=0, description="Of what is drawn.")


class MaskBody(_Of):
    """Personal data to replace by placeholders in new revisions."""


class TracesBody(_Of):
    """Traces to make examples of."""

    route: str = Field("", description="Only this route.")
    since: str = Field("24h", description="Age such as 24h, 7d, or an ISO time.")
    status: str = Field("ok", description="ok, error, a class such as 4xx, or a status.")
    filters: list[str] = Field(
        default_factory=list[str], description="FIELD=VALUE, tag.NAME=VALUE, score.NAME<=0."
    )
    with_answer: bool = Field(False, description="The answer that was given is what is expected.")
    limit: int = Field(200, ge=1, le=5_000, description="Most examples.")


class VersionBody(BaseModel):
    """A version."""

    version: int
    manifest_hash: str
    examples: int
    note: str
    created_by: str
    created_at: datetime


class DatasetBody(BaseModel):
    """A data set."""

    tenant_id: str
    name: str
    description: str
    examples: int = Field(description="What is there now.")
    newest_version: int = Field(description="0: there is none yet.")
    versions: list[VersionBody] = Field(description="Of one data set alone; empty in a list.")
    created_by: str
    created_at: datetime
    updated_at: datetime


class DatasetList(BaseModel):
    """The data sets of a tenant, by name."""

    datasets: list[DatasetBody]


class RevisionBody(BaseModel):
    """One state of an example."""

    id: str
    revision: int
    kind: str
    content: dict[str, Any] | None = Field(
        description="Null: deleted, erased, or words of a person that the reader may not see."
    )
    content_hash: str
    split: str
    provenance: dict[str, Any] | None
    created_by: str
    created_at: datetime


class ExamplePage(BaseModel):
    """Some examples by id, and after which the next page begins."""

    examples: list[RevisionBody]
    next: str | None


class HistoryBody(BaseModel):
    """Every revision of an example, the newest first."""

    revisions: list[RevisionBody]


class ChangedBody(BaseModel):
    """What a change did."""

    created: int
    patched: int
    same: int
    deleted: int
    left_out: dict[str, int] = Field(
        default_factory=dict[str, int], description="What became no example, by why."
    )


def dataset_body(line: DatasetLine) -> DatasetBody:
    """Return a data set as the API says it."""
    known = line.dataset
    return DatasetBody(
        tenant_id=known.tenant_id,
        name=known.name,
        description=known.description,
        examples=line.examples,
        newest_version=line.newest,
        versions=[version_body(version) for version in line.versions],
        created_by=known.created_by,
        created_at=known.created_at,
        updated_at=known.updated_at,
    )


def version_body(version: Version) -> VersionBody:
    """Return a version as the API says it, without its card."""
    fields = VersionBody.model_fields
    return VersionBody(**{name: getattr(version, name) for name in fields})


def revision_body(one: Revision) -> RevisionBody:
    """Return a revision as the API says it; people are not named beside what they said."""
    content = None
    if one.content is not None:
        content = {**msgspec.to_builtins(one.content), "id": one.example_id, "split": one.split}
    origin = None if one.provenance is None else msgspec.to_builtins(one.provenance)
    return RevisionBody(
        id=one.example_id,
        revision=one.revision,
        kind=one.kind,
        content=content,
        content_hash=one.content_hash,
        split=one.split,
        provenance=origin,
        created_by=one.created_by,
        created_at=one.created_at,
    )


def changed_body(changed: Changed, left_out: dict[str, int] | None = None) -> ChangedBody:
    """Return what a change did as the API says it."""
    return ChangedBody(**msgspec.to_builtins(changed), left_out=left_out or {})
