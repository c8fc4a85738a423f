"""Free loopback ports for servers whose port must be known before they start."""

import socket
from typing import Final

from libs.core.rng import Rng

# Below the range that systems give to outgoing connections: a client that keeps redialling a dead server could
# otherwise be given the very port as its own, connect to itself, and so keep the server from coming back.
_FIRST: Final = 16_000
_COUNT: Final = 16_000
_ATTEMPTS: Final = 100


def free_loopback_ports(count: int, rng: Rng) -> list[int]:
    """`count` different ports of 127.0.0.1 on which nothing listens now. OSError if there are not so many."""
    held: list[socket.socket] = []
    try:
        for _ in range(count * _ATTEMPTS):
            if len(held) == count:
                break
            probe = socket.socket()
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", _FIRST + rng.randrange(_COUNT)))
            except OSError:
                probe.close()
                continue
            held.append(probe)
        if len(held) < count:
            raise OSError("no free loopback port found")
        return [probe.getsockname()[1] for probe in held]
    finally:
        for probe in held:
            probe.close()
