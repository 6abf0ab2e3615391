"""Signs requests that read a bucket: AWS Signature Version 4 for GET, as S3 and what speaks like it check.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from urllib.parse import parse_qsl, quote, unquote

from msgspec import Struct
from yarl import URL

#: A request without a body. Source: SHA-256 of nothing.
_EMPTY = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"


class Keys(Struct, frozen=True):
    """What signs; never shown."""

    access_key: str
    secret_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return "Keys(...)"


def signed_headers(url: str, keys: Keys, region: str, now: datetime) -> dict[str, str]:
    """Return the headers of a GET of ``url``; ``now`` is UTC."""
    address = URL(url)
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    port = "" if address.is_default_port() else f":{address.port}"
    signed = {
        "host": f"{address.host}{port}",
        "x-amz-content-sha256": _EMPTY,
        "x-amz-date": moment,
    }
    if keys.session_token:
        signed["x-amz-security-token"] = keys.session_token
    names = ";".join(signed)
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    request = "\n".join(
        (
            "GET",
            _written(unquote(address.raw_path), safe="/"),
            _query(address.raw_query_string),
            *(f"{name}:{value}" for name, value in signed.items()),
            "",
            names,
            _EMPTY,
        )
    )
    text = f"{_ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{keys.secret_key}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    credential = f"Credential={keys.access_key}/{scope}"
    del signed["host"]  # the connection sends its own
    authorization = f"{_ALGORITHM} {credential}, SignedHeaders={names}, Signature={key.hex()}"
    return signed | {"Authorization": authorization}


def _query(raw: str) -> str:
    pairs = sorted(
        (_written(name), _written(value)) for name, value in parse_qsl(raw, keep_blank_values=True)
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def _written(text: str, safe: str = "") -> str:
    return quote(text, safe=f"{safe}-_.~")
