"""What /recommend is asked: parsing the parameters, and saying what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from kv_storage import Key

ACCEPTED = {
    "from": "an airport code of three letters, e.g. EWR",
    "to": "an airport code of three letters, e.g. SFO",
    "date": "DD-MM-YYYY (or YYYY-MM-DD), e.g. 06-06-2013",
}
DATE_FORMATS = {r"\d\d-\d\d-\d{4}": "%d-%m-%Y", r"\d{4}-\d\d-\d\d": "%Y-%m-%d"}


class RequestError(Exception):
    """A refusal: the status, a message for people, and details that programs can use."""

    def __init__(self, status: int, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.details = details


@dataclass(frozen=True)
class Query:
    """A route and a day."""

    origin: str
    dest: str
    day: date

    @property
    def key_date(self) -> str:
        """The date as keys have it."""
        return Key(self.day)


def parse_query(parameters: Mapping[str, str]) -> Query:
    """Read the three parameters.

    Raises:
        RequestError: 400, naming the first that is missing or wrong, and what is accepted.
    """
    missing = [name for name in ACCEPTED if not parameters.get(name)]
    if missing:
        raise RequestError(400, f"missing: {', '.join(missing)}", accepted=ACCEPTED)
    return Query(
        origin=_airport("from", parameters["from"]),
        dest=_airport("to", parameters["to"]),
        day=_day(parameters["date"]),
    )


def _airport(name: str, text: str) -> str:
    if not re.fullmatch("[A-Za-z]{3}", text, re.ASCII):
        raise _refusal(name, text)
    return text.upper()


def _day(text: str) -> date:
    for pattern, date_format in DATE_FORMATS.items():
        if re.fullmatch(pattern, text, re.ASCII):
            try:
                return datetime.strptime(text, date_format).date()
            except ValueError:
                break
    raise _refusal("date", text)


def _refusal(name: str, text: str) -> RequestError:
    return RequestError(400, f"{name}={text[:40]!r} is not {ACCEPTED[name]}", accepted=ACCEPTED)
