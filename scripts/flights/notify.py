"""Tell whoever started this process how it is: READY=1 once it serves, as sd_notify(3) has it.

systemd and the runner's supervisor name the socket in NOTIFY_SOCKET; where there is none, nobody wants to know.
"""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """Send `state`, such as ``READY=1``; a supervisor that is gone is no reason to fail."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(state.encode(), address)
        except OSError:
            return
