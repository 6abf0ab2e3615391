"""``POST /v1/embeddings``."""

from __future__ import annotations

from typing import cast

import msgspec

from santral.errors import ParameterNotSupported
from santral.gateway.context import RequestContext
from santral.providers.provider import TaskAnswer
from santral.wire.embeddings import (
    EmbeddingView,
    Vector,
    dimensions_of,
    inputs_of,
    parse_embeddings,
    read_embeddings,
    render_embeddings,
    shortened,
)
from santral.wire.task import TaskRequest


class EmbeddingsTask:
    """Texts to vectors, in the order of the inputs and the form the caller asked for."""

    name = "embeddings"

    def parse(self, body: bytes) -> TaskRequest:
        """Read a request; see ``parse_embeddings``."""
        return parse_embeddings(body)

    def finish(self, ctx: RequestContext, task: TaskRequest, answer: TaskAnswer) -> bytes:
        """Return the vectors, cut to the asked length where the route says so."""
        view = cast("EmbeddingView", task.view)
        found = read_embeddings(answer.body, len(inputs_of(task.fields["input"])))
        if view.dimensions is not None:
            vectors = _of_length(found.vectors, view.dimensions, ctx.route.truncate_dimensions)
            found = msgspec.structs.replace(found, vectors=vectors)
        tokens = answer.usage.input_tokens
        model = found.model or ctx.requested_model
        return render_embeddings(found, model, tokens, view.encoding_format or "float")


def _of_length(vectors: list[Vector], dimensions: int, may_cut: bool) -> list[Vector]:
    """Return vectors of the asked length.

    Raises:
        ParameterNotSupported: the model makes others, and the route may not cut them.
    """
    lengths = {dimensions_of(vector) for vector in vectors}
    if lengths == {dimensions}:
        return vectors
    if may_cut and min(lengths) >= dimensions:
        return shortened(vectors, dimensions)
    made = ", ".join(map(str, sorted(lengths)))
    raise ParameterNotSupported(
        f"The model makes vectors of {made} numbers, and 'dimensions' asks for {dimensions}. Leave "
        "it out, use another model, or ask the operator for truncate_dimensions on this route "
        "where the model was trained for it.",
        param="dimensions",
    )
