"""Hit ratios of cache policies on three traces: the table of docs/decisions/cache-policy.md.

    .venv/bin/python benchmarks/cache_policy/simulate.py

Compiles cache_sim.cpp beside it with c++ (or $CXX), makes the traces with NumPy and prints a table in Markdown. Each
trace has five million requests for keys out of a million, popular as Zipf's law with exponent 0.99 says; the cache
holds 100,000 entries of equal size.

zipf    nothing else
scan    after every 200,000 requests 50,000 keys that never come again
shift   every 500,000 requests half of the keys swap their popularity
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

REQUESTS = 5_000_000
KEYS = REQUESTS // 5
CAPACITY = KEYS // 10
SEED = 99

Trace = npt.NDArray[np.uint32]


def zipf(random: np.random.Generator) -> Trace:
    cumulative = np.cumsum(1.0 / np.arange(1, KEYS + 1) ** 0.99)
    ranks = np.searchsorted(cumulative / cumulative[-1], random.random(REQUESTS))
    return random.permutation(KEYS)[ranks].astype("u4")


def scan(random: np.random.Generator) -> Trace:
    trace = zipf(random)
    period = REQUESTS // 20
    once = np.arange(KEYS, KEYS + REQUESTS // 5, dtype="u4").reshape(20, -1)
    asked = [trace[i * period : i * period + period * 4 // 5] for i in range(20)]
    return np.concatenate([piece for pair in zip(asked, once, strict=True) for piece in pair])


def shift(random: np.random.Generator) -> Trace:
    trace = zipf(random)
    shifted = trace.copy()
    period = REQUESTS // 10
    for i in range(1, 10):
        dealt = random.permutation(KEYS).astype("u4")
        keeps = random.random(KEYS) < 0.5
        dealt = np.where(keeps, np.arange(KEYS, dtype="u4"), dealt)
        shifted[i * period : (i + 1) * period] = dealt[trace[i * period : (i + 1) * period]]
    return shifted


def simulate(simulator: Path, trace: Path) -> dict[str, float]:
    lines = subprocess.run(
        [simulator, trace, str(CAPACITY)], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return {name: float(ratio) for name, ratio in (line.split() for line in lines)}


def main() -> None:
    traces = {"zipf": zipf, "scan": scan, "shift": shift}
    with tempfile.TemporaryDirectory() as folder:
        simulator = Path(folder, "cache_sim")
        source = Path(__file__).with_name("cache_sim.cpp")
        compiler = os.environ.get("CXX", "c++")
        subprocess.run([compiler, "-O2", "-std=c++20", "-o", simulator, source], check=True)
        ratios: dict[str, dict[str, float]] = {}
        for name, make in traces.items():
            file = Path(folder, name)
            make(np.random.default_rng(SEED)).tofile(file)
            ratios[name] = simulate(simulator, file)
            print(f"{name}: done", file=sys.stderr)
    print(f"| policy | {' | '.join(traces)} |")
    print(f"|---|{'---|' * len(traces)}")
    for policy in ratios["zipf"]:
        print(f"| {policy} | {' | '.join(f'{ratios[name][policy]:.4f}' for name in traces)} |")


if __name__ == "__main__":
    main()
