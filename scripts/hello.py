"""A first look at the store: `runner scripts/hello.py`."""

from datetime import date

import numpy as np
from kv_storage import Key, Storage

kv = Storage()
for number in range(1_000):
    kv[Key("hash", date(2018, 6, 1 + number % 30), number)] = {"number": number, "even": number % 2 == 0}
kv["weights"] = np.linspace(0, 1, 1_000_000)

print(kv["hash-06-06-2018-5"])
print(len(kv.find("hash-*-06-2018-*")), "keys of June,", len(kv.find("hash-06-06-2018-*")), "of the sixth")
print(f"mean weight {kv['weights'].mean():.3f} over an array that was not copied")
print("visits", kv.incr("visits"))
