"""What a run measures and how much of it; handed to every worker process as one JSON argument."""

import dataclasses
import json
import tempfile
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes of the full run; `quick()` gives those of the smoke test."""

    runner: str  # executable that runs the peer kv_storage
    python: str  # the plain interpreter that start-up is compared with
    work: str = str(Path(tempfile.gettempdir()) / "kv-storage-bench")  # generated input, kept between runs
    shm: str = "/dev/shm"  # scratch files of peers that keep theirs in memory
    entries: int = 1_000_000
    gc_entries: int = 10_000_000  # of the peer kv_storage; the others hold `entries`
    unrelated_lists: int = 2_000_000  # made while the garbage collector is watched
    csv_rows: int = 5_000_000
    query_seconds: float = 1.5  # how long a rate is measured
    starts: int = 40  # how often each command is started
    large_arrays: int = 64
    small_arrays: int = 1_000
    array_rounds: int = 5

    def quick(self) -> "Settings":
        """Sizes that prove every program still works; their figures mean nothing."""
        return dataclasses.replace(
            self,
            entries=20_000,
            gc_entries=20_000,
            unrelated_lists=100_000,
            csv_rows=20_000,
            query_seconds=0.1,
            starts=3,
            large_arrays=4,
            small_arrays=100,
            array_rounds=2,
        )

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        return cls(**json.loads(text))
