"""What a virtual key may be for: every authenticated endpoint of the gateway asks for one of these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias, cast, get_args

from santral.errors import BadRequest, nearest

KeyScope: TypeAlias = Literal[
    "conversations",
    "responses",
    "embeddings",
    "rerank",
    "moderations",
    "files",
    "batches",
    "models",
    "feedback",
    "held",
]

#: Each scope with the endpoints that it opens.
SCOPES: Mapping[KeyScope, str] = {
    "conversations": "POST /v1/chat/completions, /v1/completions, /v1/messages, "
    "/v1/messages/count_tokens, Gemini's generateContent, streamGenerateContent and countTokens",
    "responses": "POST /v1/responses; GET and DELETE /v1/responses/{id}, its input_items and cancel",
    "embeddings": "POST /v1/embeddings",
    "rerank": "POST /v1/rerank and /v2/rerank",
    "moderations": "POST /v1/moderations",
    "files": "/v1/files and everything below it",
    "batches": "/v1/batches and everything below it; the requests inside need their own scopes",
    "feedback": "POST and DELETE /v1/feedback, POST /v1/feedback/tokens",
    "held": "GET /v1/held/{id}: answers that wait for a reviewer, or did",
    "models": "GET /v1/models, /v1/models/{id} and the same below /v1beta",
}


def key_scopes(names: Iterable[str]) -> frozenset[KeyScope]:
    """Return ``names`` as scopes.

    Raises:
        BadRequest: one is none; the nearest is named.
    """
    known = get_args(KeyScope)
    given = frozenset(names)
    for name in sorted(given.difference(known)):
        raise BadRequest(
            f"There is no scope '{name[:64]}'.{nearest(name[:64], known)} Scopes: {', '.join(known)}.",
            param="scopes",
        )
    return cast("frozenset[KeyScope]", given)
