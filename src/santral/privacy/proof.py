"""Proofs: what an erasure counted before and after, signed by the installation.

The signature is Ed25519 (RFC 8032) over the proof's JSON without the field ``signature``: keys sorted,
no spaces, UTF-8. So any language can verify it.
"""

from __future__ import annotations

import os
import secrets
from base64 import b64decode, b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from santral.config.schema import Config
from santral.errors import BadRequest, StoreError
from santral.gateway.objects import write_whole
from santral.privacy.subject import Subject
from santral.secrets.box import place_of
from santral.secrets.pseudonym import key_file, keys_folder
from santral.secrets.wrappers import Wrappers, wrappers_from

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_FILE = "signing.json"
_PLACE = place_of("signing key")
_canonical = msgspec.json.Encoder(order="deterministic").encode


class Counted(Struct, frozen=True, kw_only=True):
    """What was in one place at one moment."""

    own: dict[str, int] = field(default_factory=dict[str, int])
    mentions: int = 0


class PlaceCount(Struct, frozen=True, kw_only=True):
    """One place before and after; ``left`` names what a person has to decide about."""

    name: str
    about: str
    before: Counted
    after: Counted
    left: tuple[str, ...] = ()


class SubjectHash(Struct, frozen=True, kw_only=True):
    """Whom it is about, without saying: who knows the id can compute the hash with the salt."""

    salt: str
    sha256: str


class Proof(Struct, frozen=True, kw_only=True):
    """What an erasure did."""

    job: str
    tenant: str
    subject: SubjectHash
    started_at: str
    finished_at: str
    software: str
    places: tuple[PlaceCount, ...]
    kind: str = "santral.erasure.1"
    public_key: str = ""  # base 64
    signature: str = ""  # base 64


class _KeyFile(Struct, frozen=True, kw_only=True):
    public_key: str
    seed: str = ""  # in clear, where there is no master key
    wrapped: str = ""
    wrapped_by: str = ""


class Signer:
    """The installation's own key: sealed under the master key, else in a file of mode 0600."""

    def __init__(self, config: Config) -> None:
        self._path = keys_folder(config.data.folder) / _FILE
        has_master = bool(config.secrets.master_key or config.secrets.transit)
        self._wrappers = wrappers_from(config.secrets) if has_master else None

    def sign(self, proof: Proof) -> Proof:
        """Return the proof with key and signature.

        Raises:
            StoreError: the key can be neither read nor made.
            ConfigError: it is sealed under a master key that is not configured.
        """
        key = self._key()
        named = replace(proof, public_key=_public(key), signature="")
        return replace(named, signature=b64encode(key.sign(_signed(named))).decode())

    def public_key(self) -> str:
        """Return the public half, in base 64; the key is made where there is none."""
        return _public(self._key())

    def _key(self) -> Ed25519PrivateKey:
        stored = msgspec.json.decode(key_file(self._path, self._new()), type=_KeyFile)
        if stored.seed:
            seed = b64decode(stored.seed)
            if self._wrappers is not None:  # a master key came later
                _replace(self._path, _packed(seed, self._wrappers))
        elif self._wrappers is not None:
            seed = self._wrappers.unwrap(stored.wrapped_by, b64decode(stored.wrapped), _PLACE)
        else:
            raise StoreError(
                f"{self._path} is sealed, and no master key is configured. Set secrets.master_key."
            )
        return _private(seed)

    def _new(self) -> bytes:
        return b"" if self._path.exists() else _packed(secrets.token_bytes(32), self._wrappers)


def verify(data: bytes, public_key: str = "") -> Proof:
    """Return the proof that ``data`` is, if nothing in it was changed since it was signed.

    ``public_key`` is the installation's, in base 64; without it the proof's own is believed.

    Raises:
        BadRequest: it is no proof, was changed, or another installation signed it.
    """
    # Imported when a proof is at hand: no other command or process needs it.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PublicKey,
    )

    try:
        proof = msgspec.json.decode(data, type=Proof)
        plain: dict[str, Any] = msgspec.json.decode(data)
        key = Ed25519PublicKey.from_public_bytes(b64decode(proof.public_key))
        signature = b64decode(proof.signature)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise BadRequest(f"This is no proof of an erasure: {error}.") from None
    if public_key and public_key != proof.public_key:
        raise BadRequest("Another installation signed this proof: its key is another one.")
    del plain["signature"]
    try:
        key.verify(signature, _canonical(plain))
    except InvalidSignature:
        raise BadRequest("The proof was changed after it was signed.") from None
    return proof


def is_about(proof: Proof, subject: Subject) -> bool:
    """Whether a proof is about a person: by all that they were looked for by."""
    return proof.subject.sha256 == subject.fingerprint(proof.tenant, proof.subject.salt)


def encoded(proof: Proof) -> bytes:
    """Return a proof as it is written to a file."""
    return msgspec.json.format(msgspec.json.encode(proof), indent=2) + b"\n"


def _signed(proof: Proof) -> bytes:
    fields: dict[str, Any] = msgspec.to_builtins(proof)
    del fields["signature"]
    return _canonical(fields)


def _packed(seed: bytes, wrappers: Wrappers | None) -> bytes:
    public = _public(_private(seed))
    if wrappers is None:
        return msgspec.json.encode(_KeyFile(public_key=public, seed=b64encode(seed).decode()))
    wrapped = b64encode(wrappers.current.wrap(seed, _PLACE)).decode()
    return msgspec.json.encode(
        _KeyFile(public_key=public, wrapped=wrapped, wrapped_by=wrappers.current.id)
    )


def _replace(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data, os.urandom(8).hex())
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}.") from None


def _private(seed: bytes) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - as in verify
        Ed25519PrivateKey,
    )

    return Ed25519PrivateKey.from_private_bytes(seed)


def _public(key: Ed25519PrivateKey) -> str:
    return b64encode(key.public_key().public_bytes_raw()).decode()
