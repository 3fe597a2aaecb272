"""Stores with files, by name. Each adapter is a module of its own and imports its package only when it is opened."""

import importlib

from kvbench.durable.base import DurableStore

_ADAPTERS = {
    "append": "append_file:AppendFile",
    "kv_storage": "kv_storage_path:KvStoragePath",
    "lmdb": "lmdb_file:LmdbFile",
    "leveldb": "leveldb_files:LevelDBFiles",
    "rocksdb": "rocksdb_files:RocksDBFiles",
    "sqlite": "sqlite_file:SqliteFile",
    "redis": "redis_aof:RedisAof",
}


def make(name: str) -> DurableStore:
    module, _, adapter = _ADAPTERS[name].partition(":")
    store = getattr(importlib.import_module(f"kvbench.durable.{module}"), adapter)()
    assert isinstance(store, DurableStore)
    return store
