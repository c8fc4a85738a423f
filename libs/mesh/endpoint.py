"""One address of a peer: the connection to it, its health, its load, and what is in flight."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import grpc

from libs.mesh.breaker import Breaker, BreakerStatistics, Outcome
from libs.mesh.limit.base import Limiter
from libs.mesh.load.base import Load
from libs.mesh.load.slow_start import SlowStart
from libs.mesh.outliers import OutlierRecord
from libs.mesh.resolver.base import ResolvedEndpoint

# An enum's member costs twice a global.
_SUCCESS: Final = Outcome.SUCCESS
# More than any endpoint costs that has its full share.
_NOT_YET: Final = 1e9
Dial = Callable[[str], grpc.aio.Channel]
"""Makes the channel to one address."""


@dataclass(frozen=True, slots=True)
class EndpointStatistics:
    """A snapshot of one endpoint."""

    address: str
    zone: str
    weight: float
    in_flight: int
    """Attempts that have not ended."""
    limit: int | None
    """How many may be in flight, None if nothing bounds them."""
    attempts: int
    """Attempts since the endpoint was made: how often it was picked."""
    failures: int
    """Attempts that ended with a code other than OK."""
    cost: float
    """What one more attempt would cost, as the policy measures it: attempts, or seconds times attempts."""
    breaker: BreakerStatistics
    ejected: bool
    """Whether it is left alone as an outlier."""
    ejections: int
    """How often it was."""


@dataclass(frozen=True, slots=True)
class EndpointParts:
    """The policies of one endpoint."""

    breaker: Breaker
    load: Load
    outlier: OutlierRecord
    limiter: Limiter | None
    slow_start: SlowStart | None


class Endpoint:
    """An address, its own channel (so that a failure has a culprit), its policies and what is in flight."""

    __slots__ = (
        "_channel",
        "_dial",
        "_idle",
        "_slow_start",
        "address",
        "attempts",
        "breaker",
        "failures",
        "in_flight",
        "limiter",
        "load",
        "outlier",
        "weight",
        "zone",
    )

    def __init__(self, resolved: ResolvedEndpoint, parts: EndpointParts, dial: Dial) -> None:
        self.address: Final = resolved.address
        self.zone = resolved.zone
        self.weight = resolved.weight
        self.breaker: Final = parts.breaker
        self.load: Final = parts.load
        self.outlier: Final = parts.outlier
        self.limiter: Final = parts.limiter
        self.in_flight = 0
        self.attempts = 0
        self.failures = 0
        self._slow_start: Final = parts.slow_start
        self._dial: Final = dial
        self._channel: grpc.aio.Channel | None = None
        self._idle: asyncio.Event | None = None

    # Health and load.

    @property
    def has_room(self) -> bool:
        """Whether one more attempt is within the limit."""
        return self.limiter is None or self.in_flight < self.limiter.limit

    def place(self, resolved: ResolvedEndpoint) -> None:
        """Take over what the resolver says now about the same address."""
        self.zone = resolved.zone
        self.weight = resolved.weight

    def cost(self, now: float) -> float:
        """What one more attempt would cost; out of reach in most picks while the endpoint starts slowly."""
        cost = self.load.cost(self.in_flight, now)
        return cost if self._slow_start is None or self._slow_start.admits(now) else cost * _NOT_YET + _NOT_YET

    def warm_up(self, now: float) -> None:
        """Begin afresh, slowly: the endpoint is new among others, or well again."""
        self.load.reset()
        if self._slow_start is not None:
            self._slow_start.begin(now)

    def begin(self) -> None:
        """An attempt starts."""
        self.in_flight += 1
        self.attempts += 1

    def end(self, outcome: Outcome, failed: bool) -> None:
        """An attempt ended, in whatever way.

        Args:
            outcome: what that says about the endpoint.
            failed: whether its code was another than OK.
        """
        self.in_flight -= 1
        if failed:
            self.failures += 1
        if outcome is _SUCCESS:
            self.outlier.success()
        elif outcome is Outcome.FAILURE:
            self.outlier.failure()
        if self._idle is not None and not self.in_flight:
            self._idle.set()

    # The connection.

    @property
    def channel(self) -> grpc.aio.Channel:
        """The connection, made when first needed: gRPC objects belong to the event loop and the process they run in."""
        if self._channel is None:
            self._channel = self._dial(self.address)
        return self._channel

    def connect(self) -> grpc.ChannelConnectivity:
        """Start connecting, if not done yet; answers with the present state."""
        return self.channel.get_state(try_to_connect=True)

    def hang_up(self) -> grpc.aio.Channel | None:
        """Have the next attempt dial anew; answers with the old connection, which still carries what is in flight."""
        channel, self._channel = self._channel, None
        return channel

    async def retire(self) -> None:
        """Close once the attempts in flight have ended; to be called when nothing new is sent here any more."""
        self._idle = asyncio.Event()
        if self.in_flight:
            # Bounded: every attempt has a deadline.
            await self._idle.wait()
        await self.close(None)

    async def close(self, grace: float | None) -> None:
        """Close the connection; attempts in flight have `grace` seconds to end."""
        if self._channel is not None:
            await self._channel.close(grace)

    def statistics(self, now: float) -> EndpointStatistics:
        """A snapshot of state and counts at `now`, on the clock's monotonic scale."""
        return EndpointStatistics(
            address=self.address,
            zone=self.zone,
            weight=self.weight,
            in_flight=self.in_flight,
            limit=None if self.limiter is None else self.limiter.limit,
            attempts=self.attempts,
            failures=self.failures,
            cost=self.load.cost(self.in_flight, now),
            breaker=self.breaker.statistics(),
            ejected=self.outlier.ejected,
            ejections=self.outlier.ejections,
        )

    def __repr__(self) -> str:
        ejected = ", ejected" if self.outlier.ejected else ""
        return f"<Endpoint {self.address} {self.breaker.state.name}{ejected}, {self.in_flight} in flight>"
