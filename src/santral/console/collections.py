"""Pages of collections: what is in them, which version is searched, and what a question finds."""

from __future__ import annotations

from typing import Any, get_args
from urllib.parse import urlencode

from fastapi import Response
from msgspec import Struct

from santral.console.frame import Frame, Visit
from santral.console.pick import pick_tenant, tenant_choices
from santral.errors import BadRequest, RequestError
from santral.retrieval.collection import VersionState
from santral.retrieval.collections.change import CollectionLine, list_collections, show_collection
from santral.retrieval.collections.versions import switch_version
from santral.retrieval.document import StoredDocument
from santral.retrieval.index.signal import Signal
from santral.retrieval.ingest.documents import list_documents, show_document
from santral.retrieval.search.look import Look, look
from santral.retrieval.search.question import Question
from santral.retrieval.search.rerank.known import CROSS_ENCODER, LEARNED, OFF
from santral.retrieval.search.result import SearchResult
from santral.retrieval.search.retriever import Retriever
from santral.retrieval.store import DocumentFilter

#: Documents of one page, and passages of one answer. Chosen.
_PAGE, _TOP = 100, 10
#: States of a collection and of a document, as badges name them.
COLLECTION_STATES = ("fresh", "behind", "empty")
DOCUMENT_STATES = ("indexed", "quarantined")
VERSION_STATES: tuple[VersionState, ...] = get_args(VersionState)
SIGNALS: tuple[Signal, ...] = get_args(Signal)
#: The two sides of a comparison.
SIDES = ("a", "b")


class Side(Struct, frozen=True):
    """One of two ways to ask the same question, and what it found."""

    name: str
    fields: dict[str, str]
    result: SearchResult | None


class CollectionPages:
    """The pages over collections; ``retriever`` is None where this process cannot search."""

    def __init__(self, frame: Frame, retriever: Retriever | None) -> None:
        self._config = frame.config
        self._retriever = retriever
        frame.show("/collections", self.list)
        frame.show("/collections/one", self.one)
        frame.act("/collections/switch", self.switch)
        frame.show("/collections/document", self.document)
        frame.show("/collections/search", self.search)

    async def list(self, visit: Visit) -> Response:
        """The collections of one tenant."""
        choices = await tenant_choices(visit, "collections.read")
        tenant = pick_tenant(visit, choices, "collections.read")
        lines = await list_collections(visit.engine, self._config, tenant, by=visit.principal)
        return visit.page(
            "collections.html",
            choices=choices,
            tenant=tenant,
            lines=[(line, state_of(line), address(line)) for line in lines],
        )

    async def one(self, visit: Visit) -> Response:
        """One collection: its versions and a page of its documents."""
        line = await self._line(visit)
        known = line.collection
        chosen = DocumentFilter(status=_status(visit), source=visit.asked("source")[:256])
        after = (visit.asked("after"), visit.asked("after_id"))
        documents = await list_documents(
            visit.engine, known.tenant_id, known.name, chosen,
            by=visit.principal, after=after, limit=_PAGE,
        )  # fmt: skip
        return visit.page(
            "collection.html",
            line=line,
            state=state_of(line),
            here=_named(line),
            statuses=DOCUMENT_STATES,
            chosen=chosen,
            documents=documents,
            is_first=after == ("", ""),
            following=_following(documents),
            may_switch=visit.principal.may("collections.write", visit_tenant(line)),
            has_former=sum(one.state in ("ready", "active") for one in line.versions) > 1,
        )

    async def switch(self, visit: Visit) -> Response:
        """Search another version from now on."""
        tenant, name, wanted = visit.form("tenant"), visit.form("name"), visit.form("version")
        if wanted and not wanted.isdigit():
            raise BadRequest("A version is a number.", param="version")
        number = int(wanted) if wanted else None
        await switch_version(
            visit.engine, self._config, tenant, name, number, visit.now, by=visit.principal
        )
        return visit.done("done_changed", "/collections/one", tenant=tenant, name=name)

    async def document(self, visit: Visit) -> Response:
        """One document: what is known of it, and the passages that are searched."""
        line = await self._line(visit)
        known = line.collection
        shown = await show_document(
            visit.engine, known.tenant_id, known.name, visit.asked("id"), by=visit.principal
        )
        return visit.page(
            "document.html",
            line=line,
            here=_named(line),
            document=shown.document,
            chunks=shown.chunks,
        )

    async def search(self, visit: Visit) -> Response:
        """One question, asked in two ways beside each other, every score explained."""
        line = await self._line(visit)
        question = visit.asked("q")
        sides = [Side(name, _fields(visit, name), None) for name in SIDES]
        if question and self._retriever is not None:
            try:
                sides = [await self._asked(visit, line, question, side) for side in sides]
            except RequestError as error:
                visit.trouble = error
        return visit.page(
            "search.html",
            line=line,
            here=_named(line),
            question=question,
            groups=visit.asked("groups"),
            sides=sides,
            signals=SIGNALS,
            rerankers=self._rerankers(),
            can_search=self._retriever is not None,
        )

    async def _asked(self, visit: Visit, line: CollectionLine, question: str, side: Side) -> Side:
        assert self._retriever is not None  # noqa: S101 - asked for before
        wanted = Look(
            tenant_id=line.collection.tenant_id,
            collection=line.collection.name,
            question=Question(question),
            given={"top_k": _TOP, **_given(side.fields)},
            groups=_groups(visit.asked("groups")),
            is_explained=True,
            place=side.name,
        )
        result = await look(visit.engine, self._retriever, wanted, by=visit.principal)
        return Side(side.name, side.fields, result)

    async def _line(self, visit: Visit) -> CollectionLine:
        tenant, name = visit.asked("tenant"), visit.asked("name")
        return await show_collection(visit.engine, self._config, tenant, name, by=visit.principal)

    def _rerankers(self) -> tuple[str, ...]:
        deployments = (f"deployment:{name}" for name in self._config.deployments)
        return (OFF, LEARNED, CROSS_ENCODER, *deployments)


def state_of(line: CollectionLine) -> str:
    """Return whether what is searched is what the documents say."""
    if line.active is None:
        return "empty"
    return "behind" if line.is_behind else "fresh"


def address(line: CollectionLine) -> str:
    """Return where the page of a collection is."""
    return f"/collections/one?{_named(line)}"


def visit_tenant(line: CollectionLine) -> Any:
    """Return the tenant that owns a collection."""
    return line.collection.tenant_id


def _named(line: CollectionLine) -> str:
    return urlencode({"tenant": line.collection.tenant_id, "name": line.collection.name})


def _status(visit: Visit) -> str:
    status = visit.asked("status")
    if status and status not in DOCUMENT_STATES:
        raise BadRequest(
            f"There is no state '{status[:20]}': {', '.join(DOCUMENT_STATES)}.", param="status"
        )
    return status


def _following(documents: list[StoredDocument]) -> str:
    """Return what asks for the next page, empty on the last one."""
    if len(documents) < _PAGE:
        return ""
    return urlencode({"after": documents[-1].source, "after_id": documents[-1].id})


def _groups(text: str) -> tuple[str, ...] | None:
    """Return the groups that a form names, None where it names none."""
    return tuple(group.strip() for group in text.split(",") if group.strip()) or None


_FIELDS = (*SIGNALS, "rerank", "diversity")


def _fields(visit: Visit, side: str) -> dict[str, str]:
    """Return what the form says of one side, as it was typed."""
    return {name: visit.asked(f"{side}_{name}")[:32] for name in _FIELDS}


def _given(fields: dict[str, str]) -> dict[str, Any]:
    """Return the options of one side; empty fields stay as the collection is set."""
    given: dict[str, Any] = {}
    weights = {name: _number(name, fields[name]) for name in SIGNALS if fields[name]}
    if weights:
        given["weights"] = {name: weights.get(name, 0.0) for name in SIGNALS}
    if fields["diversity"]:
        given["diversity"] = _number("diversity", fields["diversity"])
    if fields["rerank"]:
        given["rerank"] = fields["rerank"]
    return given


def _number(name: str, text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise BadRequest(f"'{name}' is a number from 0 to 1.", param=name) from None
