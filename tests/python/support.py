"""Helpers shared by the tests."""

from __future__ import annotations

import datetime
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

# Of a ttl, in seconds: over as soon as one asks again, and never during a test.
SHORT = 0.001
LONG = 3600.0
NO_TTLS: list[Any] = [
    0,
    -1,
    -0.0,
    0.0,
    math.nan,
    math.inf,
    -math.inf,
    1e12,
    10**400,
    True,
    False,
    "5",
    b"5",
    [1],
    1j,
    datetime.timedelta(1),
]
PATIENCE_SECONDS = 60

EVERY_COLUMN_TYPE = {
    "flag": "bool",
    "small": "i1",
    "count": "u4",
    "number": "i8",
    "ratio": "f4",
    "exact": "f8",
    "day": "date",
    "moment": "datetime",
    "tag": "bytes[5]",
    "carrier": "category",
}


def until(condition: Callable[[], bool]) -> None:
    """Ask until it is true, for a minute at most."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it never came true"
        os.sched_yield()


def gives_up_the_gil(call: Callable[[], object], attempts: int = 1000) -> bool:
    """Whether another thread gets to run during `call`, which is repeated until one does.

    No thread is made to give way here: others run only when one gives up the GIL by itself.
    """
    ticks = 0
    stop = False

    def tick() -> None:
        nonlocal ticks
        while not stop:
            ticks += 1
            time.sleep(0)

    thread = threading.Thread(target=tick)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        thread.start()
        for _ in range(attempts):
            before = ticks
            call()
            if ticks > before:
                return True
        return False
    finally:
        stop = True
        sys.setswitchinterval(interval)
        thread.join()
