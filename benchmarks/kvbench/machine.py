"""The machine and the versions a result was taken with."""

import importlib.metadata
import os
import platform
import subprocess

PACKAGES = [
    *("numpy", "lmdb", "redis", "hiredis", "BTrees", "sortedcontainers", "plyvel"),
    *("pandas", "polars", "pyarrow", "duckdb"),
]


def machine() -> dict[str, str | int]:
    return {
        "cpu": _first("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(int(_first("/proc/meminfo", "MemTotal").split()[0]) / (1 << 20)),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit(folder: str) -> str:
    """The revision measured, with a mark if files were changed since; empty outside a checkout."""
    try:
        command = ["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _first(path: str, field: str) -> str:
    with open(path) as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == field:
                return value.strip()
    return ""
