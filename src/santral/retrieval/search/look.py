"""Look: somebody who administers a collection searches it, and the audit log knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from santral.audit.note import note
from santral.db.engine import Engine, writing
from santral.retrieval.access import Scope, as_administrator, as_member
from santral.retrieval.search.question import Question
from santral.retrieval.search.result import SearchResult
from santral.retrieval.search.retriever import Retriever
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId

#: Documents that a row of the audit log names. Chosen: more than a search shows.
_MOST_NAMED = 100


class Look(Struct, frozen=True, kw_only=True):
    """What is looked for, by whom it is seen: ``groups`` None means all of them.

    ``given`` are options as ``options_of`` takes them; ``place`` names them in errors.
    """

    tenant_id: str
    collection: str
    question: Question
    given: Mapping[str, Any] = {}
    groups: tuple[str, ...] | None = None
    is_explained: bool = False
    place: str = "options"


async def look(
    engine: Engine, retriever: Retriever, wanted: Look, *, by: Principal
) -> SearchResult:
    """Search as an administrator, or as somebody with ``groups`` would; note what was shown.

    The question itself is not kept, only which documents were seen.

    Raises:
        NotFound: no such tenant or collection; names the nearest.
        NotAllowed: no role that may read collections of their owner.
        BadRequest: an option or a filter that does not fit.
    """
    by.require("collections.read", TenantId(wanted.tenant_id))
    shelf = retriever.shelf(wanted.tenant_id, wanted.collection)
    owner = wanted.tenant_id if shelf is None else shelf.collection.tenant_id
    by.require("collections.read", TenantId(owner))
    scope = _scope(owner, wanted)
    options = retriever.options(scope, wanted.given, place=wanted.place)
    find = retriever.explain if wanted.is_explained else retriever.search
    result = await find(scope, wanted.question, options)
    await _note(engine, owner, wanted, result, by)
    return result


def _scope(owner: str, wanted: Look) -> Scope:
    if wanted.groups is None:
        return as_administrator(owner, wanted.collection)
    return as_member(owner, wanted.collection, wanted.groups)


async def _note(
    engine: Engine, owner: str, wanted: Look, result: SearchResult, by: Principal
) -> None:
    shown = dict.fromkeys(
        [source.document_id for source in result.sources]
        + [one.candidate.document.id for one in result.ranked if wanted.is_explained]
    )
    if not shown:
        return
    async with writing(engine) as conn:
        await note(
            conn,
            by.actor,
            "collections.search",
            f"collection:{wanted.collection}",
            tenant_id=owner,
            after={
                "documents": list(shown)[:_MOST_NAMED],
                "as_groups": None if wanted.groups is None else list(wanted.groups),
                "generation": result.generation,
            },
        )
