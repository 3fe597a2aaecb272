"""What the store holds, as lines for people and as values for JSON."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kv_storage import Storage

_UNITS = ("B", "kB", "MB", "GB", "TB")


def size_text(count: float) -> str:
    """Bytes as people read them."""
    unit = 0
    while count >= 1000 and unit + 1 < len(_UNITS):
        count /= 1000
        unit += 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 else f"{count:.1f} {_UNITS[unit]}"


def info(kv: Storage, *, memory: bool) -> dict[str, Any]:
    """Everything about the store, as JSON has it."""
    stats: dict[str, Any] = dict(kv.stats(memory=memory))
    by_collection = stats.pop("memory", {})
    collections = {"": {"kind": "hash", "keys": stats["keys"]}, **stats["collections"]}
    for name, figures in collections.items():
        if name in by_collection:
            figures["bytes"] = sum(by_collection[name])
            figures["bytes_by_part"] = by_collection[name]
    stats["collections"] = collections
    return stats


def info_lines(report: dict[str, Any]) -> Iterator[str]:
    """The same as lines."""
    yield f"store      {report['path'] or 'in memory only'}"
    used, committed, most = (
        size_text(report[name]) for name in ("used_bytes", "committed_bytes", "max_memory")
    )
    yield f"memory     {used} used, {committed} taken, at most {most}; views keep {size_text(report['pinned_bytes'])}"
    yield f"writes     {report['transactions']}; {report['recoveries']} undone for killed processes"
    for pid, process in report["processes"].items():
        yield f"process    {pid}, its views keep {size_text(process['pinned_bytes'])}"
    parts = report["parts"]
    yield ""
    counted = any("bytes" in figures for figures in report["collections"].values())
    part_names = [f"part {i}" for i in range(len(parts))] if counted and len(parts) > 1 else []
    rows = [["collection", "kind", "keys", *(["memory"] if counted else []), *part_names]]
    for name, figures in report["collections"].items():
        row = [repr(name) if name else "(root)", figures["kind"], str(figures["keys"])]
        if counted:
            by_part = figures.get("bytes_by_part", [0] * len(parts))
            row += [size_text(sum(by_part)), *(size_text(count) for count in by_part)][: 1 + len(part_names)]
        rows.append(row)
    yield from table(rows)
    if part_names:
        yield ""
        yield from table(
            [["part", "used", "taken", "writes"]]
            + [
                [
                    str(i),
                    size_text(part["used_bytes"]),
                    size_text(part["committed_bytes"]),
                    str(part["transactions"]),
                ]
                for i, part in enumerate(parts)
            ]
        )


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Aligned columns, the first two to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def json_value(value: Any) -> Any:
    """A stored value as JSON has it: for reading, not for loading again.

    bytes are {"base64": ...}, arrays nested lists, records objects; dates, Decimal and UUID their text.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # JSON has no infinities and no NaN
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if hasattr(value, "asdict"):
        value = value.asdict()
    if isinstance(value, dict):
        return {json_key(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if hasattr(value, "tolist"):
        return json_value(value.tolist())
    return str(value)


def json_key(key: Any) -> Any:
    """A key: those of a Map may be bytes or dates."""
    return json_value(key) if not isinstance(key, str) else key.encode("utf-8", "replace").decode()


def entry_lines(entries: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """A line for each entry, as Python literals: key, tab, value."""
    for entry in entries:
        yield "\t".join(map(repr, entry))
