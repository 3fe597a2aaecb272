"""The HTTP interface of the flight service: JSON for programs, one page for people.

Every handler answers from the store in a few milliseconds at most, so it runs on the event loop itself: no
thread has to be woken, and none waits. The counters live in the store too, where all processes that share it
count together, and so do answers that were given before.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

from kv_storage import Key, Storage
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from flights.catalog import Catalog
from flights.query import Query, RequestError, parse_query
from flights.recommendation import ON_TIME_MINUTES, PRIOR_FLIGHTS, STATISTIC, recommend

ANSWERS_BYTES = "16MB"
PAGE = Path(__file__).parent / "page"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

Handler = Callable[[Request], Response]


class JsonResponse(Response):
    """JSON as the standard has it: what is missing is null, be it None or NaN; dates are text."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Called by Response."""
        return json.dumps(_plain(content), ensure_ascii=False, allow_nan=False).encode()


class FlightService:
    """The handlers, over one store."""

    def __init__(self, kv: Storage) -> None:
        self.catalog = Catalog(kv)
        self._kv = kv
        self._counters = kv.hash("service")
        self._answers = kv.cache("answers", capacity=ANSWERS_BYTES)
        self._started = time.monotonic()

    def application(self) -> Starlette:
        """The ASGI application."""
        files = [Route(path, self._counted(path, _page_file(name))) for path, name in PAGE_FILES.items()]
        endpoints: dict[str, Handler] = {
            "/recommend": self.recommend,
            "/flight/{key:path}": self.flight,
            "/routes": self.routes,
            "/stats": self.stats,
            "/health": self.health,
        }
        routes = [Route(path, self._counted(path, handler)) for path, handler in endpoints.items()]
        handlers = {HTTPException: self.no_such_endpoint}
        return Starlette(routes=files + routes, exception_handlers=handlers)

    def recommend(self, request: Request) -> Response:
        """The flights of a route and day, most punctual first."""
        started = time.perf_counter()
        query = parse_query(request.query_params)
        # One process computes an answer, all that share the store give it; None says that there is no flight.
        key = Key(query.origin, query.dest, query.day)
        answer = self._answers.get_or_compute(key, lambda: self._answer(query))
        if answer is None:
            raise self._no_flights(query)
        seconds = time.perf_counter() - started
        self._counters.incr("recommendations")
        self._counters.incr("recommendation microseconds", round(seconds * 1e6))
        return JsonResponse(answer | {"milliseconds": seconds * 1e3})

    def _answer(self, query: Query) -> dict[str, Any] | None:
        """What /recommend says, in types that the cache takes."""
        found = recommend(self.catalog, query.origin, query.dest, query.day)
        if found is None:
            return None
        return {
            "from": vars(self.catalog.place(query.origin)),
            "to": vars(self.catalog.place(query.dest)),
            "date": str(query.key_date),
            "statistic": {
                "definition": STATISTIC,
                "on_time_minutes": ON_TIME_MINUTES,
                "prior_flights": PRIOR_FLIGHTS,
                "route_punctuality": found.route_punctuality,
                "route_observations": found.route_observations,
            },
            "flights": [{"rank": rank, **vars(flight)} for rank, flight in enumerate(found.flights, 1)],
        }

    def flight(self, request: Request) -> Response:
        """One flight on one day, with all its columns."""
        key = request.path_params["key"]
        record = self.catalog.flights.get(key)
        if record is None:
            raise RequestError(
                404, f"there is no flight {key!r}", accepted="a key as in the answers of /recommend"
            )
        return JsonResponse({"key": key, **record.asdict()})

    def routes(self, request: Request) -> Response:
        """What can be asked: routes and dates, with the airports' names."""
        catalog = self.catalog
        airports = sorted({code for route in catalog.routes for code in (route.origin, route.dest)})
        return JsonResponse(
            {
                "first_date": catalog.first_day.isoformat(),
                "last_date": catalog.last_day.isoformat(),
                "airports": {code: catalog.place(code).name for code in airports},
                "routes": [
                    {"from": route.origin, "to": route.dest, "flights": route.flights}
                    for route in catalog.routes
                ],
            }
        )

    def stats(self, request: Request) -> Response:
        """What the service has done, and how full the store is."""
        counters = dict(self._counters.items())
        count = counters.pop("recommendations", 0)
        microseconds = counters.pop("recommendation microseconds", 0)
        service = {
            "uptime_seconds": time.monotonic() - self._started,
            "recommendations": count,
            "mean_recommendation_milliseconds": microseconds / count / 1e3 if count else None,
            "responses": counters,
        }
        return JsonResponse({"service": service, "answers": self._answers.stats(), "store": self._kv.stats()})

    def health(self, request: Request) -> Response:
        """Answers as long as the service does."""
        return JsonResponse({"status": "ok", "flights": len(self.catalog.flights)})

    def no_such_endpoint(self, request: Request, error: Exception) -> Response:
        """What Starlette itself refuses: unknown paths and methods."""
        assert isinstance(error, HTTPException)
        self._counters.incr(f"(other) {error.status_code}")
        body = {
            "error": f"{request.method} {request.url.path}: {error.detail.lower()}",
            "accepted": "GET / /recommend?from=EWR&to=SFO&date=06-06-2013 /flight/KEY /routes /stats /health",
        }
        return JsonResponse(body, error.status_code, error.headers)

    def _no_flights(self, query: Query) -> RequestError:
        """Why a query found nothing, with what would: other dates, destinations or origins."""
        catalog = self.catalog
        nearest = catalog.nearest_days(query.origin, query.dest, query.day)
        if nearest:
            message = f"no flight from {query.origin} to {query.dest} on {query.key_date}"
            return RequestError(404, message, nearest_dates=[Key(day) for day in nearest])
        destinations = catalog.destinations(query.origin)
        if destinations:
            message = f"no flight ever went from {query.origin} to {query.dest}"
            return RequestError(404, message, destinations=destinations)
        return RequestError(404, f"no flight ever left from {query.origin}", origins=catalog.origins())

    def _counted(self, path: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Turn refusals into answers, and count what was answered."""

        async def answer(request: Request) -> Response:
            try:
                response = handler(request)
            except RequestError as error:
                response = JsonResponse({"error": str(error), **error.details}, error.status)
            self._counters.incr(f"{path} {response.status_code}")
            return response

        return answer


PAGE_FILES = {"/": "page.html", "/page.css": "page.css", "/page.js": "page.js"}


def _page_file(name: str) -> Handler:
    return lambda request: FileResponse(PAGE / name, headers=PAGE_HEADERS)


def _plain(value: Any) -> Any:
    """The value with only what JSON knows in it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return value
