"""Buckets of S3 and of what speaks like it, asked as pages are: only where sources may go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import quote, unquote_plus, urlencode
from xml.parsers import expat

from msgspec import Struct, field

from santral.errors import SourceUnreachable
from santral.retrieval.document import UnreadableError
from santral.retrieval.sources.fetch import Gone
from santral.retrieval.sources.known import is_taken, metadata_of
from santral.retrieval.sources.reach import AddressRefused
from santral.retrieval.sources.s3_sign import Keys, signed_headers
from santral.retrieval.sources.settings import S3Settings
from santral.retrieval.sources.source import Covered, Item, Listed, Problem
from santral.retrieval.sources.surroundings import Surroundings

#: Longest page of a listing: a thousand keys of a thousand letters, encoded. Source: limits of S3.
_MAX_PAGE = 8 * 1024 * 1024


class S3Source:
    """The objects of a bucket; a listing takes the same memory however long it is."""

    def __init__(
        self,
        settings: S3Settings,
        around: Surroundings,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        page_keys: int = 1000,
    ) -> None:
        self._settings = settings
        self._around = around
        self._clock = clock
        self._page_keys = page_keys
        self._base = _base(settings)

    async def list_items(self) -> AsyncIterator[Listed]:
        """Yield the objects by key; see ``Source``."""
        count = 0
        async for found in self._objects():
            path = found.key.removeprefix(self._settings.prefix).lstrip("/")
            if found.key.endswith("/") or not is_taken(self._settings, path):
                continue
            count += 1
            if count > self._settings.max_items:
                most = self._settings.max_items
                yield Problem(self._name(), f"it holds more than {most} objects (max_items)")
                return
            yield self._item(found, path)
        yield Covered(self._around.root)

    def _item(self, found: BucketObject, path: str) -> Item:
        location = self._name(found.key)
        template = self._settings.url_template
        link = template.replace("{key}", quote(found.key)) if template else location
        return Item(
            location=location,
            root=self._around.root,
            source=location,
            name=PurePosixPath(found.key).name,
            fetch=partial(self._fetch, found),
            stamp=found.etag,
            metadata=metadata_of(self._settings, path, url=link, modified_at=found.changed_at),
        )

    async def _objects(self) -> AsyncIterator[BucketObject]:
        token = ""
        while True:
            page = await self._page(token)
            for found in page.objects:
                yield found
            if not page.token or page.token == token:
                return
            token = page.token

    async def _page(self, token: str) -> BucketPage:
        asked = {
            "encoding-type": "url",
            "list-type": "2",
            "max-keys": str(self._page_keys),
            "prefix": self._settings.prefix,
        }
        if token:
            asked["continuation-token"] = token
        url = f"{self._base}/?{urlencode(sorted(asked.items()), quote_via=quote)}"
        try:
            return parse_page(await self._get(url, _MAX_PAGE))
        except AddressRefused:
            raise
        except (UnreadableError, SourceUnreachable) as error:
            raise SourceUnreachable(
                f"The bucket {self._settings.bucket} cannot be listed: {error}. Look at its name, "
                "region, endpoint and keys."
            ) from None

    async def _fetch(self, found: BucketObject) -> bytes:
        """Return the content of an object; see ``Source``."""
        if found.size > self._around.max_bytes:
            raise UnreadableError(f"it is larger than {self._around.max_bytes} bytes")
        try:
            return await self._get(f"{self._base}/{quote(found.key)}", self._around.max_bytes)
        except Gone:
            raise Gone("it is not in the bucket any more") from None

    async def _get(self, url: str, max_bytes: int) -> bytes:
        async with self._around.fetcher.ask(url, self._signed(url)) as answer:
            return await answer.read(max_bytes)

    def _signed(self, url: str) -> dict[str, str]:
        settings = self._settings
        if settings.access_key is None or settings.secret_key is None:
            return {}
        token = settings.session_token
        keys = Keys(
            settings.access_key.reveal(),
            settings.secret_key.reveal(),
            "" if token is None else token.reveal(),
        )
        return signed_headers(url, keys, settings.region, self._clock())

    def _name(self, key: str = "") -> str:
        return f"s3://{self._settings.bucket}/{key}"


class BucketObject(Struct, frozen=True):
    """One object of a listing."""

    key: str
    etag: str
    size: int
    changed_at: datetime | None


class BucketPage(Struct):
    """One answer of a listing; ``token`` asks for the next."""

    objects: list[BucketObject] = field(default_factory=list[BucketObject])
    token: str = ""


def parse_page(content: bytes) -> BucketPage:
    """Return what one answer to ListObjectsV2 holds; raises UnreadableError where it is none.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    """
    reader = _Reader()
    try:
        reader.parser.Parse(content, True)
    except expat.ExpatError as error:
        raise UnreadableError(f"the answer is no XML ({error})") from None
    if reader.root != "ListBucketResult":
        raise UnreadableError("the answer is no listing of a bucket")
    return reader.page


class _Reader:
    """Collects objects from the events of a parser that expands nothing."""

    def __init__(self) -> None:
        self.page = BucketPage()
        self.root = ""
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse
        self._path: list[str] = []
        self._said: dict[str, str] = {}

    def _start(self, name: str, attributes: object) -> None:
        self._path.append(name.rpartition(" ")[2])
        if len(self._path) == 1:
            self.root = self._path[0]
        if self._path[1:] == ["Contents"]:
            self._said = {}

    def _text(self, text: str) -> None:
        if self._path[1:2] == ["Contents"] and len(self._path) == 3:
            self._said[self._path[2]] = self._said.get(self._path[2], "") + text
        elif self._path[1:] == ["NextContinuationToken"]:
            self.page.token += text

    def _end(self, name: str) -> None:
        if self._path[1:] == ["Contents"]:
            size = self._said.get("Size", "0")
            self.page.objects.append(
                BucketObject(
                    unquote_plus(self._said.get("Key", "")),
                    self._said.get("ETag", "").strip('"'),
                    int(size) if size.isdecimal() else 0,
                    _moment(self._said.get("LastModified", "")),
                )
            )
        self._path.pop()

    def _refuse(self, *declared: object) -> None:
        raise UnreadableError("the answer has a DOCTYPE")


def _base(settings: S3Settings) -> str:
    """Return the address of a bucket: by host at Amazon, by path elsewhere."""
    if settings.endpoint is not None:
        return f"{settings.endpoint.rstrip('/')}/{settings.bucket}"
    host = f"s3.{settings.region}.amazonaws.com"
    if "." in settings.bucket:  # no certificate is for a name with points in it
        return f"https://{host}/{settings.bucket}"
    return f"https://{settings.bucket}.{host}"


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None
