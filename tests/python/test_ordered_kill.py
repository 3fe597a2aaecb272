"""SIGKILL at any instruction of a writer leaves Maps and Sets consistent."""

from __future__ import annotations

import os
import random
import signal

from kv_storage import Storage

from .conftest import TEST_MEMORY

ROUNDS = 60


def write_forever(kv: Storage, seed: int, progress: int) -> None:
    draw = random.Random(seed)
    numbers, texts, members = kv.map("numbers"), kv.map("texts"), kv.set("members")
    while True:
        key = draw.randrange(3000)
        if draw.random() < 0.6:
            numbers[key] = key
            texts["a" * (key % 300) + str(key)] = key
            members.add(key)
        else:
            numbers.delete(key)
            texts.delete("a" * (key % 300) + str(key))
            members.discard(key)
        if draw.random() < 0.01 and numbers:
            numbers.popfirst()
            members ^= range(key, key + 20)
        os.write(progress, b".")


def test_a_killed_writer_leaves_counts_that_agree() -> None:
    kv = Storage.memory(max_memory=TEST_MEMORY, parts=2)
    draw = random.Random(1)
    for seed in range(ROUNDS):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                write_forever(kv, seed, writer)
            finally:
                os._exit(1)
        os.close(writer)
        steps = draw.randrange(1, 400)  # then, wherever it has come to since
        while steps > 0:
            got = len(os.read(reader, steps))
            assert got, "the writer ended by itself"
            steps -= got
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        if seed % 10 == 9:
            assert kv.verify() == []
        for collection in (kv.map("numbers"), kv.map("texts"), kv.set("members")):
            keys = list(collection)
            assert keys == sorted(keys)
            assert len(collection) == len(keys)
            for place in range(0, len(keys), 50):
                assert collection.select(place) == keys[place]
                assert collection.rank(keys[place]) == place
    assert kv.verify() == []
    kv.close()
