"""Qdrant's REST interface in front of Qdrant's own engine, for as much of it as we ask for.

The server itself cannot be installed from a package registry. ``qdrant-edge-py`` is its engine: the same
segments, sparse vectors, filters and statistics, in this process. What stands here is only the way
in: bodies are held against the schemas of Qdrant's OpenAPI document and handed to the engine.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema_rs
import qdrant_edge as edge
from aiohttp import web

VERSION = "1.20.0"
_SHAPES: dict[str, Any] = json.loads((Path(__file__).parent / "qdrant_shapes.json").read_text())
_VALIDATORS = {path: jsonschema_rs.validator_for(shape) for path, shape in _SHAPES.items()}
_KINDS = {
    "keyword": edge.PayloadSchemaType.Keyword,
    "integer": edge.PayloadSchemaType.Integer,
    "float": edge.PayloadSchemaType.Float,
    "bool": edge.PayloadSchemaType.Keyword,
}


class QdrantFront:
    """One server with its collections in ``folder``.

    ``seen`` holds every request: method, path, body. ``fault`` is asked before each request and may
    answer in place of the engine. ``key`` is the API key it wants.
    """

    def __init__(self, folder: Path, key: str = "") -> None:
        self.folder = folder
        self.key = key
        self.version = VERSION
        self.url = ""
        self.shards: dict[str, edge.EdgeShard] = {}
        self.seen: list[tuple[str, str, Any]] = []
        self.fault: Callable[[str, str, Any], web.Response | None] = lambda *_: None
        self.delay_s = 0.0

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request as Qdrant does."""
        if self.key and request.headers.get("api-key") != self.key:
            return _error(401, "Must provide an API key or an Authorization bearer token")
        body = json.loads(await request.read() or b"null")
        self.seen.append((request.method, request.path, body))
        await asyncio.sleep(self.delay_s)
        failure = self.fault(request.method, request.path, body)
        if failure is not None:
            return failure
        if request.path == "/":
            return web.json_response({"title": "qdrant", "version": self.version})
        found = re.fullmatch(r"/collections/([^/]+)(/.*)?", request.path)
        assert found is not None, request.path
        name, path = found[1], found[2] or ""
        shape = re.sub("/vectors/.*", "/vectors/{vector}", f"/collections/{{collection}}{path}")
        _require_shape(f"{request.method} {shape}", body)
        return self._act(request.method, name, path, body)

    def _act(self, method: str, name: str, path: str, body: Any) -> web.Response:
        if (method, path) == ("PUT", ""):
            return self._create(name, body)
        shard = self.shards.get(name)
        if shard is None:
            return _error(404, f"Not found: Collection `{name}` doesn't exist!")
        if (method, path) == ("DELETE", ""):
            self.shards.pop(name).close()
            shutil.rmtree(self.folder / name)
            return _ok(True)
        try:
            return _ok(_read(shard, path, body) if path in _READING else _change(shard, path, body))
        except Exception as error:  # the engine's own kinds are not published
            return _error(400, f"Bad request: {error}")

    def _create(self, name: str, body: Any) -> web.Response:
        if name in self.shards:
            return _error(409, f"Wrong input: Collection `{name}` already exists!")
        assert body["vectors"] == {}
        sparse = {
            key: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)
            for key, one in body.get("sparse_vectors", {}).items()
            if one == {"modifier": "idf"}
        }
        place = self.folder / name
        place.mkdir(parents=True)
        # The server takes a collection without vectors; the engine alone wants one at least.
        sparse = sparse or {"none": edge.EdgeSparseVectorParams()}
        config = edge.EdgeConfig(vectors={}, sparse_vectors=sparse, wal_enabled=False)
        self.shards[name] = edge.EdgeShard.create(str(place), config)
        return _ok(True)

    def close(self) -> None:
        """Close what is open."""
        for shard in self.shards.values():
            shard.close()


@contextmanager
def running_front(front: QdrantFront) -> Generator[QdrantFront]:
    """Serve on a free port, on a loop of its own: tests may block theirs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> web.AppRunner:
        app = web.Application(client_max_size=32 * 1024 * 1024)  # Qdrant's own bound
        app.router.add_route("*", "/{path:.*}", front.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        port = site._server.sockets[0].getsockname()[1]  # pyright: ignore[reportAttributeAccessIssue]
        front.url = f"http://127.0.0.1:{port}"
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield front
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
        front.close()


_READING = ("/points", "/points/query/batch", "/points/count", "/points/scroll")


def _read(shard: edge.EdgeShard, path: str, body: Any) -> Any:
    if path == "/points" and "points" in body:
        return _change(shard, path, body)
    if path == "/points":
        found = shard.retrieve(
            body["ids"], with_payload=body["with_payload"], with_vector=body["with_vector"]
        )
        return [_point(one) for one in found]
    if path == "/points/count":
        request = edge.CountRequest(filter=_filter(body["filter"]), exact=body["exact"])
        return {"count": shard.count(request)}
    if path == "/points/scroll":
        return _scroll(shard, body)
    return [{"points": _query(shard, one)} for one in body["searches"]]


def _query(shard: edge.EdgeShard, body: Any) -> list[Any]:
    nearest = body["query"]["nearest"]
    vector = edge.SparseVector(**nearest) if isinstance(nearest, dict) else nearest
    params = dict(body.get("params", {}))
    if "idf" in params:
        params["idf"] = edge.IdfParams(corpus=_filter(params["idf"]["corpus"]))
    request = edge.QueryRequest(
        limit=body["limit"],
        query=edge.Query.Nearest(vector, using=body["using"]),
        filter=_filter(body["filter"]),
        params=edge.SearchParams(**params),
        with_payload=body["with_payload"],
    )
    return [{**_point(one), "score": one.score} for one in shard.query(request)]


def _scroll(shard: edge.EdgeShard, body: Any) -> Any:
    points, offset = shard.scroll(
        edge.ScrollRequest(
            offset=body.get("offset"),
            limit=body["limit"],
            filter=_filter(body["filter"]),
            with_payload=body["with_payload"],
            with_vector=body.get("with_vector", False),
        )
    )
    return {"points": [_point(one) for one in points], "next_page_offset": offset}


def _change(shard: edge.EdgeShard, path: str, body: Any) -> Any:
    operation = edge.UpdateOperation
    if path == "/points":
        shard.update(operation.upsert_points(*_points(body)))
    elif path == "/points/delete" and "points" in body:
        shard.update(operation.delete_points(body["points"]))
    elif path == "/points/delete":
        shard.update(operation.delete_points_by_filter(_filter(body["filter"])))
    elif path == "/points/payload":
        shard.update(operation.set_payload_by_filter(_filter(body["filter"]), body["payload"]))
    elif path == "/points/payload/delete":
        shard.update(operation.delete_payload_by_filter(_filter(body["filter"]), body["keys"]))
    elif path == "/index":
        shard.update(operation.create_field_index(body["field_name"], _schema(body)))
    else:
        dense = body["dense"]
        assert dense["distance"] == "Dot"
        name = path.removeprefix("/vectors/")
        shard.update(operation.create_dense_vector(name, dense["size"], edge.Distance.Dot))
    return {"operation_id": 0, "status": "completed"}


def _points(body: Any) -> tuple[Any, ...]:
    made = [
        edge.Point(
            one["id"],
            {
                name: edge.SparseVector(**part) if isinstance(part, dict) else part
                for name, part in one["vector"].items()
            },
            _plain(one["payload"]),
        )
        for one in body["points"]
    ]
    if body.get("update_mode") == "insert_only":
        return made, None, edge.UpdateMode.InsertOnly
    return (made,)


def _schema(body: Any) -> Any:
    schema = body["field_schema"]
    if schema.get("prefix"):
        return edge.KeywordIndexParams(prefix=True)
    return _KINDS[schema["type"]]


def _filter(body: Any) -> Any:
    parts: Any = {name: [_clause(one) for one in body[name]] for name in body}
    return edge.Filter(**parts)


def _clause(body: Any) -> Any:
    if body.keys() & {"must", "should", "must_not"}:
        return _filter(body)
    if "has_id" in body:
        return edge.HasIdCondition(set(body["has_id"]))
    if "is_empty" in body:
        return edge.IsEmptyCondition(body["is_empty"]["key"])
    if "range" in body:
        return edge.FieldCondition(body["key"], range=edge.RangeFloat(**body["range"]))
    ((kind, value),) = body["match"].items()
    value = _plain(value)
    made = {"value": edge.MatchValue, "any": edge.MatchAny, "prefix": edge.MatchPrefix}[kind](value)
    return edge.FieldCondition(body["key"], match=made)


def _plain(value: Any) -> Any:
    """Return a value with texts for true and false: the Python binding takes them for 1 and 0."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return f"\0{value}" if isinstance(value, bool) else value


def _point(one: Any) -> dict[str, Any]:
    vector = one.vector
    if isinstance(vector, dict):
        vector = {
            name: {"indices": part.indices, "values": part.values}
            if isinstance(part, edge.SparseVector)
            else part
            for name, part in vector.items()
        }
    return {"id": str(one.id), "payload": one.payload, "vector": vector}


def _require_shape(path: str, body: Any) -> None:
    """Fail where a request is not what Qdrant's OpenAPI document says it is."""
    if body is not None:
        error = next(_VALIDATORS[path].iter_errors(body), None)
        assert error is None, f"{path}: {error}"


def _ok(result: Any) -> web.Response:
    return web.json_response({"result": result, "status": "ok", "time": 0.0})


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"status": {"error": message}, "time": 0.0}, status=status)
