"""Start to exit of an interpreter that does nothing, of the runner beside the plain `python3` it embeds.

The commands take turns. Also: peak memory; the size of the runner without symbols, and what of that is not CPython;
and what importing the extension module costs a plain interpreter that finds it on PYTHONPATH.
"""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from kvbench import peers
from kvbench.measure import Metrics, Result
from kvbench.settings import Settings

PYTHON = "python3"
PEERS = (PYTHON, peers.OURS)

PEAK = "print(next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')))"
IMPORT = "import time; t = time.perf_counter(); import kv_storage; print(time.perf_counter() - t)"
# The interpreter's own variables would change what is measured.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


def run(peer: str, settings: Settings) -> Result:
    executable = settings.python if peer == PYTHON else settings.runner
    metrics = _start_up(executable, settings)
    if peer == peers.OURS:
        stripped = _stripped_size(executable)
        metrics["stripped_mb"] = stripped / 1e6
        metrics["added_mb"] = (stripped - _linked_python_size(executable, settings)) / 1e6
        folder = extension_folder(executable)
        if folder:
            metrics["import_ms"] = _import_ms(folder, settings)
    return Result(metrics, f"start and end of {Path(executable).name} -c pass")


def _start_up(executable: str, settings: Settings) -> Metrics:
    times: dict[str, list[float]] = {settings.python: [], executable: []}
    for _ in range(settings.starts + 1):
        for command in times:
            times[command].append(_milliseconds([command, "-c", "pass"]))
    (plain, ours) = (times[settings.python][1:], times[executable][1:])  # the first start reads from the disk
    return {
        "pass_ms": statistics.median(ours),
        "pass_least_ms": min(ours),
        "python_pass_ms": statistics.median(plain),
        "pass_x_python": statistics.median(ours) / statistics.median(plain),
        "peak_mb": _peak_mb(executable),
        "peak_x_python": _peak_mb(executable) / _peak_mb(settings.python),
    }


def _milliseconds(command: list[str]) -> float:
    start = time.perf_counter()
    _, status = os.waitpid(os.posix_spawn(command[0], command, CLEAN), 0)
    elapsed = time.perf_counter() - start
    if status:
        raise RuntimeError(f"{command} ended with status {status}")
    return elapsed * 1e3


def _output(command: list[str], environment: dict[str, str] = CLEAN) -> str:
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def _peak_mb(executable: str) -> float:
    return int(_output([executable, "-c", PEAK])) * 1024 / 1e6


def _stripped_size(executable: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "runner"
        shutil.copy(executable, copy)
        subprocess.run(["strip", copy], check=True)
        return copy.stat().st_size


def _linked_python_size(executable: str, settings: Settings) -> int:
    """What of the runner is CPython: as much as a `python3` that has the same static libpython, else nothing."""
    if "libpython" in _output(["ldd", executable]):
        return 0
    return _stripped_size(os.path.realpath(settings.python))


def extension_folder(runner: str) -> str | None:
    """The folder beside the runner's that holds the extension module for plain `python3`, if it was built."""
    module = next(Path(runner).parent.parent.glob("*/kv_storage/__init__*.so"), None)
    return str(module.parent.parent) if module else None


def _import_ms(folder: str, settings: Settings) -> float:
    environment = CLEAN | {"PYTHONPATH": folder}
    return statistics.median(
        float(_output([settings.python, "-c", IMPORT], environment)) * 1e3 for _ in range(settings.starts)
    )
