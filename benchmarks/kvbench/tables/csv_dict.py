"""The standard library: csv.reader into a dict of lists, every field a `str`."""

import csv
import itertools

from kvbench.tables.base import Table


def read(path: str, limit: int | None = None) -> dict[str, list[str]]:
    with open(path, newline="") as file:
        rows = csv.reader(file)
        next(rows)
        return {row[0]: row for row in itertools.islice(rows, limit)}


class CsvDict(Table):
    """The csv module + dict of lists of str."""

    def prepare(self) -> None:
        pass

    def load(self, path: str) -> None:
        self._rows = read(path)

    def row(self, key: str) -> tuple[int, float, str]:
        _, count, price, text = self._rows[key]
        return int(count), float(price), text

    def price_sum(self, prefix: str) -> float:
        return sum(float(row[2]) for key, row in self._rows.items() if key.startswith(prefix))

    def count_sum(self) -> int:
        return sum(int(row[1]) for row in self._rows.values())
