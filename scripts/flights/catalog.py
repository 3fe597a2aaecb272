"""What the store holds: which routes, on which dates, and how airports and airlines are called.

All that is copied out and kept is the list of routes, some two hundred lines that the page's form is made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
from kv_storage import Hash, Key, Matches, RecordHash, Storage, escape

# The character after the separator of keys: "EWR-SFO." comes right after every key of the route EWR-SFO.
AFTER_SEPARATOR = chr(ord("-") + 1)


class NoFlightsError(Exception):
    """The store was not filled: the message says how to fill it."""


@dataclass(frozen=True)
class Place:
    """An airport."""

    code: str
    name: str


@dataclass(frozen=True)
class Route:
    """Two airports with at least one flight from the one to the other."""

    origin: str
    dest: str
    flights: int


class Catalog:
    """Handles to the collections that configs/flights.ini loads, and questions about them."""

    def __init__(self, kv: Storage) -> None:
        """Open the collections.

        Raises:
            NoFlightsError: there are no flights in the store.
        """
        flights = kv.hash("flights") if "flights" in kv.collections() else None
        if not isinstance(flights, RecordHash) or not len(flights):
            raise NoFlightsError(
                "there are no flights in the store. Get them with\n"
                "    python3 scripts/fetch_flights.py\n"
                "and start as\n"
                "    runner --native_configuration=configs/flights.ini scripts/main.py"
            )
        self.flights = flights
        self._airports = kv.hash("airports")
        self._airlines = kv.hash("airlines")
        self.routes = list(_routes(self.flights))
        self.first_day, self.last_day = _first_and_last_day(self.flights)

    def place(self, code: str) -> Place:
        """The airport of that code; its code stands for a name that is not known."""
        return Place(code, _name(self._airports, code))

    def airline(self, carrier: str) -> str:
        """The airline's name, or its code if that is not known."""
        return _name(self._airlines, carrier)

    def origins(self) -> list[str]:
        """The airports that flights leave from."""
        return sorted({route.origin for route in self.routes})

    def destinations(self, origin: str) -> list[str]:
        """The airports that flights from `origin` go to."""
        return [route.dest for route in self.routes if route.origin == origin]

    def nearest_days(self, origin: str, dest: str, day: date, count: int = 6) -> list[date]:
        """The dates closest to `day` with a flight on the route, in calendar order."""
        days = _days(self.flights.find(f"{escape(Key(origin, dest))}-*"))
        return sorted(sorted(days, key=lambda other: abs(other - day))[:count])


def _name(names: Hash, code: str) -> str:
    record = names.get(code)
    return code if record is None else str(record.name)


def _routes(flights: RecordHash) -> Iterator[Route]:
    """The distinct beginnings of keys, found by skipping from each route's first key to behind its last."""
    start = ""
    while (key := next(iter(flights.range(start, None)), None)) is not None:
        origin, dest, _ = key.split("-", 2)
        yield Route(origin, dest, len(flights.prefix(f"{origin}-{dest}-")))
        start = f"{origin}-{dest}{AFTER_SEPARATOR}"


def _first_and_last_day(flights: RecordHash) -> tuple[date, date]:
    """Over all flights, looking at the records where they lie."""
    numbers = [_day_numbers(records)[used] for records, used in flights.slabs()]
    return _date(min(part.min() for part in numbers)), _date(max(part.max() for part in numbers))


def _days(matches: Matches) -> list[date]:
    """The distinct dates of the flights, in calendar order."""
    return [_date(number) for number in np.unique(_day_numbers(matches.to_numpy()))]


def _day_numbers(records: npt.NDArray[np.void]) -> npt.NDArray[np.int32]:
    """One number per flight: 20130606, which sorts by time."""
    year, month, day = (records[name].astype(np.int32) for name in ("year", "month", "day"))
    return year * 10_000 + month * 100 + day


def _date(number: int) -> date:
    return date(number // 10_000, number // 100 % 100, number % 100)
