"""What scripts/reload_demo.py reloads: one counter in Python, one in the store."""

from kv_storage import Storage

kv = Storage()
counters: dict[str, int] = {}


def count() -> tuple[int, int]:
    """Increment both counters and return them."""
    counters["calls"] = counters.get("calls", 0) + 1
    return counters["calls"], kv.incr("calls")
