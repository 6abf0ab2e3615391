"""Data keys wrapped by somebody else's key management: the transit interface of Vault and OpenBao.

The key that wraps never leaves it. Source: https://developer.hashicorp.com/vault/api-docs/secret/transit
"""

from __future__ import annotations

import base64
import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from santral.config.safekeeping import TransitConfig
from santral.errors import SealBroken, StoreError

#: No answer to us is longer. Chosen: a wrapped key is some hundred bytes.
_MAX_ANSWER_BYTES = 64 * 1024


class _Data(Struct):
    ciphertext: str = ""
    plaintext: str = ""


class _Answer(Struct):
    data: _Data


class _Refusal(Struct):
    errors: list[str] = []


class Transit:
    """One key of one transit engine. Every call asks over the network and blocks: use a thread."""

    def __init__(self, config: TransitConfig) -> None:
        self._config = config
        self._url = f"{config.url.rstrip('/')}/v1/{config.mount.strip('/')}"
        # A proxy that the environment names is for the internet, not for what holds the keys.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())

    @property
    def id(self) -> str:
        return f"transit:{self._config.mount}/{self._config.key}"[:64]

    def wrap(self, key: bytes, place: bytes) -> bytes:
        answer = self._ask("encrypt", {"plaintext": _text(key), "associated_data": _text(place)})
        if not answer.ciphertext:
            raise StoreError(f"{self._url} answered without a ciphertext.")
        return answer.ciphertext.encode("utf-8")

    def unwrap(self, wrapped: bytes, place: bytes) -> bytes:
        try:
            ciphertext = wrapped.decode("ascii")
        except UnicodeDecodeError:
            raise SealBroken("A wrapped data key was changed. Restore it from a backup.") from None
        answer = self._ask("decrypt", {"ciphertext": ciphertext, "associated_data": _text(place)})
        try:
            return base64.b64decode(answer.plaintext, validate=True)
        except ValueError:
            raise StoreError(f"{self._url} answered with what is no base 64.") from None

    def __repr__(self) -> str:
        return f"Transit({self.id})"

    def _ask(self, act: str, body: Mapping[str, str]) -> _Data:
        address = f"{self._url}/{act}/{self._config.key}"
        headers = {"x-vault-token": self._config.token.reveal(), "x-vault-request": "true"}
        if self._config.namespace:
            headers["x-vault-namespace"] = self._config.namespace
        request = urllib.request.Request(  # noqa: S310 - the configuration takes http and https alone
            address, msgspec.json.encode(body), headers, method="POST"
        )
        try:
            with self._opener.open(request, timeout=self._config.timeout_s) as answer:
                return msgspec.json.decode(answer.read(_MAX_ANSWER_BYTES), type=_Answer).data
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(address, act, error) from None
        except msgspec.DecodeError:
            raise StoreError(f"{address} answered with something else than JSON.") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise StoreError(
                f"{address} does not answer: {reason}. Secrets cannot be opened without it; check "
                "secrets.transit.url and the network."
            ) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token goes to the address of the configuration and nowhere else."""

    def redirect_request(
        self, req: object, fp: object, code: int, msg: str, headers: object, newurl: str
    ) -> None:
        """Follow nothing: the answer counts as a failure."""


def _refused(address: str, act: str, error: urllib.error.HTTPError) -> StoreError | SealBroken:
    try:
        said = "; ".join(msgspec.json.decode(error.read(_MAX_ANSWER_BYTES), type=_Refusal).errors)
    except (msgspec.DecodeError, OSError, http.client.HTTPException):
        said = ""
    said = f": {said}" if said else ""
    if act == "decrypt" and error.code == 400:
        return SealBroken(
            f"{address} does not unwrap a data key{said}. It was changed or moved, or another key "
            "wrapped it."
        )
    if error.code == 403:
        return StoreError(f"{address} refuses secrets.transit.token{said}. Give it a valid one.")
    return StoreError(f"{address} answered {error.code}{said}.")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
