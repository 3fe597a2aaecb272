"""A column as a List: `runner scripts/tailnums.py [DIRECTORY]`.

Which aircraft flew each of the 336,776 flights from New York City in 2013, in the order of the file: a value for each
flight, but only some 4,000 different ones. `scripts/fetch_flights.py` gets the file.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from kv_storage import List, Storage

DATA = Path(__file__).parents[1] / "data"


def load(tails: List, file: Path) -> None:
    """Put the tail number of every flight of the file into the list; None where it is not known."""
    with file.open(encoding="utf-8", newline="") as rows:
        tails.extend(None if row["tailnum"] in {"", "NA"} else row["tailnum"] for row in csv.DictReader(rows))


def used_bytes(kv: Storage) -> int:
    """What the store takes."""
    return sum(part["used_bytes"] for part in kv.stats()["parts"])


def main() -> None:
    """Load the column and look at it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "directory", nargs="?", type=Path, default=DATA, help="where flights.csv is (default: data/)"
    )
    file = parser.parse_args().directory / "flights.csv"
    kv = Storage()
    tails = kv.list("tailnum")
    if not tails:
        if not file.is_file():
            raise SystemExit(f"{file} is missing: scripts/fetch_flights.py gets it")
        before = used_bytes(kv)
        load(tails, file)
        each = (used_bytes(kv) - before) / len(tails)
        print(f"{len(tails):,} flights take {each:.2f} bytes each")

    counts = tails.value_counts()
    known = {tail: count for tail, count in counts.items() if tail is not None}
    print(f"by {len(known):,} aircraft, on {counts.get(None, 0):,} flights it is not known which")
    busiest = next(iter(known))
    first = tails.index(busiest)
    print(
        f"{busiest} flew {tails.count(busiest)} times, first as flight number {first:,}: {tails[first : first + 3]}"
    )

    codes, dictionary = tails.encoded()
    repeated = codes[1:][codes[1:] == codes[:-1]]
    known_twice = sum(dictionary[code] is not None for code in repeated)
    print(f"{known_twice:,} times an aircraft comes twice running in the file")


if __name__ == "__main__":
    main()
