"""CSV peers by name: each loads a file and then answers by key, by pattern and by column."""

import importlib

from kvbench.tables.base import Table

OURS = "kv_storage"

_ADAPTERS = {
    "csv+dict": "csv_dict:CsvDict",
    OURS: "kv_storage_table:KvStorageTable",
    "pandas": "pandas_table:PandasTable",
    "polars": "polars_table:PolarsTable",
    "duckdb": "duckdb_table:DuckdbTable",
    "pyarrow": "pyarrow_table:PyarrowTable",
}

NAMES = tuple(_ADAPTERS)


def make(name: str) -> Table:
    module, _, adapter = _ADAPTERS[name].partition(":")
    table = getattr(importlib.import_module(f"kvbench.tables.{module}"), adapter)()
    assert isinstance(table, Table)
    return table
