"""/recommend against an exact computation over the CSV file by other means."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest

from .support import Answer, Expected, Oracle, Service

CASES = [
    ("EWR", "SFO", date(2013, 6, 6)),  # the example; a flight without any other day among them
    ("JFK", "LAX", date(2013, 2, 9)),  # the route with most flights, in a snow storm: cancellations that day
    ("LGA", "ORD", date(2013, 12, 31)),
    ("LGA", "ATL", date(2013, 1, 1)),
    ("EWR", "ANC", date(2013, 7, 6)),  # eight flights in a year
    ("LGA", "LEX", date(2013, 11, 24)),  # one flight ever: nothing to go by
    ("EWR", "LGA", date(2013, 7, 27)),  # one flight ever, and it was cancelled
    ("JFK", "BQN", date(2013, 3, 3)),  # an airport without a name in the data
]


def key_date(day: date) -> str:
    return day.strftime("%d-%m-%Y")


def close(shown: float | None, exact: Fraction | None) -> bool:
    if shown is None or exact is None:
        return shown is None and exact is None
    return shown == pytest.approx(float(exact), rel=1e-5)  # delays are float32 in the store


def check(found: list[dict[str, Any]], expected: list[Expected]) -> None:
    assert [flight["key"] for flight in found] == [line.key for line in expected]
    assert [flight["rank"] for flight in found] == list(range(1, len(expected) + 1))
    for flight, line in zip(found, expected, strict=True):
        assert flight["punctuality"] == pytest.approx(float(line.punctuality), rel=1e-12)
        assert flight["observations"] == line.observations
        assert flight["on_time"] == line.on_time
        assert flight["not_arrived"] == line.not_arrived
        assert close(flight["mean_arrival_delay"], line.mean)
        assert close(flight["median_arrival_delay"], line.median)


@pytest.mark.parametrize(("origin", "dest", "day"), CASES)
def test_ranking_is_what_the_definition_says(
    service: Service, oracle: Oracle, origin: str, dest: str, day: date
) -> None:
    answer = service.recommend(origin, dest, key_date(day))
    assert answer.status == 200, answer.body
    expected = oracle.ranking(origin, dest, day)
    assert expected
    check(answer.json()["flights"], expected)


def test_answer_names_places_statistic_and_times(service: Service) -> None:
    answer = service.recommend("EWR", "SFO", "06-06-2013").json()
    assert answer["from"] == {"code": "EWR", "name": "Newark Liberty Intl"}
    assert answer["to"] == {"code": "SFO", "name": "San Francisco Intl"}
    assert answer["date"] == "06-06-2013"
    assert answer["statistic"]["on_time_minutes"] == 15
    assert answer["statistic"]["prior_flights"] == 10
    assert "less than 15 minutes late" in answer["statistic"]["definition"]
    assert answer["milliseconds"] > 0
    virgin = next(flight for flight in answer["flights"] if flight["flight"] == "VX183")
    assert virgin["airline"] == "Virgin America"
    assert (virgin["scheduled_departure"], virgin["scheduled_arrival"]) == ("07:30", "10:45")
    assert virgin["arrival_delay_that_day"] == -29


def test_route_share_leaves_the_day_out(service: Service, oracle: Oracle) -> None:
    day = date(2013, 2, 9)
    others = [flight for flight in oracle.routes["JFK", "LAX"] if flight.day != day]
    statistic = service.recommend("JFK", "LAX", key_date(day)).json()["statistic"]
    share = (sum(flight.on_time for flight in others) + 1) / (len(others) + 2)
    assert statistic["route_observations"] == len(others)
    assert statistic["route_punctuality"] == pytest.approx(share, rel=1e-12)


def test_cancelled_that_day_is_null_and_still_ranked(service: Service) -> None:
    flights = service.recommend("JFK", "LAX", "09-02-2013").json()["flights"]
    cancelled = [flight for flight in flights if flight["arrival_delay_that_day"] is None]
    assert cancelled
    assert all(flight["observations"] > 0 for flight in cancelled)


def test_lower_case_and_iso_date_are_accepted(service: Service) -> None:
    plain = service.recommend("EWR", "SFO", "06-06-2013").json()
    other = service.recommend("ewr", "sfo", "2013-06-06").json()
    assert other["flights"] == plain["flights"]
    assert other["date"] == "06-06-2013"


def test_date_without_flights_offers_the_nearest(service: Service, oracle: Oracle) -> None:
    answer = service.recommend("EWR", "ANC", "06-01-2013")
    assert answer.status == 404
    asked = date(2013, 1, 6)
    nearest = sorted(oracle.days("EWR", "ANC"), key=lambda day: abs(day - asked))[:6]
    assert answer.json()["nearest_dates"] == [key_date(day) for day in sorted(nearest)]
    assert "EWR to ANC on 06-01-2013" in answer.json()["error"]
    for offered in answer.json()["nearest_dates"]:
        assert service.recommend("EWR", "ANC", offered).status == 200


def test_date_of_another_year_offers_the_nearest(service: Service) -> None:
    answer = service.recommend("EWR", "SFO", "29-02-2016")
    assert answer.status == 404
    assert answer.json()["nearest_dates"][-1] == "31-12-2013"


def test_route_that_is_not_flown_offers_destinations(service: Service, oracle: Oracle) -> None:
    answer = service.recommend("LGA", "SFO", "06-06-2013")
    assert answer.status == 404
    assert answer.json()["destinations"] == sorted(dest for origin, dest in oracle.routes if origin == "LGA")


def test_airport_without_flights_offers_origins(service: Service) -> None:
    answer = service.recommend("SFO", "EWR", "06-06-2013")
    assert answer.status == 404
    assert answer.json()["origins"] == ["EWR", "JFK", "LGA"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"from": ""}, "from"),
        ({"to": ""}, "to"),
        ({"date": ""}, "date"),
        ({"from": "*"}, "from"),
        ({"from": "EW?"}, "from"),
        ({"from": "[E]WR"}, "from"),
        ({"to": "SFO-*"}, "to"),
        ({"to": "Ⓢfo"}, "to"),
        ({"to": "SFO\n"}, "to"),
        ({"date": "*"}, "date"),
        ({"date": "31-06-2013"}, "date"),
        ({"date": "6-6-2013"}, "date"),
        ({"date": "06/06/2013"}, "date"),
        ({"date": "00-00-0000"}, "date"),
        ({"date": "06-06-2013-UA1"}, "date"),
        ({"date": "٠٦-٠٦-٢٠١٣"}, "date"),
        ({"from": "E" * 10_000}, "from"),
        ({"from": "\0\0\0"}, "from"),
    ],
)
def test_bad_parameter_is_named_with_what_is_accepted(
    service: Service, changed: dict[str, str], named: str
) -> None:
    answer = service.get("recommend", **{"from": "EWR", "to": "SFO", "date": "06-06-2013", **changed})
    assert answer.status == 400
    body = answer.json()
    assert named in body["error"]
    assert set(body["accepted"]) == {"from", "to", "date"}
    assert len(body["error"]) < 300


def test_no_parameters_names_all_three(service: Service) -> None:
    answer = service.get("recommend")
    assert answer.status == 400
    assert answer.json()["error"] == "missing: from, to, date"


def test_threads_asking_at_once_get_their_own_answers(service: Service, oracle: Oracle) -> None:
    chance = random.Random(1)
    routes = chance.sample(sorted(oracle.routes), 12)
    questions = [(*route, date(2013, 1, 1) + timedelta(chance.randrange(365))) for route in routes * 12]

    def ask(question: tuple[str, str, date]) -> Answer:
        origin, dest, day = question
        return service.recommend(origin, dest, key_date(day))

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, questions))
    for (origin, dest, day), answer in zip(questions, answers, strict=True):
        if day in oracle.days(origin, dest):
            assert answer.status == 200
            check(answer.json()["flights"], oracle.ranking(origin, dest, day))
        else:
            assert answer.status == 404
