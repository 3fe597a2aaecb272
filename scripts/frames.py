"""The flights in the data frames and the SQL of others, without a copy on the way but the one into their columns.

    runner --native_configuration=configs/flights.ini scripts/frames.py     (the flights of the example service)
    runner scripts/frames.py tests/data/flights_sample.csv                  (any file with these columns)

It needs duckdb, polars and pyarrow: `pip install -r requirements/arrow.txt`.
"""

from __future__ import annotations

import sys

import duckdb
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
from kv_storage import Matches, RecordHash, Storage

KEY = "{origin}-{dest}-{day:02}-{month:02}-{year}-{carrier}{flight}"


def flights_of(kv: Storage, path: str | None) -> RecordHash:
    """The collection that the configuration loaded, else that of the file."""
    if path is not None:
        kv.load_csv(path, "flights", key=KEY, types={"dep_delay": "f4"})
    flights = kv.hash("flights")
    if not isinstance(flights, RecordHash):
        raise SystemExit(
            "frames: there are no flights in the store: give a CSV file, or a configuration that loads one"
        )
    return flights


def delays_by_carrier(flights: RecordHash | Matches) -> list[tuple[str, int, float]]:
    """Carrier, flights and mean delay: DuckDB finds the table by the name of the variable."""
    found = duckdb.sql("""
        select carrier, count(*), avg(dep_delay) as delay
        from flights where dep_delay is not null group by carrier order by delay desc, carrier
    """)
    return found.fetchall() if found is not None else []


def busiest_routes(flights: RecordHash) -> pl.DataFrame:
    """The three routes with the most flights, by polars."""
    frame = pl.Series(flights).struct.unnest()
    routes = frame.group_by("origin", "dest").agg(pl.len().alias("flights"), pl.col("dep_delay").mean())
    return routes.sort("flights", "origin", "dest", descending=[True, False, False]).head(3)


def main() -> None:
    """Print the flights as three libraries see them."""
    flights = flights_of(Storage(), sys.argv[1] if len(sys.argv) > 1 else None)
    table = pa.table(flights)
    print(
        f"pyarrow: {table.num_rows} rows of {table.num_columns} columns, {table['dep_delay'].null_count} never left"
    )
    for carrier, count, delay in delays_by_carrier(flights)[:3]:
        print(f"duckdb: {carrier} is {delay:.1f} minutes late in {count} flights")
    for carrier, count, delay in delays_by_carrier(flights.find("JFK-*"))[:1]:
        print(f"duckdb: {carrier} is {delay:.1f} minutes late in {count} flights from JFK")
    for origin, dest, count, delay in busiest_routes(flights).rows():
        print(
            f"polars: {origin}-{dest} has {count} flights"
            + ("" if delay is None else f", {delay:.1f} minutes late")
        )


if __name__ == "__main__":
    main()
