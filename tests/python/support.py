"""Helpers shared by the tests."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable


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
