"""Redis on a private unix socket: a server of its own, with one round trip for each call."""

import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from kvbench.peers.base import Store, batches, scratch_folder
from kvbench.third_party import third_party

START_SECONDS = 30


class RedisServer:
    """A redis-server that listens on a unix socket in `folder`, where its files go as well."""

    def __init__(self, folder: str, *options: str) -> None:
        self._socket = f"{folder}/redis.sock"
        self._process = subprocess.Popen(
            [
                "redis-server",
                "--port",
                "0",
                "--unixsocket",
                self._socket,
                "--dir",
                folder,
                "--save",
                "",
                *options,
            ],
            stdout=subprocess.DEVNULL,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def connect(self) -> Any:
        """A client, once the server answers: while it loads its files it does not."""
        redis = third_party("redis")
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                client = redis.Redis(unix_socket_path=self._socket)
                client.ping()
                return client
            except redis.ConnectionError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


class Redis(Store):
    """A redis-server of its own, redis-py with hiredis, unix socket, persistence off."""

    single_calls = 20_000

    def open(self, folder: str) -> None:
        self._folder = scratch_folder(folder)
        self._server = RedisServer(self._folder.name, "--appendonly", "no")
        self.server_process = self._server.pid
        try:
            self._client: Any = self._server.connect()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._server.stop()
        self._folder.cleanup()

    def put(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        put = self._client.set
        for key, value in zip(keys, values, strict=True):
            put(key, value)

    def get(self, keys: Sequence[str]) -> None:
        get = self._client.get
        for key in keys:
            get(key)

    def put_many(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        for some_keys, some_values in zip(batches(keys), batches(values), strict=True):
            self._client.mset(dict(zip(some_keys, some_values, strict=True)))

    def get_many(self, keys: Sequence[str]) -> None:
        for batch in batches(keys):
            self._client.mget(batch)

    def value(self, key: str) -> bytes:
        return bytes(self._client.get(key))

    def prefix_keys(self, prefix: str) -> list[bytes]:
        return list(self._client.scan_iter(prefix + "*", count=10_000))

    def prefix_items(self, prefix: str) -> list[tuple[bytes, bytes]]:
        keys = self._client.keys(prefix + "*")
        return list(zip(keys, self._client.mget(keys), strict=True))

    def reader(self) -> Callable[[Sequence[str]], None]:
        self._client = self._server.connect()  # a connection of its own
        return self.get

    def writer(self) -> Callable[[Sequence[str], Sequence[bytes]], None] | None:
        self._client = self._server.connect()
        return self.put

    def put_array(self, key: str, array: Any) -> None:
        self._client.set(key, array.tobytes())

    def end_of_puts(self) -> None:
        self._frombuffer = third_party("numpy").frombuffer

    def get_array(self, key: str) -> Any:
        return self._frombuffer(self._client.get(key))

    def end_of_gets(self) -> None:
        pass
