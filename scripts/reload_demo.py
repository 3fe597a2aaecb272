"""Reloading code keeps the data: `runner scripts/reload_demo.py`.

A module's own dictionary is made anew by `importlib.reload`; what it keeps in the store is there before,
during and after, also when `kv_storage` itself is imported again.
"""

import importlib
import sys

import reloaded_module


def show(when: str) -> None:
    """Count once more, in the module's dictionary and in the store."""
    in_module, in_store = reloaded_module.count()
    print(f"{when:<40} dict: {in_module}  store: {in_store}")


show("first import")
show("called again")
importlib.reload(reloaded_module)
show("the module reloaded")
del sys.modules["kv_storage"]
importlib.reload(reloaded_module)
show("kv_storage forgotten and imported again")
