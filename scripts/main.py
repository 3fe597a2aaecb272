"""A flight recommendation service over HTTP, on every flight that left New York City in 2013.

    python3 scripts/fetch_flights.py
    runner --native_configuration=configs/flights.ini scripts/main.py

With worker processes over one copy of the flights:

    runner --native_configuration=configs/flights_workers.ini scripts/main.py

The runner has loaded the flights before this script starts; the script only looks at them. Open the address
it prints, or ask /recommend?from=EWR&to=SFO&date=06-06-2013. docs/example_flights.md explains how it works.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date
from typing import Any
from urllib.parse import urlencode

from flights import LOADED_WITHIN, serving
from flights.catalog import Catalog, NoFlightsError
from flights.recommendation import recommend
from flights.web import FlightService
from kv_storage import Key, Storage

FIRST_ORIGIN, FIRST_DEST, FIRST_DAY = "EWR", "SFO", date(2013, 6, 6)


def parse_arguments() -> argparse.Namespace:
    """What stands after the script's name."""
    parser = argparse.ArgumentParser(description="Recommend flights by how punctual they have been.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8000, help="0 = any free port (default: %(default)s)")
    parser.add_argument("--once", action="store_true", help="ask itself once over HTTP and end")
    return parser.parse_args()


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"{port} is not between 0 and 65535")
    return port


def introduce(kv: Storage, catalog: Catalog) -> None:
    """Say what was loaded, and give a first recommendation."""
    flights, routes = len(catalog.flights), len(catalog.routes)
    megabytes = kv.stats()["committed_bytes"] / 1e6
    print(f"{flights:,} flights on {routes} routes in the store: {megabytes:.1f} MB")
    print(f"loaded {LOADED_WITHIN:.2f} s after the process was started")
    found = recommend(catalog, FIRST_ORIGIN, FIRST_DEST, FIRST_DAY)
    if found is not None:
        best = found.flights[0]
        print(
            f"{FIRST_ORIGIN} to {FIRST_DEST} on {Key(FIRST_DAY)}: take {best.flight} "
            f"at {best.scheduled_departure}, {best.punctuality:.1%} punctual "
            f"(best of {len(found.flights)}, found in {found.milliseconds:.2f} ms)"
        )


def print_answer(answer: dict[str, Any]) -> None:
    """The answer of /recommend as a table."""
    print(f"\n{answer['from']['name']} to {answer['to']['name']}, {answer['date']}")
    for flight in answer["flights"]:
        print(
            f"{flight['rank']:>4}. {flight['flight']:<7} {flight['scheduled_departure']}"
            f"  {flight['punctuality']:6.1%}  on time {flight['on_time']} of {flight['observations']} days"
            f"  {flight['airline']}"
        )
    print(answer["statistic"]["definition"])


def main() -> int:
    """Serve until told to stop; the exit code is 1 if that could not begin."""
    arguments = parse_arguments()
    serving.exit_on_signals()
    kv = Storage()
    try:
        service = FlightService(kv)
        listener = serving.inherited() or serving.listen(arguments.host, arguments.port)
    except NoFlightsError as error:
        print(f"main.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"main.py: cannot listen on {arguments.host}, port {arguments.port}: {error.strerror or error}\n"
            "Choose another with --host and --port (0 takes any free port).",
            file=sys.stderr,
        )
        return 1
    with listener:
        introduce(kv, service.catalog)
        print(f"Listening on {serving.url_of(listener)}", flush=True)
        if not arguments.once:
            serving.serve(service.application(), listener)
            return 0
        question = urlencode({"from": FIRST_ORIGIN, "to": FIRST_DEST, "date": Key(FIRST_DAY)})
        try:
            answer = serving.ask_once(service.application(), listener, f"recommend?{question}")
        except OSError as error:
            print(f"main.py: the service did not answer: {error}", file=sys.stderr)
            return 1
    print_answer(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
