"""Blocks of an e-mail: what its writer wrote, without what he answers to, and its attachments."""

from __future__ import annotations

import email
import email.errors
import email.policy
import re
from collections.abc import Iterator
from email.header import decode_header, make_header
from email.message import Message
from typing import cast

from santral.errors import StoreError
from santral.retrieval.document import Attribute, Block, UnreadableError
from santral.retrieval.reading.encoding import decode
from santral.retrieval.reading.file import Contents, File, moment
from santral.retrieval.reading.html import html_blocks
from santral.retrieval.reading.plain import text_blocks

#: Messages of one mailbox, attachments of one message. Chosen.
MAX_MESSAGES, MAX_ATTACHMENTS = 10_000, 100
#: Longest header that is decoded. Chosen: a hundred addresses.
_MAX_HEADER = 10_000

_MBOX_START = re.compile(rb"^From [^\n]*\d{4}[^\n]*\n(?=[!-9;-~]+:)", re.MULTILINE)
# The line above a quoted message, as mail programs write it in English and Turkish.
_QUOTE_HEAD = re.compile(
    r"^(?:On .{5,200} wrote:|.{5,200} tarihinde .{0,200}(?:yazdı|şunu yazdı|şöyle yazdı):|"
    r"-{2,}\s*(?:Original Message|Forwarded message|Özgün İleti|Orijinal Mesaj|İletilen ileti)\s*-{2,}|"
    r"_{10,})\s*$",
    re.IGNORECASE,
)
_HEADERS = {"to": "to", "cc": "cc", "from": "from", "message-id": "message_id",
            "in-reply-to": "in_reply_to", "list-id": "list"}  # fmt: skip


def read_mail(file: File) -> Contents:
    """Read a message, or a mailbox of them: each is then a section under its subject."""
    starts = [match.start() for match in _MBOX_START.finditer(file.content)]
    if file.content.startswith(b"From ") and starts:
        if len(starts) > MAX_MESSAGES:
            raise UnreadableError(f"it has more than {MAX_MESSAGES:,} messages: divide it")
        ends = [*starts[1:], len(file.content)]
        parts = [file.content[a:b] for a, b in zip(starts, ends, strict=True)]
        found = [_read(part.partition(b"\n")[2]) for part in parts]
        if len(found) > 1:
            return Contents(blocks=[block for one in found for block in _section(one)])
        return found[0]
    return _read(file.content)


def _read(content: bytes) -> Contents:
    message = email.message_from_bytes(content, policy=email.policy.compat32)
    attributes: dict[str, Attribute] = {
        name: value for header, name in _HEADERS.items() if (value := _header(message, header))
    }
    attached = list(_attachments(message))
    if attached:
        attributes["attachments"] = ", ".join(name for name, _ in attached)
    blocks = _body(message)
    for name, text in attached:
        blocks.append(Block("heading", f"Attachment: {name}", 2))
        blocks.extend(text)
    return Contents(
        title=_header(message, "subject"),
        blocks=blocks,
        author=_header(message, "from"),
        created_at=moment(_header(message, "date")),
        attributes=attributes,
    )


def _section(found: Contents) -> list[Block]:
    said = [found.author, found.created_at.date().isoformat() if found.created_at else ""]
    return [
        Block("heading", found.title or "(no subject)", 1),
        Block("paragraph", ", ".join(part for part in said if part)),
        *found.blocks,
    ]


def _body(message: Message) -> list[Block]:
    """Return the text of a message: its plain part, else its HTML."""
    texts = [part for part in message.walk() if _is_body(part)]
    plain = [part for part in texts if part.get_content_type() == "text/plain"]
    blocks: list[Block] = []
    for part in plain:
        blocks.extend(text_blocks(_own_words(_text(part))))
    if blocks:
        return blocks
    for part in texts:
        if part.get_content_type() == "text/html":
            blocks.extend(html_blocks(_text(part))[1])
    return blocks


def _is_body(part: Message) -> bool:
    return part.get_content_maintype() == "text" and not _file_name(part)


def _own_words(text: str) -> str:
    """Return a text up to the message that it quotes, and without quoted lines."""
    kept: list[str] = []
    for line in text.split("\n"):
        if _QUOTE_HEAD.match(line.strip()) and any(word.strip() for word in kept):
            break
        if line.rstrip() == "--" or line == "-- ":  # what follows is the signature
            break
        if not line.lstrip().startswith(">"):
            kept.append(line)
    return "\n".join(kept)


def _attachments(message: Message) -> Iterator[tuple[str, list[Block]]]:
    """Yield the name of each attached file, and its text where it is text in itself."""
    count = 0
    for part in message.walk():
        name = _file_name(part)
        if not name or part.is_multipart():
            continue
        count += 1
        if count > MAX_ATTACHMENTS:
            return
        yield name, _attached(part)


def _attached(part: Message) -> list[Block]:
    """Return the text of an attachment; files of other formats are listed, not opened."""
    try:
        if part.get_content_type() == "text/html":
            return html_blocks(_text(part))[1]
        return text_blocks(_text(part)) if part.get_content_maintype() == "text" else []
    except StoreError:
        return []


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else str(part.get_payload()).encode()
    try:
        charset = str(part.get_content_charset("") or "")
    except (email.errors.MessageError, LookupError):
        charset = ""
    text = decode(content, charset)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _file_name(part: Message) -> str:
    name = part.get_filename("")
    return " ".join(_unfolded(str(name)[:_MAX_HEADER]).split())[:200]


def _header(message: Message, name: str) -> str:
    value = str(cast("object", message.get(name, "")))
    return " ".join(_unfolded(value[:_MAX_HEADER]).split())[:2_000]


def _unfolded(value: str) -> str:
    """Return a header in letters; as it stands where it is not encoded as it says."""
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, ValueError, email.errors.MessageError):
        return value
