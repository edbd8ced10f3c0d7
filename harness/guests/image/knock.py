"""Connects to a loopback port again and again until it is ended, in the network of whoever runs QEMU: ``knock PORT``.

Whether the guest behind that port took the connection only QEMU can tell; this keeps one there to be told of.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time

_PAUSE_S = 0.2


def knock(port: int) -> None:
    """One connection, until it is closed. What the guest sends is of no interest."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as connection:
        while connection.recv(4096):
            pass


if __name__ == "__main__":
    while True:
        knock(int(sys.argv[1]))
        time.sleep(_PAUSE_S)
