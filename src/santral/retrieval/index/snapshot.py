"""Snapshots of servers: files in a folder, sealed by a list of their digests that is written last."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import file_digest
from pathlib import Path

import msgspec
from msgspec import Struct

from santral.errors import StoreError
from santral.retrieval.index.entry import Partition

_ABOUT = "snapshot.json"


class About(Struct, frozen=True):
    """What a snapshot is of; ``files`` holds the SHA-256 of each, ``held`` what its engine notes."""

    kind: str
    format: int
    partition: Partition
    files: Mapping[str, str]
    held: msgspec.Raw


def begin_snapshot(folder: Path) -> None:
    """Make the folder.

    Raises:
        StoreError: there is something in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise _unusable(folder, "the folder is not empty, and a snapshot needs one of its own")


def seal_snapshot(
    folder: Path, kind: str, of_format: int, partition: Partition, held: Struct
) -> None:
    """Note the digests of all files: from now on the folder is a snapshot."""
    files = {path.name: _digest(path) for path in sorted(folder.iterdir())}
    about = About(kind, of_format, partition, files, msgspec.Raw(msgspec.json.encode(held)))
    (folder / _ABOUT).write_bytes(msgspec.json.encode(about))


def check_snapshot(folder: Path, kind: str, of_format: int, partition: Partition) -> About:
    """Return what a snapshot is of, after reading every byte of it.

    Raises:
        StoreError: it is damaged, of another engine or format, or of another partition.
    """
    try:
        about = msgspec.json.decode((folder / _ABOUT).read_bytes(), type=About)
        digests = {name: _digest(folder / name) for name in about.files}
    except (OSError, msgspec.MsgspecError) as error:
        raise _unusable(folder, f"it cannot be read ({type(error).__name__})") from None
    if (about.kind, about.format) != (kind, of_format):
        raise _unusable(folder, f"it is of {about.kind}, format {about.format}")
    if about.partition != partition:
        of = f"{about.partition.tenant_id}/{about.partition.collection}"
        raise _unusable(folder, f"it is of {of}, version {about.partition.version}")
    if digests != about.files:
        raise _unusable(folder, "a file in it was changed or is damaged")
    return about


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _unusable(folder: Path, why: str) -> StoreError:
    return StoreError(
        f"The snapshot {folder} cannot be used: {why}. Take another one, or run santral ingest to "
        "rebuild the index.",
        code="snapshot_unusable",
    )
