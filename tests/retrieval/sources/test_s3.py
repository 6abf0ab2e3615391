"""Buckets on a real S3 server of this machine."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.retrieval.sources.conftest import Around, listing

from santral.config.sources import SourcesConfig
from santral.errors import SourceUnreachable
from santral.retrieval.document import UnreadableError
from santral.retrieval.sources.fetch import Fetcher
from santral.retrieval.sources.reach import AddressRefused
from santral.retrieval.sources.s3 import S3Source
from santral.retrieval.sources.s3_sign import Keys, signed_headers
from santral.retrieval.sources.settings import S3Settings
from santral.retrieval.sources.source import Covered

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that speaks S3, in a process of its own."""
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stdout=said,
            stderr=said,
        )
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        process.wait(10)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(300):
        found = re.search(r"Running on (http://127\.0\.0\.1:\d+)", log.read_text())
        if found:
            return found.group(1)
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(f"the S3 server did not start: {log.read_text()}")


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    """An empty bucket; put objects into it as the owner does."""
    import botocore.session

    monkeypatch.setenv("BUCKET_KEY", "AKIAEXAMPLE")
    monkeypatch.setenv("BUCKET_SECRET", "s3cret")
    client: Any = botocore.session.get_session().create_client(
        "s3", "us-east-1", endpoint_url=server, aws_access_key_id="a", aws_secret_access_key="b"
    )
    name = re.sub(r"[^a-z0-9]", "-", request.node.name.lower())[-60:].strip("-")
    client.create_bucket(Bucket=name)
    client.bucket = name
    yield client
    client.close()


def put(bucket: Any, key: str, content: bytes) -> None:
    bucket.put_object(Bucket=bucket.bucket, Key=key, Body=content)


def told(server: str, bucket: Any, **more: object) -> S3Settings:
    keys = {"access_key": "env:BUCKET_KEY", "secret_key": "env:BUCKET_SECRET"}
    return S3Settings.model_validate({"bucket": bucket.bucket, "endpoint": server, **keys, **more})


async def test_objects_are_listed_and_fetched(server: str, bucket: Any, around: Around) -> None:
    put(bucket, "handbook/a.md", b"# A")
    put(bucket, "handbook/hr/pay day.md", b"# Pay")
    put(bucket, "handbook/folder/", b"")
    put(bucket, "other/b.md", b"# B")
    settings = told(server, bucket, prefix="handbook/", groups={"hr/": ["hr"]},
                    url_template="https://files.example/{key}")  # fmt: skip
    seen = await listing(S3Source(settings, around()))
    name = f"s3://{bucket.bucket}/handbook/"
    assert seen.contents == {f"{name}a.md": b"# A", f"{name}hr/pay day.md": b"# Pay"}
    first, second = seen.items.values()
    assert first.stamp
    assert first.stamp != second.stamp
    assert (first.metadata.allowed_groups, second.metadata.allowed_groups) == ((), ("hr",))
    assert second.metadata.url == "https://files.example/handbook/hr/pay%20day.md"
    assert isinstance(first.metadata.modified_at, datetime)
    assert first.metadata.modified_at.tzinfo is not None
    assert seen.covered == [Covered("source:src_1")]


async def test_a_stamp_follows_the_content(server: str, bucket: Any, around: Around) -> None:
    put(bucket, "a.md", b"one")
    first = (await listing(S3Source(told(server, bucket), around()))).stamps
    assert (await listing(S3Source(told(server, bucket), around()))).stamps == first
    put(bucket, "a.md", b"two")
    assert (await listing(S3Source(told(server, bucket), around()))).stamps != first


async def test_a_listing_goes_on_page_by_page(server: str, bucket: Any, around: Around) -> None:
    for number in range(7):
        put(bucket, f"{number}.txt", b"x")
    source = S3Source(told(server, bucket), around(), page_keys=3)
    assert len([listed async for listed in source.list_items()]) == 8
    cut = S3Source(told(server, bucket, max_items=4), around(), page_keys=3)
    seen = await listing(cut, fetch=False)
    assert (len(seen.items), seen.covered) == (4, [])


async def test_an_object_is_bounded_and_may_go_meanwhile(
    server: str, bucket: Any, around: Around
) -> None:
    put(bucket, "a.md", b"x" * 1001)
    seen = await listing(S3Source(told(server, bucket), around(max_bytes=1000)), fetch=False)
    (item,) = seen.items.values()
    with pytest.raises(UnreadableError, match="larger than 1000"):
        await item.fetch()
    seen = await listing(S3Source(told(server, bucket), around()), fetch=False)
    (item,) = seen.items.values()
    bucket.delete_object(Bucket=bucket.bucket, Key="a.md")
    with pytest.raises(UnreadableError, match="not in the bucket"):
        await item.fetch()


async def test_what_cannot_be_listed_ends_the_run(server: str, bucket: Any, around: Around) -> None:
    settings = told(server, bucket).model_copy(update={"bucket": "no-such-bucket"})
    with pytest.raises(SourceUnreachable, match="no-such-bucket"):
        await listing(S3Source(settings, around()))
    away = told("http://127.0.0.1:1", bucket)
    with pytest.raises(SourceUnreachable, match="cannot be listed") as caught:
        await listing(S3Source(away, around(config=SourcesConfig(timeout_s=0.5))))
    assert "s3cret" not in str(caught.value)


async def test_keys_that_are_no_paths_are_keys(server: str, bucket: Any, around: Around) -> None:
    keys = ("a b/pay day.md", "\u00fc+x.md", "p%20q.md", "a//b.md", "e#f?g=h&i.md", "x'y(z)!*.md")
    for key in keys:
        put(bucket, key, key.encode())
    seen = await listing(S3Source(told(server, bucket), around()))
    assert seen.contents == {f"s3://{bucket.bucket}/{key}": key.encode() for key in keys}


def test_a_signature_is_the_one_that_amazons_own_client_makes() -> None:
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials

    now = datetime(2013, 5, 24, tzinfo=UTC)
    url = "https://examplebucket.s3.amazonaws.com/a%20file.txt?list-type=2&prefix=a%2Fb%20c"
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    ours = signed_headers(url, Keys("AKIAIOSFODNN7EXAMPLE", secret, "tok"), "us-east-1", now)
    request = botocore.awsrequest.AWSRequest("GET", url, headers={})
    theirs = botocore.auth.S3SigV4Auth(
        botocore.credentials.Credentials("AKIAIOSFODNN7EXAMPLE", secret, "tok"), "s3", "us-east-1"
    )
    request.context["timestamp"] = "20130524T000000Z"
    for name, value in ours.items():
        if name.startswith("x-amz"):
            request.headers[name] = value
    expected = theirs.signature(
        theirs.string_to_sign(request, theirs.canonical_request(request)), request
    )
    assert ours["Authorization"].endswith(f"Signature={expected}")
    assert "wJalr" not in repr(Keys("a", secret))


async def test_a_server_inside_is_asked_only_where_that_is_allowed(
    server: str, bucket: Any, around: Around
) -> None:
    fetcher = Fetcher(SourcesConfig())
    with pytest.raises(AddressRefused):
        await listing(S3Source(told(server, bucket), around(fetcher=fetcher)))
    await fetcher.close()
