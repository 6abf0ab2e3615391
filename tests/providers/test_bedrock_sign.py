"""Our signatures are botocore's."""

from __future__ import annotations

import datetime
from typing import Any
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as TheirCredentials

from santral.config.upstreams import ProviderConfig
from santral.errors import ConfigError
from santral.providers.bedrock.sign import Credentials, Signer, read_credentials

NOW = 1_790_000_123.0
KEY, SECRET, TOKEN = (
    "AKIDEXAMPLE",
    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "IQoJb3JpZ2luX2VjEJr/+=",
)


def theirs(url: str, body: bytes, region: str, token: str | None) -> dict[str, str]:
    """What botocore signs."""
    moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    request = AWSRequest("POST", url, headers={"content-type": "application/json"}, data=body)
    with patch("botocore.auth.get_current_datetime", lambda *a, **k: moment.replace(tzinfo=None)):
        SigV4Auth(TheirCredentials(KEY, SECRET, token), "bedrock", region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@pytest.mark.parametrize("token", [None, TOKEN], ids=["long-lived", "temporary"])
@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.nova-lite-v1%3A0/converse", b"{}"),
        (
            "https://bedrock-runtime.eu-central-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aeu-central-1"
            "%3A123456789012%3Aapplication-inference-profile%2Fabc123/converse-stream",
            '{"text":"Türkiye"}'.encode(),
        ),
        ("http://127.0.0.1:49152/model/m/converse", b""),
        ("https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com:443/model/a.b~c_d-e/converse", b"x"),
    ],
)  # fmt: skip
def test_a_signature_is_botocores(url: str, body: bytes, token: str | None) -> None:
    signer = Signer(Credentials(KEY, SECRET, token or ""), "eu-central-1", "bedrock", lambda: NOW)
    ours = signer.sign(url, body, {"content-type": "application/json"})
    expected = theirs(url, body, "eu-central-1", token)
    assert ours["x-amz-date"] == expected["x-amz-date"]
    assert ours.get("x-amz-security-token") == expected.get("x-amz-security-token")
    assert ours["authorization"] == expected["authorization"]


def test_the_key_of_a_day_is_kept_for_that_day_alone() -> None:
    now = [NOW]
    signer = Signer(Credentials(KEY, SECRET), "us-east-1", "bedrock", lambda: now[0])
    first = signer.sign("https://a/b", b"", {})["authorization"]
    now[0] += 86_400
    second = signer.sign("https://a/b", b"", {})["authorization"]
    now[0] -= 86_400
    assert signer.sign("https://a/b", b"", {})["authorization"] == first != second


def test_secrets_are_not_shown() -> None:
    assert SECRET not in repr(Credentials(KEY, SECRET, TOKEN))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"access_key_id": "env:TEST_AWS_ID"}, "belong together"),
        ({"secret_access_key": "env:TEST_AWS_SECRET"}, "belong together"),
        (
            {"access_key_id": "env:TEST_AWS_BAD", "secret_access_key": "env:TEST_AWS_SECRET"},
            "no header may carry",
        ),
    ],
)
def test_credentials_that_cannot_sign_are_refused(
    settings: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_AWS_ID", KEY)
    monkeypatch.setenv("TEST_AWS_SECRET", SECRET)
    monkeypatch.setenv("TEST_AWS_BAD", "AK\nID")
    with pytest.raises(ConfigError, match=words) as caught:
        read_credentials("aws", ProviderConfig.model_validate(settings))
    assert SECRET not in caught.value.message
