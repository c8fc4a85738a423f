"""`dns:///host:port`: one endpoint per address record, looked up again and again.

C-core looks a name up again only when a connection breaks, so it never sees added pods; this resolver does.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from libs.core.clock import Clock
from libs.core.rng import Rng
from libs.mesh.resolver.base import ResolvedEndpoint, ResolvedSet
from libs.mesh.target import Address

_JITTER: Final = 0.2

Lookup = Callable[[str], Awaitable[Iterable[str]]]
"""Host name to IP literals; raises OSError if that fails."""


@dataclass(frozen=True, slots=True)
class DnsStatistics:
    """A snapshot of a resolver."""

    lookups: int
    failures: int
    last_error: str
    """The latest failure, empty if the latest look-up succeeded."""


async def system_lookup(host: str) -> list[str]:
    """Ask the operating system, without blocking the event loop."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for _, _, _, _, sockaddr in found]


class DnsResolver:
    """Looks a name up periodically; a failed look-up keeps the last good set.

    A name with addresses of both families is used over IPv4 alone: the pods of a dual-stack cluster would
    otherwise be counted twice.
    """

    def __init__(
        self,
        address: Address,
        refresh: float,
        clock: Clock,
        rng: Rng,
        failed: Callable[[str], None],
        lookup: Lookup = system_lookup,
    ) -> None:
        """Make a resolver; nothing is looked up before `updates` is iterated.

        Args:
            address: the name and the port that every endpoint has.
            refresh: seconds between look-ups, jittered by a fifth so that a fleet does not ask in step.
            clock: what sleeps between look-ups.
            rng: the source of the jitter.
            failed: told of every failed look-up.
            lookup: who is asked.
        """
        self._address: Final = address
        self._refresh: Final = refresh
        self._clock: Final = clock
        self._rng: Final = rng
        self._failed: Final = failed
        self._lookup: Final = lookup
        self._lookups = 0
        self._failures = 0
        self._last_error = ""

    @property
    def authority(self) -> str:
        """The name itself: certificates are about it, not about an address."""
        return str(self._address)

    def known(self) -> None:
        """Nothing is known without asking."""
        return

    async def updates(self) -> AsyncIterator[ResolvedSet]:
        """Every set that differs from the one before; an empty one if the first look-up fails."""
        current: ResolvedSet | None = None
        while True:
            found = await self._resolve()
            if found is None and current is None:
                found = ()
            if found is not None and found != current:
                current = found
                yield current
            await self._clock.sleep(self._refresh * self._rng.uniform(1 - _JITTER, 1 + _JITTER))

    def statistics(self) -> DnsStatistics:
        """A snapshot of the counts."""
        return DnsStatistics(self._lookups, self._failures, self._last_error)

    async def _resolve(self) -> ResolvedSet | None:
        self._lookups += 1
        try:
            literals = set(await self._lookup(self._address.host))
        except (OSError, UnicodeError) as error:  # UnicodeError: a label too long for IDNA
            self._failures += 1
            self._last_error = str(error)
            self._failed(self._last_error)
            return None
        self._last_error = ""
        preferred = [literal for literal in literals if ":" not in literal] or literals
        addresses = (str(Address(literal, self._address.port)) for literal in preferred)
        return tuple(ResolvedEndpoint(address) for address in sorted(addresses))

    def __repr__(self) -> str:
        trouble = f", failing: {self._last_error}" if self._last_error else ""
        return f"<DnsResolver {self._address}, {self._lookups} lookups{trouble}>"
