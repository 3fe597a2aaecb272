"""The examples in the documentation of the API run as they stand."""

from __future__ import annotations

import pathlib
import re

import pytest

DOCS = pathlib.Path(__file__).parents[2] / "docs"
PAGES = [
    "api.md",
    "arrow.md",
    "cache.md",
    "durability.md",
    "expiry.md",
    "list.md",
    "map_and_set.md",
    "memory_and_views.md",
    "processes.md",
    "python_memory.md",
    "tools.md",
]


def examples(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize(
    ("page", "number"), [(page, i) for page in PAGES for i in range(len(examples(page)))]
)
def test_examples_run(page: str, number: int) -> None:
    exec(compile(examples(page)[number], f"{page} example {number}", "exec"), {})
