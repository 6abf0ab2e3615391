"""Pages of data sets: examples with their history, versions, and what lies between two of them."""

from __future__ import annotations

from typing import get_args
from urllib.parse import urlencode

import msgspec
from fastapi import Response
from msgspec import Struct

from santral.console.frame import Frame, Visit
from santral.console.pick import pick_tenant, tenant_choices
from santral.errors import BadRequest
from santral.evals.datasets.card import Card
from santral.evals.datasets.change import (
    DatasetLine,
    example_history,
    examples_page,
    list_datasets,
    show_dataset,
)
from santral.evals.datasets.dataset import Origin, Revision, RevisionKind
from santral.evals.datasets.versions import Difference, commit_version, diff_versions
from santral.tenants.tenant import TenantId

#: Examples of one page, ids of one difference, and letters of a question in a list. Chosen.
_PAGE, _MOST_IDS, _SHOWN = 50, 200, 160
#: What badges name.
REVISIONS: tuple[RevisionKind, ...] = get_args(RevisionKind)
ORIGINS: tuple[Origin, ...] = get_args(Origin)
#: What can lie between two versions.
DIFFERENCES = ("added", "removed", "changed", "moved")


class Shown(Struct, frozen=True):
    """An example as a list or a history shows it."""

    revision: Revision
    origin: str
    asks: str
    content: str  # as JSON, for the page of one example
    is_hidden: bool


class DatasetPages:
    """The pages over data sets."""

    def __init__(self, frame: Frame) -> None:
        frame.show("/datasets", self.list)
        frame.show("/datasets/one", self.one)
        frame.act("/datasets/commit", self.commit)
        frame.show("/datasets/example", self.example)
        frame.show("/datasets/diff", self.diff)

    async def list(self, visit: Visit) -> Response:
        """The data sets of one tenant."""
        choices = await tenant_choices(visit, "datasets.read")
        tenant = pick_tenant(visit, choices, "datasets.read")
        lines = await list_datasets(visit.engine, tenant, by=visit.principal)
        return visit.page(
            "datasets.html",
            choices=choices,
            tenant=tenant,
            lines=[(line, f"/datasets/one?{_named(line)}") for line in lines],
        )

    async def one(self, visit: Visit) -> Response:
        """One data set: its versions, the card of the newest, and a page of its examples."""
        line = await self._line(visit)
        known = line.dataset
        after = visit.asked("after")[:128]
        found = await examples_page(
            visit.engine, known.tenant_id, known.name, by=visit.principal, after=after, limit=_PAGE
        )
        return visit.page(
            "dataset.html",
            line=line,
            here=_named(line),
            card=_card(line),
            examples=[_shown(one) for one in found],
            is_first=not after,
            following=_following(found),
            may_write=visit.principal.may("datasets.write", TenantId(known.tenant_id)),
        )

    async def commit(self, visit: Visit) -> Response:
        """Make a version of what is there now."""
        tenant, name = visit.form("tenant"), visit.form("name")
        await commit_version(
            visit.engine, tenant, name, visit.now, by=visit.principal, note_=visit.form("note")
        )
        return visit.done("done_changed", "/datasets/one", tenant=tenant, name=name)

    async def example(self, visit: Visit) -> Response:
        """One example with every revision of it."""
        line = await self._line(visit)
        known = line.dataset
        found = await example_history(
            visit.engine, known.tenant_id, known.name, visit.asked("id"), by=visit.principal
        )
        return visit.page(
            "dataset_example.html",
            line=line,
            here=_named(line),
            example=found[0].example_id,
            history=[_shown(one) for one in found],
        )

    async def diff(self, visit: Visit) -> Response:
        """What lies between two versions, or a version and what is there now."""
        line = await self._line(visit)
        known = line.dataset
        found = None
        before, after = _number(visit, "before"), _number(visit, "after")
        if before:
            found = await diff_versions(
                visit.engine, known.tenant_id, known.name, before, after or None,
                by=visit.principal,
            )  # fmt: skip
        return visit.page(
            "dataset_diff.html",
            line=line,
            here=_named(line),
            before=before,
            after=after,
            found=found,
            parts_of=[] if found is None else _parts(found),
        )

    async def _line(self, visit: Visit) -> DatasetLine:
        return await show_dataset(
            visit.engine, visit.asked("tenant"), visit.asked("name"), by=visit.principal
        )


def _named(line: DatasetLine) -> str:
    """Return what names a data set in an address."""
    return urlencode({"tenant": line.dataset.tenant_id, "name": line.dataset.name})


def _card(line: DatasetLine) -> Card | None:
    """Return the card that the newest version was given."""
    if not line.versions or not line.versions[0].card:
        return None
    return msgspec.convert(line.versions[0].card, Card)


def _shown(one: Revision) -> Shown:
    content = one.content
    text = "" if content is None else " ".join(content.question.split())
    body = "" if content is None else _json({**msgspec.to_builtins(content), "split": one.split})
    return Shown(
        revision=one,
        origin=one.provenance.origin if one.provenance else "hand",
        asks=text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…",
        content=body,
        is_hidden=content is None and one.is_there,
    )


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _following(found: list[Revision]) -> str:
    """Return what asks for the next page, empty on the last one."""
    return urlencode({"after": found[-1].example_id}) if len(found) == _PAGE else ""


def _parts(found: Difference) -> list[tuple[str, list[str], int]]:
    """Return each part of a difference: its name, ids that are shown, and how many more."""
    parts = [(name, list[str](getattr(found, name))) for name in DIFFERENCES]
    return [(name, ids[:_MOST_IDS], max(0, len(ids) - _MOST_IDS)) for name, ids in parts if ids]


def _number(visit: Visit, name: str) -> int:
    text = visit.asked(name)
    if text and not (text.isdigit() and len(text) < 10):
        raise BadRequest("A version is a number.", param=name)
    return int(text or 0)
