"""Citations as annotations of OpenAI's Responses.

Source: https://platform.openai.com/docs/api-reference/responses/object (output_text.annotations)
"""

from __future__ import annotations

from typing import Any

from santral.gateway.citations.citation import Citation
from santral.gateway.dialects.chat import url_citation


def annotation(citation: Citation) -> dict[str, Any]:
    """Return the annotation of an output text, with what Santral knows in ``santral``.

    ``index`` is where in the text the citation stands, as OpenAI's own file search says it.
    """
    cited = url_citation(citation)
    inner, facts = cited["url_citation"], cited["santral"]
    if citation.url:
        return {"type": "url_citation", **inner, "santral": facts}
    return {
        "type": "file_citation",
        "file_id": citation.document_id,
        "filename": citation.name,
        "index": inner["end_index"],
        "santral": facts,
    }
