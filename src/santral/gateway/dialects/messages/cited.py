"""Citations in Anthropic's protocol: made for its clients, and taken out when they come back.

Source: https://platform.claude.com/docs/en/build-with-claude/citations and .../search-results
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from santral.gateway.citations.citation import Citation

_list = msgspec.json.Decoder(list[Raw])
_object = msgspec.json.Decoder(dict[str, Raw])


def location(citation: Citation) -> dict[str, Any]:
    """Return the citation of a text block, with what Santral knows in ``santral``.

    A document with a URL is a search result; another one is a document, its place in characters.
    """
    place = citation.number - 1
    if citation.url or citation.start is None or citation.end is None:
        said: dict[str, Any] = {
            "type": "search_result_location",
            "source": citation.address,
            "title": citation.name,
            "search_result_index": place,
            "start_block_index": 0,
            "end_block_index": 1,
        }
    else:
        said = {
            "type": "char_location",
            "document_index": place,
            "document_title": citation.name,
            "file_id": None,
            "start_char_index": citation.start,
            "end_char_index": citation.end,
        }
    return said | {"cited_text": citation.quote, "santral": citation.facts()}


def foreign_citations(raw: Raw) -> list[Raw]:
    """Return the citations that did not come from here: no provider knows the documents of ours."""
    try:
        given = _list.decode(raw)
        return [one for one in given if "santral" not in _object.decode(one)]
    except msgspec.ValidationError:
        return [raw]
