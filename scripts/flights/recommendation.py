"""Rank the flights of a route and day by how punctual each of them has been.

A flight is a carrier and a number on a route, say UA1532 from EWR to SFO. Its history is every other day it
was scheduled. *On time* is an arrival less than 15 minutes late, as the US Department of Transportation
counts; a flight that did not arrive (cancelled or diverted: no arrival delay) was not on time. The plain
share of arrivals on time would put a flight that flew once, and well, above one that was on time on 180 days
of 200. So each share is drawn toward the route's, as if the flight had flown on PRIOR_FLIGHTS more days and
had then done as the route does (a beta-binomial posterior mean; the route's own share is drawn to one half in
the same way, by two flights):

    route's share = (on time on the route + 1) / (flights on the route + 2)
    punctuality   = (on time + PRIOR_FLIGHTS * route's share) / (flights + PRIOR_FLIGHTS)

The day asked for never counts: what happened on it is what a recommendation wants to foresee.
docs/example_flights.md shows how PRIOR_FLIGHTS was chosen and how well the ranking does.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
from kv_storage import Key, Record, escape

from flights.catalog import Catalog

ON_TIME_MINUTES = 15
PRIOR_FLIGHTS = 10

STATISTIC = (
    "Punctuality is the share of the flight's other days on which it arrived less than "
    f"{ON_TIME_MINUTES} minutes late; cancelled and diverted flights count as not on time. Each share is "
    f"drawn toward the route's, as if the flight had {PRIOR_FLIGHTS} more days that went as the route does, "
    "so that a few lucky days do not win. The day asked for is left out."
)

Delays = npt.NDArray[np.float32]  # minutes late on arrival, one per scheduled flight; NaN: it did not arrive


@dataclass(frozen=True)
class RankedFlight:
    """One flight of the day, and its history on other days."""

    key: str
    flight: str
    airline: str
    scheduled_departure: str  # HH:MM, local time
    scheduled_arrival: str
    punctuality: float
    observations: int
    on_time: int
    not_arrived: int
    mean_arrival_delay: float | None  # of those that arrived
    median_arrival_delay: float | None
    arrival_delay_that_day: float | None  # none: it did not arrive


@dataclass(frozen=True)
class Recommendation:
    """The day's flights, most punctual first."""

    flights: list[RankedFlight]
    route_punctuality: float
    route_observations: int
    milliseconds: float


class History:
    """How a flight did over a number of days.

    Its delays are kept in order: so counts and the median are positions.
    """

    def __init__(self, delays: Delays, that_day: float) -> None:
        """Of `delays`, one equal to `that_day` is left out; which of the equal ones makes no difference."""
        ordered = np.sort(delays)  # NaN last
        place = int(ordered.searchsorted(that_day))
        self._ordered = np.concatenate((ordered[:place], ordered[place + 1 :]))
        self.observations = len(self._ordered)
        self.arrived = int(self._ordered.searchsorted(np.nan))
        self.on_time = int(self._ordered.searchsorted(ON_TIME_MINUTES))

    def punctuality(self, route_share: float) -> float:
        """The share on time, drawn toward that of the route."""
        return (self.on_time + PRIOR_FLIGHTS * route_share) / (self.observations + PRIOR_FLIGHTS)

    def mean_delay(self) -> float | None:
        """Of the arrivals; none if there was none."""
        return float(self._ordered[: self.arrived].sum()) / self.arrived if self.arrived else None

    def median_delay(self) -> float | None:
        """Of the arrivals; none if there was none."""
        if not self.arrived:
            return None
        lower, upper = self._ordered[(self.arrived - 1) // 2], self._ordered[self.arrived // 2]
        return float(lower + upper) / 2


def recommend(catalog: Catalog, origin: str, dest: str, day: date) -> Recommendation | None:
    """Rank the flights from `origin` to `dest` on `day`; none if there was no flight."""
    started = time.perf_counter()
    route, route_and_day = escape(Key(origin, dest)), escape(Key(origin, dest, day))
    flights = catalog.flights
    today = list(flights.find(f"{route_and_day}-*").items())
    if not today:
        return None

    delays = flights.find(f"{route}-*").column("arr_delay")
    delays_today = np.array([flight.arr_delay for _, flight in today], np.float32)
    observations = len(delays) - len(delays_today)
    share = (_count_on_time(delays) - _count_on_time(delays_today) + 1) / (observations + 2)

    ranked = []
    for key, flight in today:
        name = f"{flight.carrier}{flight.flight}"
        delays = flights.find(f"{route}-*-{escape(name)}").column("arr_delay")
        history = History(delays, flight.arr_delay)
        ranked.append(_ranked(key, name, catalog.airline(flight.carrier), flight, history, share))
    ranked.sort(key=_order)
    return Recommendation(ranked, share, observations, (time.perf_counter() - started) * 1e3)


def _count_on_time(delays: Delays) -> int:
    """How many arrived on time; NaN compares as false."""
    return int(np.count_nonzero(delays < ON_TIME_MINUTES))


def _ranked(
    key: str, name: str, airline: str, flight: Record, history: History, share: float
) -> RankedFlight:
    return RankedFlight(
        key=key,
        flight=name,
        airline=airline,
        scheduled_departure=_clock(flight.sched_dep_time),
        scheduled_arrival=_clock(flight.sched_arr_time),
        punctuality=history.punctuality(share),
        observations=history.observations,
        on_time=history.on_time,
        not_arrived=history.observations - history.arrived,
        mean_arrival_delay=history.mean_delay(),
        median_arrival_delay=history.median_delay(),
        arrival_delay_that_day=None if math.isnan(flight.arr_delay) else flight.arr_delay,
    )


def _order(flight: RankedFlight) -> tuple[float, float, str, str]:
    """Most punctual first; among equals the less delayed, the earlier, the first by key."""
    median = flight.median_arrival_delay
    return -flight.punctuality, math.inf if median is None else median, flight.scheduled_departure, flight.key


def _clock(hour_and_minute: int) -> str:
    """1729 is twenty-nine minutes past five in the afternoon."""
    return f"{hour_and_minute // 100:02}:{hour_and_minute % 100:02}"
