"""Session tokens with a sliding expiry: `runner scripts/sessions.py`.

A session lives until nobody has used it for a while. The store forgets it by itself, for every worker at the same
time: no background thread, no sweep.
"""

from __future__ import annotations

import secrets
from typing import Any

from kv_storage import Storage

IDLE_SECONDS = 30 * 60.0


class Sessions:
    """Sessions under random tokens, each absent after `idle_seconds` without use."""

    def __init__(self, kv: Storage, idle_seconds: float = IDLE_SECONDS) -> None:
        self._sessions = kv.hash("sessions")
        self._idle_seconds = idle_seconds

    def open(self, user: str) -> str:
        """Start a session and return its token."""
        token = secrets.token_urlsafe(16)
        self._sessions.put(token, {"user": user}, ttl=self._idle_seconds)
        return token

    def use(self, token: str) -> Any:
        """What the session holds, which begins its time anew; None if there is no such session (any more)."""
        if not self._sessions.expire(token, self._idle_seconds):
            return None
        return self._sessions.get(token)

    def close(self, token: str) -> bool:
        """End a session; whether it was there."""
        return self._sessions.delete(token)

    def __len__(self) -> int:
        """How many sessions live now."""
        return len(self._sessions)


def main() -> None:
    """Show a session used, one closed, and one that was not used for too long."""
    kv = Storage()
    sessions = Sessions(kv)
    ada, bob = sessions.open("Ada"), sessions.open("Bob")
    print("Ada's session:", sessions.use(ada), "of", len(sessions))
    print("Bob logs out:", sessions.close(bob), "leaves", len(sessions))

    hasty = Sessions(kv, idle_seconds=0.001)
    token = hasty.open("Eve")
    while kv.hash("sessions").get(token) is not None:  # looking is not using
        pass
    print("Eve was idle:", hasty.use(token), "leaves", len(hasty))


if __name__ == "__main__":
    main()
