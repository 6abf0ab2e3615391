"""Exports: the rows in a file, and a manifest beside it with which anybody can verify it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal, get_args

import msgspec
from msgspec import Struct

from santral.audit import store
from santral.audit.chain import Break, Chain
from santral.audit.entry import GENESIS, Entry, Link
from santral.audit.verify import Finding
from santral.audit.witness import Sighting
from santral.db.engine import Engine, reading
from santral.errors import BadRequest, StoreError

Format = Literal["jsonl", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)

#: Rows read at once.
BATCH_ROWS = 2000

_COLUMNS = Entry.__struct_fields__
_JSON_COLUMNS = ("before", "after")


class Manifest(Struct, frozen=True, kw_only=True):
    """What an export holds. Keep it elsewhere than the log: it shows what the log was."""

    format: Format
    rows: int
    previous: Link  # the row before the first one
    last: Link
    sha256: str  # of the file
    exported_at: datetime

    def sightings(self) -> list[Sighting]:
        """Return what the manifest shows of the log."""
        return [
            Sighting(link.number, link.hash, self.exported_at)
            for link in (self.previous, self.last)
            if link.number
        ]


def manifest_path(file: Path) -> Path:
    """Return where the manifest of an export lies."""
    return file.with_name(f"{file.name}.manifest.json")


async def export(
    engine: Engine,
    file: Path,
    format_: Format,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Manifest:
    """Write the rows from the first one not older than ``since`` to the last before ``until``.

    File and manifest appear whole, or not at all.

    Raises:
        BadRequest: the file exists, or no row is in that time.
        StoreError: the database or the file cannot be used.
    """
    _require_free(file)
    previous, end = await _range(engine, since, until)
    making = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with making.open("xb") as raw:
            writer = _Writer(raw, format_)
            last = await _copy(engine, writer, previous, end, progress)
            raw.flush()
            os.fsync(raw.fileno())
        manifest = Manifest(
            format=format_,
            rows=writer.rows,
            previous=previous,
            last=last,
            sha256=writer.digest.hexdigest(),
            exported_at=now(),
        )
        manifest_path(file).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        making.replace(file)
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror or error}.") from None
    finally:
        making.unlink(missing_ok=True)
    return manifest


def read_manifest(path: Path) -> Manifest:
    """Return the manifest at ``path``.

    Raises:
        BadRequest: it cannot be read, or is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror}.") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"{path} is no manifest of an export: {error}.") from None


def verify_file(
    file: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[Finding, bool]:
    """Follow the chain of an export; return what was found, and whether its manifest was there.

    Without the manifest the chain is followed from the file's first row, and nothing shows whether
    rows are missing at its two ends.

    Raises:
        BadRequest: the file or its manifest cannot be read, or is no export.
    """
    path = manifest_path(file)
    manifest = read_manifest(path) if path.exists() else None
    format_ = manifest.format if manifest else _guessed(file)
    try:
        with file.open("rb") as raw:
            finding = _follow(file, _read(raw, format_, file), manifest, progress)
        return _with_manifest(finding, manifest, file), manifest is not None
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror}.") from None


class _Writer:
    """Writes rows and sums up what was written."""

    def __init__(self, raw: IO[bytes], format_: Format) -> None:
        self._raw = raw
        self._format = format_
        self.rows = 0
        self.digest = hashlib.sha256()
        if format_ == "csv":
            self._put(_csv_line(_COLUMNS))

    def write(self, entry: Entry) -> None:
        self.rows += 1
        values = plain(entry)
        if self._format == "jsonl":
            self._put(_json(values).encode("ascii") + b"\n")
        else:
            self._put(
                _csv_line(
                    [_json(values[c]) if c in _JSON_COLUMNS else str(values[c]) for c in _COLUMNS]
                )
            )

    def _put(self, line: bytes) -> None:
        self._raw.write(line)
        self.digest.update(line)


def plain(entry: Entry) -> dict[str, Any]:
    """Return an entry as JSON shows it: the moment to the microsecond, in UTC."""
    values = msgspec.structs.asdict(entry)
    moment = entry.occurred_at.astimezone(UTC)
    return {**values, "occurred_at": moment.isoformat(timespec="microseconds")}


def _require_free(file: Path) -> None:
    if file.exists() or manifest_path(file).exists():
        raise BadRequest(f"{file} or its manifest exists already. Choose another name.")


async def _range(
    engine: Engine, since: datetime | None, until: datetime | None
) -> tuple[Link, int]:
    """Return the row before the first one, and the number of the last."""
    async with reading(engine) as conn:
        previous = (await store.read_anchor(conn)).link
        newest = await store.last_link(conn)
        end = newest.number if newest else 0
        if until is not None:
            after = await store.first_number_since(conn, until)
            end = end if after is None else after - 1
        if since is not None:
            first = await store.first_number_since(conn, since)
            before = None if first is None else await store.find_entry(conn, first - 1)
            end = 0 if first is None else end
            previous = before.link if before is not None else previous
    if end <= previous.number:
        raise BadRequest("The audit log has no row in that time.")
    return previous, end


async def _copy(
    engine: Engine,
    writer: _Writer,
    last: Link,
    end: int,
    progress: Callable[[int, int], None],
) -> Link:
    total = end - last.number
    while last.number < end:
        async with reading(engine) as conn:
            entries = await store.entries_after(
                conn, last.number, min(BATCH_ROWS, end - last.number)
            )
        if not entries or entries[-1].number != last.number + len(entries):
            raise StoreError(
                f"A row after row {last.number} is gone. Run: santral audit verify. If retention "
                "cut it just now, export again."
            )
        for entry in entries:
            writer.write(entry)
        last = entries[-1].link
        progress(writer.rows, total)
    return last


def _follow(
    file: Path,
    entries: Iterator[Entry],
    manifest: Manifest | None,
    progress: Callable[[int, int], None],
) -> Finding:
    first = next(entries, None)
    if first is None:
        if manifest is None:
            raise BadRequest(f"{file} holds no row.")
        beginning = manifest.previous
    else:
        beginning = manifest.previous if manifest else Link(first.number - 1, first.previous_hash)
    seen = {manifest.last.number: manifest.last.hash} if manifest else {}
    chain = Chain(beginning, seen)
    broken = _genesis(beginning)
    if broken is None and first is not None:
        broken = chain.follow([first])
    if broken is None:
        for entry in entries:
            broken = chain.follow([entry])
            if broken is not None:
                break
            if chain.rows % BATCH_ROWS == 0:
                progress(chain.rows, manifest.rows if manifest else chain.rows)
    return Finding(
        first=beginning.number + 1,
        last=chain.last,
        rows=chain.rows,
        broken=broken or chain.end(),
    )


def _genesis(beginning: Link) -> Break | None:
    if beginning.number == 0 and beginning.hash != GENESIS:
        return Break(1, "row 1 does not stand on the genesis: 64 zeros")
    return None


def _with_manifest(finding: Finding, manifest: Manifest | None, file: Path) -> Finding:
    """Add what the manifest says about the whole file, where the chain itself holds."""
    if manifest is None or finding.broken is not None:
        return finding
    if finding.rows != manifest.rows:
        number = manifest.last.number + 1
        reason = f"the file has {finding.rows} rows, and its manifest says {manifest.rows}"
    elif _sha256(file) != manifest.sha256:
        number = finding.first
        reason = "the file is not the one that was exported, though its rows hold together"
    else:
        return finding
    return msgspec.structs.replace(finding, broken=Break(number, reason))


def _sha256(file: Path) -> str:
    with file.open("rb") as raw:
        return hashlib.file_digest(raw, "sha256").hexdigest()


def _guessed(file: Path) -> Format:
    for format_ in FORMATS:
        if file.suffix == f".{format_}":
            return format_
    raise BadRequest(f"{file} has no manifest beside it and ends in neither .jsonl nor .csv.")


def _read(raw: IO[bytes], format_: Format, file: Path) -> Iterator[Entry]:
    if format_ == "jsonl":
        for number, line in enumerate(raw, start=1):
            yield _parsed(_loads(line), file, number)
        return
    rows = csv.reader((line.decode("utf-8") for line in raw), strict=True)
    try:
        for number, cells in enumerate(rows, start=1):
            if number == 1 and tuple(cells) == _COLUMNS:
                continue
            if len(cells) != len(_COLUMNS):
                raise BadRequest(f"{file}: line {number} is cut or no row of the audit log.")
            values: dict[str, Any] = dict(zip(_COLUMNS, cells, strict=True))
            values |= {name: _loads(values[name]) for name in _JSON_COLUMNS}
            yield _parsed(values, file, number)
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadRequest(f"{file} is no export: {error}.") from None


def _loads(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return ...  # refused with the line's number by whoever reads it


def _parsed(values: Any, file: Path, number: int) -> Entry:
    try:
        entry = msgspec.convert(values, Entry, strict=False)
        if entry.occurred_at.tzinfo is None:
            raise msgspec.ValidationError
    except msgspec.ValidationError:
        raise BadRequest(f"{file}: line {number} is cut or no row of the audit log.") from None
    return entry


def _json(value: Mapping[str, Any] | None) -> str:
    return json.dumps(value, separators=(",", ":"))


def _csv_line(cells: tuple[str, ...] | list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().encode("utf-8")
