"""A fitted model as bytes: one file that is checked whole before anything of it is used."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import numpy as np
from msgspec import Struct

from santral.errors import StoreError
from santral.retrieval.embedding.fitted.projection import Projection, Space

#: Version of the file and of the terms behind its keys; another one is fitted anew.
FORMAT = 1
_MAGIC = b"santral-lsa\n"


class _Space(Struct, frozen=True):
    keys: bytes
    idf: bytes
    scales: bytes
    directions: bytes


class _Artefact(Struct, frozen=True):
    format: int
    dimensions: int
    chunks: int
    known_share: float
    stems: _Space
    grams: _Space


def pack(projection: Projection) -> bytes:
    """Return a model as bytes; the same model gives the same on every machine."""
    made = _Artefact(
        format=FORMAT,
        dimensions=projection.dimensions,
        chunks=projection.chunks,
        known_share=projection.known_share,
        stems=_packed(projection.stems),
        grams=_packed(projection.grams),
    )
    return _MAGIC + msgspec.msgpack.encode(made)


def digest_of(artefact: bytes) -> str:
    """Return what names a model: equal ones, and only they, have the same."""
    return sha256(artefact).hexdigest()


def unpack(artefact: bytes, digest: str) -> Projection:
    """Return the model of some bytes.

    Raises:
        StoreError: they are not those of ``digest``, or of another format.
    """
    if digest_of(artefact) != digest:
        raise unusable(digest, "its bytes have changed")
    try:
        read = msgspec.msgpack.decode(artefact[len(_MAGIC) :], type=_Artefact)
    except msgspec.DecodeError:
        raise unusable(digest, "it is no fitted model") from None
    if not artefact.startswith(_MAGIC) or read.format != FORMAT:
        raise unusable(digest, "another version of Santral has made it")
    return Projection(
        dimensions=read.dimensions,
        stems=_unpacked(read.stems, read.dimensions),
        grams=_unpacked(read.grams, read.dimensions),
        chunks=read.chunks,
        known_share=read.known_share,
    )


def unusable(digest: str, reason: str) -> StoreError:
    """Return the error of a fitted model that is missing or damaged, with the remedy."""
    return StoreError(
        f"The fitted model {digest[:12]} cannot be used: {reason}. "
        "Fit one anew beside it: santral collections add-version NAME --set dimensions=N with another "
        "N, then santral ingest.",
        code="embedding_changed",
    )


def _packed(space: Space) -> _Space:
    return _Space(
        keys=space.keys.astype("<u4").tobytes(),
        idf=space.idf.astype("<f4").tobytes(),
        scales=space.scales.astype("<f4").tobytes(),
        directions=space.directions.tobytes(),
    )


def _unpacked(space: _Space, dimensions: int) -> Space:
    keys = np.frombuffer(space.keys, "<u4")
    return Space(
        keys=keys,
        idf=np.frombuffer(space.idf, "<f4"),
        scales=np.frombuffer(space.scales, "<f4"),
        directions=np.frombuffer(space.directions, np.int8).reshape(len(keys), dimensions),
    )
