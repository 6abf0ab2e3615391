"""A conversation as it is kept: the messages that passed the checks, as items with ids of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from santral.gateway.dialects.responses.output import item_suffix
from santral.providers.conversation.blocks import Thinking, ToolUse
from santral.providers.conversation.messages import MessageReader
from santral.providers.responses.items import Item, ItemMaker
from santral.wire.responses import GOOGLE, Opaque, opaque_of, seal

_fields = msgspec.json.Decoder(dict[str, Raw])
_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
}


def kept_items(messages: Sequence[Raw | dict[str, Any]], response_id: str, first: int) -> list[Raw]:
    """Return the items of ``messages``; the number in their ids begins at ``first``."""
    items = _Items().items(MessageReader().read(messages))
    return [_kept(item, item_suffix(response_id, at)) for at, item in enumerate(items, first)]


def _kept(item: Item, suffix: str) -> Raw:
    if isinstance(item, Raw):
        return _identified(item, suffix)
    kind = item["type"]
    status = {} if kind == "reasoning" else {"status": "completed"}
    return Raw(msgspec.json.encode({**item, "id": f"{_PREFIXES[kind]}_{suffix}", **status}))


def _identified(item: Raw, suffix: str) -> Raw:
    """Return an item of the provider's own, with an id where it has none."""
    fields = _fields.decode(item)
    if bytes(fields.get("id", b"null")) != b"null":
        return item
    return Raw(msgspec.json.encode({**fields, "id": f"item_{suffix}"}))


class _Items(ItemMaker):
    def __init__(self) -> None:
        super().__init__()
        self._summary = ""

    def think(self, thinking: Thinking) -> Item | None:
        detail, text = thinking.detail, thinking.text
        if (
            detail is not None
            and detail.type == "summary"
            and not (detail.signature or detail.data)
        ):
            self._summary = text  # the encrypted detail after it makes the item
            return None
        text, self._summary = text or self._summary, ""
        item: Item = {"type": "reasoning", "summary": []}
        if text:
            item["summary"] = [{"type": "summary_text", "text": text}]
        if detail is not None and (detail.signature or detail.data):
            item["encrypted_content"] = seal(opaque_of(detail))
        return item

    def sign(self, call: ToolUse) -> Item | None:
        opaque = Opaque("call", GOOGLE, signature=call.signature, id=call.id)
        return {"type": "reasoning", "summary": [], "encrypted_content": seal(opaque)}

    def lose(self, path: str) -> None:
        """Nothing: what this protocol cannot say did not come in it."""
