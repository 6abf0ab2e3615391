"""A CSV file as Parquet: streamed through DuckDB, which holds no more than a batch of rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

import duckdb

from santral.errors import StoreError

Kind: TypeAlias = Literal["VARCHAR", "BIGINT", "BOOLEAN", "DATE", "TIMESTAMPTZ", "DECIMAL(38,9)"]

_COPY = """
    COPY (SELECT * FROM read_csv($source, header = true, delim = ',', quote = '"', escape = '"',
        columns = $columns, force_not_null = $texts, nullstr = '', parallel = false,
        max_line_size = 16777216))
    TO '{target}' (FORMAT parquet, COMPRESSION zstd)
"""


def csv_to_parquet(source: Path, target: Path, columns: Mapping[str, Kind]) -> None:
    """Write the rows of ``source``, whose columns are those of ``columns``; an empty text stays one.

    Raises:
        StoreError: the file cannot be written.
    """
    texts = [name for name, kind in columns.items() if kind == "VARCHAR"]
    statement = _COPY.format(target=str(target).replace("'", "''"))
    params = {"source": str(source), "columns": dict(columns), "texts": texts}
    try:
        # Nothing is downloaded, ever.
        with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
            connection.execute(statement, params)
    except duckdb.Error as error:
        raise StoreError(f"{target} cannot be written: {str(error).splitlines()[0]}") from None
