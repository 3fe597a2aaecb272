"""What the kernel says about the memory of a process."""

import ctypes
import dataclasses
import gc
import subprocess
from pathlib import Path
from types import TracebackType

# Polls a process until its own stdin is closed, then prints the largest anonymous + shared size seen. A
# process of its own, because native loaders hold the GIL; pages of mapped files are left out, as the kernel
# can drop them at any time.
_SAMPLER = """
import os, select, sys
def use():
    with open("/proc/" + sys.argv[1] + "/status") as status:
        return sum(int(l.split()[1]) for l in status if l.startswith(("RssAnon", "RssShmem")))
first = peak = use()
print("ready", flush=True)
while not select.select([0], [], [], 0.005)[0]:
    peak = max(peak, use())
print((max(peak, use()) - first) * 1024)
"""


@dataclasses.dataclass(frozen=True)
class MemoryUse:
    """Resident bytes of a process, without pages of mapped files."""

    anonymous: int
    shared: int  # memory files (tmpfs, memfd) that this process has touched

    @property
    def total(self) -> int:
        return self.anonymous + self.shared


def memory_use(process: int | str = "self") -> MemoryUse:
    fields = _fields(f"/proc/{process}/status")
    return MemoryUse(fields["RssAnon"], fields["RssShmem"])


def private_dirty(process: int | str = "self") -> int:
    """Bytes that this process alone holds: what one more worker costs."""
    return _fields(f"/proc/{process}/smaps_rollup")["Private_Dirty"]


def folder_bytes(folder: str) -> int:
    """Bytes that the files below a folder take, holes left out."""
    return sum(path.stat().st_blocks * 512 for path in Path(folder).rglob("*") if path.is_file())


def _fields(path: str) -> dict[str, int]:
    fields = {}
    with open(path) as lines:
        for line in lines:
            name, _, rest = line.partition(":")
            if rest.rstrip().endswith("kB"):
                fields[name] = int(rest.split()[0]) * 1024
    return fields


def give_back() -> None:
    """Collects garbage and returns the allocator's free pages, so that what is left is in use."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


class PeakMemory:
    """Largest growth of this process's anonymous and shared memory within a `with` block."""

    def __init__(self, python: str, process: int) -> None:
        self._command = [python, "-S", "-c", _SAMPLER, str(process)]
        self.bytes = 0

    def __enter__(self) -> "PeakMemory":
        self._sampler = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._sampler.stdout is not None
        self._sampler.stdout.readline()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        output, _ = self._sampler.communicate()
        self.bytes = int(output or 0)
