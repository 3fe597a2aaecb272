"""The other endpoints, and what the service says to requests it does not serve."""

from __future__ import annotations

import http.client
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlsplit

import pytest

from .support import Oracle, Service


def test_health(service: Service) -> None:
    assert service.get("health").json() == {"status": "ok", "flights": 336_776}


def test_introduction_says_rows_memory_recommendation_and_address(service: Service, oracle: Oracle) -> None:
    best = service.recommend("EWR", "SFO", "06-06-2013").json()["flights"][0]
    assert service.introduction.startswith("336,776 flights on 224 routes")
    assert " MB" in service.introduction
    assert f"take {best['flight']} at {best['scheduled_departure']}" in service.introduction
    assert service.introduction.endswith(f"Listening on {service.url}\n")


def test_key_of_the_configuration_is_unique(service: Service, oracle: Oracle) -> None:
    keys = list(oracle.keys())
    assert len(set(keys)) == len(keys) == service.get("health").json()["flights"]


def test_flight_has_all_columns(service: Service) -> None:
    answer = service.get("flight/EWR-IAH-01-01-2013-UA1545")
    assert answer.status == 200
    assert answer.json() == {
        "key": "EWR-IAH-01-01-2013-UA1545",
        "year": 2013,
        "month": 1,
        "day": 1,
        "dep_time": 517.0,
        "sched_dep_time": 515,
        "dep_delay": 2.0,
        "arr_time": 830.0,
        "sched_arr_time": 819,
        "arr_delay": 11.0,
        "carrier": "UA",
        "flight": 1545,
        "tailnum": "N14228",
        "origin": "EWR",
        "dest": "IAH",
        "air_time": 227.0,
        "distance": 1400,
        "hour": 5,
        "minute": 15,
        "time_hour": "2013-01-01T10:00:00",
    }


def test_missing_values_of_a_flight_are_null(service: Service) -> None:
    record = service.get("flight/LGA-CLE-30-09-2013-MQ3572").json()
    missing = {name for name, value in record.items() if value is None}
    assert missing == {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"}


@pytest.mark.parametrize(
    "key",
    [
        "EWR-IAH-01-01-2013-UA9999",
        "EWR-IAH-*",
        "nothing",
        "a/b",
        "..%2Fmain.py",
        "x" * 5_000,
        quote("✈"),
        "%ff%00",
    ],
)
def test_unknown_flight_is_not_found(service: Service, key: str) -> None:
    answer = service.get(f"flight/{key}")
    assert answer.status == 404
    assert "no flight" in answer.json()["error"]


def test_every_key_of_a_ranking_leads_to_its_flight(service: Service) -> None:
    for flight in service.recommend("JFK", "BOS", "06-06-2013").json()["flights"]:
        record = service.get(f"flight/{flight['key']}").json()
        assert f"{record['carrier']}{record['flight']}" == flight["flight"]


def test_routes_are_those_of_the_data(service: Service, oracle: Oracle) -> None:
    catalog = service.get("routes").json()
    found = {(route["from"], route["to"]): route["flights"] for route in catalog["routes"]}
    assert found == {route: len(flights) for route, flights in oracle.routes.items()}
    assert (catalog["first_date"], catalog["last_date"]) == ("2013-01-01", "2013-12-31")
    assert catalog["airports"]["LGA"] == "La Guardia"
    assert catalog["airports"]["BQN"] == "BQN"
    assert set(catalog["airports"]) == {code for route in oracle.routes for code in route}


def test_stats_counts_every_answer_of_many_threads(service: Service) -> None:
    def counted() -> tuple[int, int, int]:
        counters = service.get("stats").json()["service"]
        responses = counters["responses"]
        return counters["recommendations"], responses["/recommend 200"], responses.get("/recommend 400", 0)

    service.recommend("EWR", "SFO", "06-06-2013")
    recommendations, accepted, refused = counted()
    days = ["06-06-2013", "not a date"] * 50
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda day: service.recommend("EWR", "SFO", day), days))
    assert counted() == (recommendations + 50, accepted + 50, refused + 50)


def test_stats_has_the_store(service: Service) -> None:
    stats = service.get("stats").json()
    assert stats["store"]["collections"]["flights"] == {"kind": "records", "keys": 336_776}
    assert stats["store"]["committed_bytes"] > 336_776 * 56
    assert stats["service"]["uptime_seconds"] > 0


def test_an_answer_is_computed_once_and_then_comes_from_the_cache(service: Service) -> None:
    def counted() -> tuple[int, int]:
        answers = service.get("stats").json()["answers"]
        assert answers["bytes"] <= answers["capacity"] == 16_000_000
        return answers["misses"], answers["hits"]

    misses, hits = counted()
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: service.recommend("LGA", "ATL", "27-11-2013").json(), range(20)))
    assert counted() == (misses + 1, hits + 19)
    for answer in answers:
        assert answer.pop("milliseconds") > 0
        assert answer == answers[0]
    for _ in range(2):
        refusal = service.recommend("LGA", "ANC", "27-11-2013")
        assert (refusal.status, counted()[0]) == (404, misses + 2)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "nothing", 404), ("POST", "recommend", 405), ("GET", "page.py", 404)],
)
def test_unknown_endpoint_says_what_there_is(service: Service, method: str, path: str, status: int) -> None:
    answer = service.get(path, method=method)
    assert answer.status == status
    assert "/recommend?from=EWR&to=SFO&date=06-06-2013" in answer.json()["accepted"]


def test_head_answers_without_body(service: Service) -> None:
    answer = service.get("health", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")


def test_page_forbids_all_foreign_resources(service: Service) -> None:
    answer = service.get("")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_malformed_http_is_refused_and_service_stays(service: Service) -> None:
    connection = http.client.HTTPConnection(urlsplit(service.url).netloc)
    connection.connect()
    assert connection.sock is not None
    connection.sock.sendall(b"NONSENSE\r\n\r\n")
    assert connection.sock.recv(100).startswith(b"HTTP/1.1 400")
    connection.close()
    assert service.get("health").status == 200
