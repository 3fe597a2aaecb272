"""Fixtures: fresh private stores, and a cache of one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from kv_storage import Cache, Storage

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")

TEST_MEMORY = 256 * 1024 * 1024


@pytest.fixture
def kv() -> Iterator[Storage]:
    """A private store; at the end it must be sound."""
    storage = Storage.memory(max_memory=TEST_MEMORY)
    yield storage
    if not storage.closed:
        assert storage.verify() == []
        storage.close()


@pytest.fixture
def cache(kv: Storage) -> Cache:
    return kv.cache("c", capacity="1MB")


@pytest.fixture
def many_parts() -> Iterator[Storage]:
    """A private store whose hashes are split over several parts."""
    with Storage.memory(max_memory=TEST_MEMORY, parts=4) as storage:
        yield storage
        assert storage.verify() == []
