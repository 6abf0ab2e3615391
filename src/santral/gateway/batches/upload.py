"""Reads an uploaded file out of a multipart body.

Source: RFC 7578; https://platform.openai.com/docs/api-reference/files/create
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from msgspec import Struct

from santral.errors import BadRequest
from santral.gateway.batches.batch import PURPOSES

if TYPE_CHECKING:
    from python_multipart.multipart import Field, File

#: Longest name of a file that is kept. Chosen: what file systems take.
MAX_NAME = 255


class Upload(Struct, frozen=True):
    """One uploaded file and what it is for."""

    filename: str
    purpose: str
    data: bytes


def read_upload(content_type: str, body: bytes) -> Upload:
    """Return the file of a multipart form; call it beside the event loop.

    Raises:
        BadRequest: no form, cut short, no file, two files, or an unknown purpose.
    """
    if not content_type.lower().startswith("multipart/form-data"):
        raise BadRequest(
            "Send the file as multipart/form-data with the fields 'purpose' and 'file'.",
            code="invalid_request",
        )
    # Imported when a file comes: 10 ms of every worker's start otherwise.
    from python_multipart import parse_form  # noqa: PLC0415
    from python_multipart.exceptions import FormParserError  # noqa: PLC0415

    fields: dict[str, bytes] = {}
    files: list[tuple[str, bytes]] = []

    def take_field(field: Field) -> None:
        fields[(field.field_name or b"").decode(errors="replace")] = field.value or b""

    def take_file(file: File) -> None:
        file.file_object.seek(0)
        files.append(((file.file_name or b"").decode(errors="replace"), file.file_object.read()))

    try:
        headers = {"Content-Type": content_type.encode("latin-1")}
        parse_form(headers, BytesIO(body), take_field, take_file)
    except (FormParserError, ValueError) as error:
        raise BadRequest(f"The form cannot be read: {error}.", code="invalid_request") from None
    if len(files) != 1:
        found = "no file" if not files else f"{len(files)} files"
        raise BadRequest(
            f"The form holds {found}; send one in the field 'file', whole.",
            code="invalid_request",
            param="file",
        )
    purpose = fields.get("purpose", b"").decode(errors="replace")
    if purpose not in PURPOSES:
        raise BadRequest(
            f"'{purpose[:64]}' is no purpose. Known: {', '.join(PURPOSES)}.",
            code="invalid_request",
            param="purpose",
        )
    name, data = files[0]
    return Upload(name[-MAX_NAME:] or "file", purpose, data)
