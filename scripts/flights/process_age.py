"""How old this process is: what had to happen before the script began, loading the data above all."""

from __future__ import annotations

import os
import time
from pathlib import Path


def process_age() -> float:
    """Seconds since the process was started, to a hundredth."""
    # The name in parentheses may hold anything; the start, in ticks since boot, is the 20th field after it.
    fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
