"""Write the JSON Schemas of the requests to Qdrant that our tests hold ours against.

They are those of Qdrant's OpenAPI document, as its Python client of the same version carries them:

    uv run --no-project --with qdrant-client==1.20.0 python scripts/qdrant_shapes.py
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter
from qdrant_client.http import models  # pyright: ignore[reportMissingImports]

TARGET = Path(__file__).parent.parent / "tests/retrieval/index/qdrant_shapes.json"
#: Method and path, with names in braces -> the model of the body.
REQUESTS = {
    "PUT /collections/{collection}": "CreateCollection",
    "PUT /collections/{collection}/index": "CreateFieldIndex",
    "PUT /collections/{collection}/points": "PointsList",
    "PUT /collections/{collection}/vectors/{vector}": "DenseVectorNameConfig",
    "POST /collections/{collection}/points": "PointRequest",
    "POST /collections/{collection}/points/count": "CountRequest",
    "POST /collections/{collection}/points/delete": "PointsSelector",
    "POST /collections/{collection}/points/payload": "SetPayload",
    "POST /collections/{collection}/points/payload/delete": "DeletePayload",
    "POST /collections/{collection}/points/query/batch": "QueryRequestBatch",
    "POST /collections/{collection}/points/scroll": "ScrollRequest",
}


def main() -> None:
    """Write one schema for each request."""
    found = {path: _plain(_schema(getattr(models, name))) for path, name in REQUESTS.items()}
    TARGET.write_text(json.dumps(found, separators=(",", ":"), sort_keys=True) + "\n")


def _schema(model: type) -> dict[str, object]:
    return TypeAdapter(model).json_schema()


def _plain(node: object) -> object:
    """Return a schema without words for people."""
    if isinstance(node, dict):
        words = ("description", "title", "examples")
        return {
            k: _plain(v) for k, v in node.items() if not (k in words and isinstance(v, str | list))
        }
    return [_plain(one) for one in node] if isinstance(node, list) else node


if __name__ == "__main__":
    main()
