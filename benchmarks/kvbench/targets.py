"""The project's performance targets, each a ratio within one run, and whether a run met them."""

import dataclasses
import operator

from kvbench.measure import less_is_better
from kvbench.peers import OURS
from kvbench.results import Results

ITSELF = "itself"  # the figure is compared as it is
DICT = "dict"  # the median of the ratios to dict in the same process
BEST = "best"  # the best of the peers other than dict
LIMIT = "append"  # what the machine allows, no peer


@dataclasses.dataclass(frozen=True)
class Target:
    """Ours against `base`: the ratio is above 1 where ours is better, whatever the metric."""

    title: str
    workload: str
    metric: str
    base: str  # ITSELF, DICT, BEST or a peer
    bound: float
    stretch: float | None = None

    @property
    def at_most(self) -> bool:
        return self.base == ITSELF and less_is_better(self.metric)

    def text(self) -> str:
        sign = "<=" if self.at_most else ">="
        unit = "" if self.base == ITSELF else f" x {self.base}"
        stretch = "" if self.stretch is None else f" ({self.stretch:g})"
        return f"{sign} {self.bound:g}{stretch}{unit}"


TARGETS = (
    Target("put, one by one", "kv", "put", DICT, 0.5, 0.6),
    Target("get, random hits", "kv", "get", DICT, 1.5, 1.7),
    Target("get, 1,000 hot keys, new key objects", "kv", "hot_get_fresh", DICT, 0.65),
    Target("get, 1,000 hot keys, hashed before", "kv", "hot_get_hashed", DICT, 0.4),
    Target("view, zero-copy (x dict's get)", "kv", "view", DICT, 1.2),
    Target("get_many by 1,000", "kv", "get_many", DICT, 4, 5),
    Target("put_many by 1,000", "kv", "put_many", DICT, 0.7, 0.9),
    Target("find by prefix, keys", "prefix", "keys_matches_per_s", "oobtree", 2.5, 3),
    Target("find by prefix, items", "prefix", "items_matches_per_s", "oobtree", 2.5),
    Target("ordered scan of all items", "prefix", "scan_items_per_s", "lmdb", 2),
    Target("glob, unmatched keys grown 100x: cost", "prefix", "glob_growth", ITSELF, 1.2),
    Target("bytes per entry above the payload", "memory", "overhead_bytes", ITSELF, 48, 40),
    Target("gc.collect() x with nothing resident", "gc", "collect_x_empty", ITSELF, 1.2),
    Target("longest GC pause x with nothing resident", "gc", "longest_pause_x_empty", ITSELF, 1.2),
    Target("CSV until it answers by key, rows/s", "csv", "rows_per_s", BEST, 2.5, 3),
    Target("CSV peak memory (of the fastest peer's)", "csv", "peak_mb", BEST, 1 / 0.6),
    Target("two reading processes", "cores", "two_x_dict", ITSELF, 3.5),
    Target("two reading processes x ours alone", "cores", "scaling", ITSELF, 1.95),
    Target("two readers beside a writer, rate kept", "cores", "beside_writer_share", ITSELF, 0.7),
    Target("MB made private to a reader", "cores", "private_mb", ITSELF, 1),
    Target("runner -c pass x python3", "start", "pass_x_python", ITSELF, 1.05),
    Target("peak memory of it x python3", "start", "peak_x_python", ITSELF, 1.3),
    Target("stripped runner beside CPython, MB", "start", "added_mb", ITSELF, 3),
    Target("import kv_storage in python3, ms", "start", "import_ms", ITSELF, 3),
    Target("1 MB arrays, put", "numpy", "large_put_gb_per_s", "lmdb", 1),
    Target("1 MB arrays, get, us", "numpy", "large_get_us", ITSELF, 2),
    Target("128 floats, put", "numpy", "small_puts_per_s", "lmdb", 2),
    Target("128 floats, get", "numpy", "small_gets_per_s", "lmdb", 2),
    Target("durable put, synced, x the device", "durable", "always_x_limit", ITSELF, 0.8),
    Target("two durable writers x one", "durable", "two_x_one", ITSELF, 1.4),
    Target("durable put, synced each second", "durable", "second_puts_per_s", BEST, 4),
    Target("reopen, all entries answerable", "durable", "reopen_ms", "lmdb", 1),
    Target("cache, a request under Zipf 0.99", "cache", "request", DICT, 0.5),
    Target("cache, hit ratio under Zipf 0.99", "cache", "hit_ratio", ITSELF, 0.79),
)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A target beside what was measured; None where the run had nothing to compare with."""

    title: str
    workload: str
    metric: str
    ours: float
    x_dict: float | None
    best_peer: str | None
    x_best: float | None
    target: str
    value: float
    met: bool


def verdicts(results: Results) -> list[Verdict]:
    """Every target that the run can judge."""
    found = (_judge(target, results) for target in TARGETS)
    return [verdict for verdict in found if verdict]


def _judge(target: Target, results: Results) -> Verdict | None:
    metric = f"{target.metric}_ns" if target.base == DICT else target.metric
    ours = results.median(target.workload, OURS, metric)
    if ours is None:
        return None
    x_dict = _x_dict(target, metric, results)
    best_peer = _best_peer(target.workload, metric, results)
    x_best = _ratio(target.workload, metric, best_peer, results)
    if target.base == BEST:
        value = x_best if metric != "peak_mb" else _ratio(target.workload, metric, _fastest(results), results)
    else:
        value = {ITSELF: ours, DICT: x_dict}.get(
            target.base, _ratio(target.workload, metric, target.base, results)
        )
    if value is None:
        return None
    compare = operator.le if target.at_most else operator.ge
    return Verdict(
        target.title, target.workload, metric, ours, x_dict, best_peer, x_best,
        target.text(), value, bool(compare(value, target.bound)),
    )  # fmt: skip


def _x_dict(target: Target, metric: str, results: Results) -> float | None:
    """The ratio within each process where the workload reports one, else the ratio of the medians."""
    within = results.median(target.workload, OURS, f"{target.metric}_x_dict")
    return within if within is not None else _ratio(target.workload, metric, DICT, results)


def _ratio(workload: str, metric: str, peer: str | None, results: Results) -> float | None:
    ours = results.median(workload, OURS, metric)
    theirs = results.median(workload, peer, metric) if peer else None
    if not ours or not theirs:
        return None
    return theirs / ours if less_is_better(metric) else ours / theirs


def _best_peer(workload: str, metric: str, results: Results) -> str | None:
    others = [peer for peer in results.peers(workload) if peer not in (OURS, DICT, LIMIT)]
    figures = {
        peer: figure for peer in others if (figure := results.median(workload, peer, metric)) is not None
    }
    if not figures:
        return None
    return (
        min(figures, key=figures.__getitem__)
        if less_is_better(metric)
        else max(figures, key=figures.__getitem__)
    )


def _fastest(results: Results) -> str | None:
    return _best_peer("csv", "rows_per_s", results)
