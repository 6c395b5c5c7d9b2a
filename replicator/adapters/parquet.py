"""Rows as a Parquet file: zstd, microseconds, and no type that DuckDB, Athena, Trino or Spark don't know."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from replicator.errors import UsageError

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    raise UsageError(
        "Parquet needs pyarrow, which isn't installed", hint="pip install 'replicator[parquet]'"
    ) from None

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_GROUP_ROWS = 20_000

_TYPES = {
    "timestamp": pa.timestamp("us", tz="UTC"),
    "string": pa.string(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
}


def pack(columns: Sequence[tuple[str, str, str]], rows: Iterable[dict[str, Any]]) -> bytes:
    """Return the file of *rows*; *columns*: name, type, description. Few rows are in memory at a time."""
    schema = pa.schema(
        [pa.field(name, _TYPES[type_], metadata={"description": about}) for name, type_, about in columns]
    )
    sink, waiting = pa.BufferOutputStream(), iter(rows)
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        while group := list(islice(waiting, _GROUP_ROWS)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return] # pyarrow has no types
