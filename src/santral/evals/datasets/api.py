"""``/api/datasets``: the admin API of data sets, their examples and versions."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Annotated, Any

import msgspec
import numpy as np
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from santral.db.engine import Engine
from santral.errors import BadRequest, TooLarge, TooSlow
from santral.evals.datasets.bodies import (
    AugmentBody,
    ChangedBody,
    ChangedExample,
    CommitBody,
    DatasetBody,
    DatasetList,
    ExamplePage,
    HistoryBody,
    MaskBody,
    NewDataset,
    NewExamples,
    RevisionBody,
    SplitBody,
    TracesBody,
    VersionBody,
    changed_body,
    dataset_body,
    revision_body,
    version_body,
)
from santral.evals.datasets.change import (
    OnExisting,
    add_examples,
    change_example,
    create_dataset,
    delete_dataset,
    delete_example,
    example_history,
    examples_page,
    list_datasets,
    show_dataset,
)
from santral.evals.datasets.dataset import Provenance
from santral.evals.datasets.export import format_of, write_examples
from santral.evals.datasets.files import ENDINGS, examples_of_rows
from santral.evals.datasets.rework import (
    augment_dataset,
    check_dataset,
    held_now,
    mask_dataset,
    split_dataset,
)
from santral.evals.datasets.shape import Rest, parse_mapping
from santral.evals.datasets.splits import parse_shares
from santral.evals.datasets.take_in import Import, import_file
from santral.evals.datasets.traces import Wanted, add_traces, parse_filters
from santral.evals.datasets.versions import commit_version, diff_versions, version_card
from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import DEFAULT_TENANT
from santral.traces.question import Cursor, Filters, FoundTrace, TracePage, parse_since
from santral.traces.store import TraceStore

#: Longest body of an import, and how long it may take to come, in seconds. Chosen; a larger file goes in
#: by the command line.
_MAX_BODY, _BODY_S = 100 * 1024 * 1024, 120.0
_TRACES_OF_PAGE = 200

_Tenant = Annotated[str, Query(max_length=128, description="Whose data sets.")]
_Name = Annotated[str, Path(max_length=128, description="The data set.")]
_Example = Annotated[str, Path(max_length=128, description="The example's id.")]
_Version = Annotated[
    int | None, Query(ge=0, description="A version; 0: what is there now; default: the newest.")
]


def datasets_router(
    engine: Engine,
    store: TraceStore,
    authorise: Authorise,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """Return the endpoints; ``store`` holds the traces that examples are made of."""
    router = APIRouter(prefix="/api/datasets", tags=["datasets"])
    _add_sets(router, engine, authorise, clock)
    _add_examples(router, engine, authorise, clock)
    _add_versions(router, engine, authorise, clock)
    _add_rework(router, engine, store, authorise, clock)
    return router


def _add_sets(
    router: APIRouter, engine: Engine, authorise: Authorise, clock: Callable[[], datetime]
) -> None:
    reader: Any = Depends(authorise("datasets.read"))
    writer: Any = Depends(authorise("datasets.write"))

    @router.get("")
    async def get_datasets(
        tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> DatasetList:
        """List the data sets of a tenant."""
        lines = await list_datasets(engine, tenant_id, by=by)
        return DatasetList(datasets=[dataset_body(line) for line in lines])

    @router.post("", status_code=201)
    async def post_dataset(body: NewDataset, by: Principal = writer) -> DatasetBody:
        """Make an empty data set."""
        await create_dataset(
            engine, body.tenant_id, body.name, clock(), by=by, description=body.description
        )
        return dataset_body(await show_dataset(engine, body.tenant_id, body.name, by=by))

    @router.get("/{name}")
    async def get_dataset(
        name: _Name, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> DatasetBody:
        """Show one data set and its versions."""
        return dataset_body(await show_dataset(engine, tenant_id, name, by=by))

    @router.delete("/{name}")
    async def remove_dataset(
        name: _Name,
        tenant_id: _Tenant = DEFAULT_TENANT,
        force: Annotated[bool, Query(description="Although it holds examples.")] = False,
        by: Principal = writer,
    ) -> DatasetBody:
        """Delete a data set with every revision and version."""
        return dataset_body(await delete_dataset(engine, tenant_id, name, by=by, is_forced=force))

    del get_datasets, post_dataset, get_dataset, remove_dataset  # the router holds them


def _add_examples(
    router: APIRouter, engine: Engine, authorise: Authorise, clock: Callable[[], datetime]
) -> None:
    reader: Any = Depends(authorise("datasets.read"))
    writer: Any = Depends(authorise("datasets.write"))

    @router.get("/{name}/examples")
    async def get_examples(
        name: _Name,
        tenant_id: _Tenant = DEFAULT_TENANT,
        after: Annotated[str, Query(max_length=128, description="The next of a page.")] = "",
        limit: Annotated[int, Query(ge=1, le=500, description="Longest page.")] = 50,
        by: Principal = reader,
    ) -> ExamplePage:
        """List what is there now by id."""
        found = await examples_page(engine, tenant_id, name, by=by, after=after, limit=limit)
        more = found[-1].example_id if len(found) == limit else None
        return ExamplePage(examples=[revision_body(one) for one in found], next=more)

    @router.post("/{name}/examples", status_code=201)
    async def post_examples(name: _Name, body: NewExamples, by: Principal = writer) -> ChangedBody:
        """Add examples, or new revisions of those that are there."""
        rows = [(f"examples[{n}]", row) for n, row in enumerate(body.examples)]
        made = [(one, Provenance()) for one in examples_of_rows(rows, "body")]
        changed = await add_examples(
            engine, body.tenant_id, name, made, clock(), by=by, on_existing=body.on_existing
        )
        return changed_body(changed)

    @router.get("/{name}/examples/{id}/history")
    async def get_history(
        name: _Name, id: _Example, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> HistoryBody:
        """Show every revision of an example."""
        found = await example_history(engine, tenant_id, name, id, by=by)
        return HistoryBody(revisions=[revision_body(one) for one in found])

    @router.patch("/{name}/examples/{id}")
    async def patch_example(
        name: _Name, id: _Example, body: ChangedExample, by: Principal = writer
    ) -> RevisionBody:
        """Change fields of an example in a new revision."""
        made = await change_example(engine, body.tenant_id, name, id, body.changes, clock(), by=by)
        return revision_body(made)

    @router.delete("/{name}/examples/{id}")
    async def remove_example(
        name: _Name, id: _Example, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = writer
    ) -> RevisionBody:
        """Take an example out of what later versions hold."""
        return revision_body(await delete_example(engine, tenant_id, name, id, clock(), by=by))

    @router.post("/{name}/import", status_code=201)
    async def post_import(
        request: Request,
        name: _Name,
        format: Annotated[str, Query(description="jsonl, csv, tsv or parquet.")] = "jsonl",
        map: Annotated[list[str] | None, Query(description="FIELD=COLUMN; repeatable.")] = None,
        rest: Annotated[Rest, Query(description="Columns that are no field.")] = "refuse",
        skip_bad: Annotated[bool, Query(description="Leave rows out that are wrong.")] = False,
        split: Annotated[str, Query(max_length=32, description="Of rows that name none.")] = "",
        on_existing: Annotated[OnExisting, Query(description="Ids that are there.")] = "replace",
        tenant_id: _Tenant = DEFAULT_TENANT,
        by: Principal = writer,
    ) -> ChangedBody:
        """Add the examples of a file, which is the body; nothing is added when a row is wrong."""
        how = Import(
            mapping=parse_mapping(map or []),
            rest=rest,
            skips_bad=skip_bad,
            split=split,
            on_existing=on_existing,
        )
        async with _received(request, format) as path:
            done = await import_file(
                engine, tenant_id, name, path, how, clock(), by=by, source=f"upload.{format}"
            )
        return changed_body(done.changed, {str(fault): 1 for fault in done.faults})

    del get_examples, post_examples, get_history, patch_example  # the router holds them
    del remove_example, post_import


def _add_versions(
    router: APIRouter, engine: Engine, authorise: Authorise, clock: Callable[[], datetime]
) -> None:
    reader: Any = Depends(authorise("datasets.read"))
    writer: Any = Depends(authorise("datasets.write"))

    @router.post("/{name}/versions", status_code=201)
    async def post_version(name: _Name, body: CommitBody, by: Principal = writer) -> VersionBody:
        """Make a version of what is there now; the newest one, where nothing has changed."""
        made, _ = await commit_version(
            engine, body.tenant_id, name, clock(), by=by, note_=body.note
        )
        return version_body(made)

    @router.get("/{name}/card")
    async def get_card(
        name: _Name,
        version: _Version = None,
        tenant_id: _Tenant = DEFAULT_TENANT,
        by: Principal = reader,
    ) -> Response:
        """Return the statistics of a version."""
        return _json(await version_card(engine, tenant_id, name, version, by=by))

    @router.get("/{name}/diff")
    async def get_diff(
        name: _Name,
        older: Annotated[int, Query(ge=1, description="A version.")],
        newer: Annotated[int | None, Query(ge=1, description="Default: what is there now.")] = None,
        tenant_id: _Tenant = DEFAULT_TENANT,
        by: Principal = reader,
    ) -> Response:
        """Return which examples are new, gone, changed or in another split."""
        return _json(await diff_versions(engine, tenant_id, name, older, newer, by=by))

    @router.get("/{name}/export")
    async def get_export(
        name: _Name,
        version: _Version = None,
        format: Annotated[str, Query(description="jsonl, csv, parquet, chat, dpo.")] = "jsonl",
        split: Annotated[str, Query(max_length=32, description="Only this split.")] = "",
        tenant_id: _Tenant = DEFAULT_TENANT,
        by: Principal = reader,
    ) -> Response:
        """Return the examples of a version as a file."""
        as_ = format_of(FilePath(), format)
        held = await held_now(engine, tenant_id, name, by=by, version=version)
        chosen = [one for one in held if not split or one.split == split]
        with tempfile.TemporaryDirectory(prefix="santral-export-") as folder:
            path = FilePath(folder) / "export"
            await asyncio.to_thread(write_examples, path, chosen, as_)
            data = path.read_bytes()
        return Response(data, media_type="application/octet-stream")

    del post_version, get_card, get_diff, get_export  # the router holds them


def _add_rework(
    router: APIRouter,
    engine: Engine,
    store: TraceStore,
    authorise: Authorise,
    clock: Callable[[], datetime],
) -> None:
    reader: Any = Depends(authorise("datasets.read"))
    writer: Any = Depends(authorise("datasets.write"))

    @router.get("/{name}/check")
    async def get_check(
        name: _Name,
        version: _Version = 0,
        tenant_id: _Tenant = DEFAULT_TENANT,
        by: Principal = reader,
    ) -> Response:
        """Look for near-duplicates, leaks between splits, and personal data."""
        return _json(await check_dataset(engine, tenant_id, name, by=by, version=version))

    @router.post("/{name}/split")
    async def post_split(name: _Name, body: SplitBody, by: Principal = writer) -> dict[str, int]:
        """Give every example a split; return how many each has."""
        return await split_dataset(
            engine, body.tenant_id, name, parse_shares(body.shares), clock(), by=by,
            stratify=body.stratify, is_kept=not body.anew,
        )  # fmt: skip

    @router.post("/{name}/mask")
    async def post_mask(name: _Name, body: MaskBody, by: Principal = writer) -> ChangedBody:
        """Replace personal data by placeholders in new revisions."""
        return changed_body(await mask_dataset(engine, body.tenant_id, name, clock(), by=by))

    @router.post("/{name}/augment", status_code=201)
    async def post_augment(name: _Name, body: AugmentBody, by: Principal = writer) -> ChangedBody:
        """Make further examples by rules; paraphrases are made by the command line."""
        made, changed = await augment_dataset(
            engine, body.tenant_id, name, body.ways, np.random.default_rng(body.seed), clock(),
            by=by, per_example=body.per_example, split=body.split,
        )  # fmt: skip
        return changed_body(changed, made.left_out)

    @router.post("/{name}/traces", status_code=201)
    async def post_traces(name: _Name, body: TracesBody, by: Principal = writer) -> ChangedBody:
        """Make examples of traces."""
        now_us = store.clock()
        filters = Filters(
            since_us=parse_since(body.since, now_us),
            until_us=now_us + 1,
            route=body.route,
            status=body.status,
        )

        async def list_traces(cursor: str) -> TracePage:
            before = Cursor.parse(cursor) if cursor else None
            return await store.list_traces(body.tenant_id, filters, before, _TRACES_OF_PAGE)

        async def get_trace(trace_id: str) -> FoundTrace:
            return await store.get_trace(body.tenant_id, trace_id)

        wanted = Wanted(
            filters=parse_filters(body.filters), with_answer=body.with_answer, limit=body.limit
        )
        taken = await add_traces(
            engine, body.tenant_id, name, list_traces, get_trace, wanted, clock(), by=by
        )
        return changed_body(taken.changed, taken.left_out)

    del get_check, post_split, post_mask, post_augment, post_traces  # the router holds them


@asynccontextmanager
async def _received(request: Request, format: str) -> AsyncGenerator[FilePath]:
    """Hold the body in a file of its own, as it comes."""
    if f".{format}" not in ENDINGS:
        known = ", ".join(ending.lstrip(".") for ending in ENDINGS)
        raise BadRequest(f"'{format[:32]}' is no format. Formats: {known}.", param="format")
    with tempfile.TemporaryDirectory(prefix="santral-import-") as folder:
        path = FilePath(folder) / f"upload.{format}"
        size = 0
        try:
            async with asyncio.timeout(_BODY_S):
                with path.open("wb") as file:
                    async for part in request.stream():
                        size += len(part)
                        if size > _MAX_BODY:
                            raise TooLarge(
                                f"The file is over {_MAX_BODY:,} bytes. Import it by the command "
                                "line, or in parts."
                            )
                        file.write(part)
        except TimeoutError:
            raise TooSlow(f"The file did not come within {_BODY_S:g} s. Send less.") from None
        yield path


def _json(answer: object) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
