"""Look into the store of a running service, from beside it: `runner scripts/peek.py /app/data ['user:*']`.

Any process of the same user may do this: it joins the live memory of the service, copies nothing, asks nobody, and
leaves when it ends. The service does not notice.
"""

from __future__ import annotations

import sys

from kv_storage import Storage, StoreBusyError


def main(path: str, pattern: str = "*") -> None:
    """Print what the store holds, and who holds it."""
    with Storage(path) as kv:
        stats = kv.stats()
        print(f"{stats['path']}: {stats['keys']} keys, {stats['committed_bytes'] / 1e6:.1f} MB")
        for pid, process in stats["processes"].items():
            print(f"  process {pid}: {process['pinned_bytes']} bytes pinned")
        for name, kind in kv.collections().items():
            print(f"  {kind} {name!r}: {stats['collections'][name]['keys']} keys")
        for key, value in kv.find(pattern)[:10].items():
            print(f"  {key!r}: {value!r:.100}")


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        raise SystemExit("usage: runner scripts/peek.py DIRECTORY [PATTERN]")
    try:
        main(*sys.argv[1:])
    except StoreBusyError as error:
        raise SystemExit(f"peek: {error}") from error
