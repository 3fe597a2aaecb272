"""[kv_storage] cache: how large the cache `default` is, in the script, in its children and in workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .support import Outcome

Run = Callable[..., Outcome]

SCRIPT = """
import multiprocessing, os, subprocess, sys
from kv_storage import Cache, Storage

CHILD = "from kv_storage import Cache; c = Cache(); print(c.stats()['capacity'], c.get('from'), c.get('count'))"

def fill(worker):
    cache = Cache()
    cache.get_or_compute("count", lambda: worker)
    for number in range(2000):
        cache.put(f"{worker}-{number}", b"x" * 1000)

if __name__ == "__main__":
    cache = Cache()
    cache.put("from", "the script")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(fill, [7, 7], chunksize=1)
    cache.put("from", "the script")
    cache.get_or_compute("count", lambda: 7)
    stats = cache.stats()
    print(stats["capacity"], stats["bytes"] <= stats["capacity"], stats["evictions"] > 0, cache.name)
    print(Cache("other").stats()["capacity"] == min(256_000_000, Storage().stats()["max_memory"] // 2))
    sys.stdout.flush()
    subprocess.run([sys.executable, "-c", CHILD], check=True)
"""


def test_the_configured_capacity_bounds_the_cache_of_a_family_of_processes(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cfg.ini").write_text("[kv_storage]\ncache = 1MB\nparts = 2\nmax_memory = 64MB\n")
    (tmp_path / "main.py").write_text(SCRIPT)
    outcome = run("--native_configuration=cfg.ini", "main.py")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        "1000000 True True default",
        "True",
        "1000000 the script 7",
    ]


def test_without_a_configuration_it_is_256_mb(run: Run) -> None:
    outcome = run("-c", "from kv_storage import Cache; print(Cache().stats()['capacity'])")
    assert (outcome.code, outcome.out, outcome.err) == (0, "256000000\n", "")


@pytest.mark.parametrize("value", ["0", "4095", "-1", "much", "1e6"])
def test_a_capacity_that_makes_no_sense_is_refused_with_its_line(
    run: Run, tmp_path: Path, value: str
) -> None:
    (tmp_path / "cfg.ini").write_text(f"[kv_storage]\ncache = {value}\n")
    outcome = run("--native_configuration=cfg.ini", "-c", "print('never')")
    assert (outcome.code, outcome.out) == (78, "")
    assert "cfg.ini:2: [kv_storage] cache" in outcome.err
