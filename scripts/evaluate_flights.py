"""How good are the recommendations, and how strongly should few observations be drawn to the route's share?

    runner --native_configuration=configs/flights.ini scripts/evaluate_flights.py

Every flight of the year is predicted from all other days, as the service does, for several strengths of the
prior. Printed are the log loss of the predictions (less is better), and how often a flight was on time: the
one ranked first, any, and the one ranked last, over all routes and days with at least five flights.
"""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt
from flights.catalog import Catalog, NoFlightsError
from flights.recommendation import ON_TIME_MINUTES, PRIOR_FLIGHTS
from kv_storage import RecordHash, Storage

STRENGTHS = (1, 2, 5, PRIOR_FLIGHTS, 20, 50, 100, 1_000)
CHOICE = 5  # flights a day from which on there is something to choose

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def groups(*columns: npt.NDArray[np.generic]) -> Integers:
    """A number for each row, the same for rows that agree in all columns."""
    number = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        _, codes = np.unique(column, return_inverse=True)
        _, number = np.unique(number * (codes.max() + 1) + codes, return_inverse=True)
    return number


def other_days(values: Floats, group: Integers, group_and_day: Integers) -> Floats:
    """For each row the sum over its group, without that day."""
    in_group, that_day = (np.bincount(number, values)[number] for number in (group, group_and_day))
    return (in_group - that_day).astype(np.float64)


class Predictions:
    """What is known about each flight from all other days."""

    def __init__(self, flights: RecordHash) -> None:
        origin, dest, carrier, number = map(flights.column, ("origin", "dest", "carrier", "flight"))
        route = groups(origin, dest)
        flight = groups(route, carrier, number)
        day = groups(flights.column("month"), flights.column("day"))
        self.route_day = groups(route, day)
        flight_day = groups(flight, day)
        with np.errstate(invalid="ignore"):
            self.on_time = (flights.column("arr_delay") < ON_TIME_MINUTES).astype(np.float64)
        ones = np.ones_like(self.on_time)
        route_flights = other_days(ones, route, self.route_day)
        self.route_share = (other_days(self.on_time, route, self.route_day) + 1) / (route_flights + 2)
        self.observations = other_days(ones, flight, flight_day)
        self.on_time_before = other_days(self.on_time, flight, flight_day)

    def punctuality(self, strength: float) -> Floats:
        """The prediction for each flight."""
        drawn: Floats = self.on_time_before + strength * self.route_share
        return drawn / (self.observations + strength)

    def first_any_last(self, punctuality: Floats) -> tuple[float, float, float, int]:
        """Shares on time of the first, any, and the last of a day, and the number of days."""
        order = np.lexsort((-punctuality, self.route_day))
        starts = np.flatnonzero(np.diff(self.route_day[order], prepend=-1))
        counts = np.diff(starts, append=len(order))
        on_time = self.on_time[order]
        means = np.add.reduceat(on_time, starts) / counts
        chosen = counts >= CHOICE
        first, last = on_time[starts], on_time[starts + counts - 1]
        return first[chosen].mean(), means[chosen].mean(), last[chosen].mean(), int(chosen.sum())


def main() -> int:
    """Print the table."""
    try:
        flights = Catalog(Storage()).flights
    except NoFlightsError as error:
        print(f"evaluate_flights.py: {error}", file=sys.stderr)
        return 1
    predictions = Predictions(flights)
    print("prior flights  log loss   first    any   last")
    for strength in STRENGTHS:
        punctuality = predictions.punctuality(strength)
        hit = np.where(predictions.on_time == 1, punctuality, 1 - punctuality)
        first, mean, last, days = predictions.first_any_last(punctuality)
        print(f"{strength:>13}  {-np.log(hit).mean():.4f}    {first:.1%}  {mean:.1%}  {last:.1%}")
    print(f"on {days:,} days of a route with at least {CHOICE} flights")
    return 0


if __name__ == "__main__":
    sys.exit(main())
