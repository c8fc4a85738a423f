"""SIGINT and SIGTERM: the first one is a request, the second one an order."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_first_signal(act: Callable[[], object]) -> Iterator[None]:
    """Inside the block, call `act` on the running loop at the first signal; the second one ends the process at once."""
    loop = asyncio.get_running_loop()

    def received() -> None:
        forget()
        act()

    def forget() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, received)
    try:
        yield
    finally:
        forget()
