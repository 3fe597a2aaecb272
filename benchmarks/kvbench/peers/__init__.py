"""Peers by name. Each adapter is a module of its own and imports its package only when it is opened."""

import importlib

from kvbench.peers.base import Store

OURS = "kv_storage"

_ADAPTERS = {
    "dict": "builtin_dict:Dict",
    OURS: "kv_storage_store:KvStorage",
    "lmdb": "lmdb_store:Lmdb",
    "redis": "redis_server:Redis",
    "oobtree": "oobtree:OOBTree",
    "sortedcontainers": "sorted_dict:SortedDict",
    "leveldb": "leveldb:LevelDB",
}


def make(name: str) -> Store:
    module, _, adapter = _ADAPTERS[name].partition(":")
    store = getattr(importlib.import_module(f"kvbench.peers.{module}"), adapter)()
    assert isinstance(store, Store)
    return store
