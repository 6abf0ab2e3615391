"""What of Gemini's endpoints is no conversation: the models, and how many tokens a request has.

Sources: https://ai.google.dev/api/models, https://ai.google.dev/api/tokens
"""

from __future__ import annotations

import msgspec

from santral.gateway.context import RequestContext
from santral.gateway.inbound import Inbound
from santral.gateway.models import list_models, one_model
from santral.gateway.respond import Responder

#: Whose client it is: below this path it is Google's, whatever header brings its key.
_AS_GOOGLE = {b"x-goog-api-key": b""}

_encode = msgspec.json.Encoder().encode


class _Counted(msgspec.Struct, frozen=True):
    input_tokens: int


_counted = msgspec.json.Decoder(_Counted)


def token_count(body: bytes) -> bytes:
    """Return a count of tokens as ``:countTokens`` answers it."""
    return _encode({"totalTokens": _counted.decode(body).input_tokens})


async def list_all(ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
    """Answer ``GET /v1beta/models`` on one page."""
    await responder.send_json(_encode(list_models(ctx, _AS_GOOGLE, b"")))


async def show_one(ctx: RequestContext, inbound: Inbound, responder: Responder) -> None:
    """Answer ``GET /v1beta/models/{model}``; errors as ``one_model``."""
    await responder.send_json(_encode(one_model(ctx, _AS_GOOGLE, inbound.parts["model"])))
