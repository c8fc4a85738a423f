"""What the calls of one channel share: endpoints, budget, metadata, counters. No gRPC API, no tasks."""

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import grpc

from libs.core.clock import Clock
from libs.core.rng import Rng
from libs.mesh.balancer import Balancer, BalancerStatistics
from libs.mesh.breaker import Breaker, State, classify
from libs.mesh.budget import BudgetStatistics, RetryBudget
from libs.mesh.endpoint import Endpoint, EndpointStatistics, dialer
from libs.mesh.observer import CallObserver
from libs.mesh.options import MeshOptions
from libs.mesh.outgoing import OutgoingMetadata
from libs.mesh.picker.round_robin import RoundRobin
from libs.mesh.retry import RetryDecider
from libs.mesh.status import CODES


@dataclass(frozen=True, slots=True)
class MeshStatistics:
    """A snapshot of a channel."""

    target: str
    calls: int
    """Calls made since the channel was."""
    retries: int
    """Attempts beyond a call's first."""
    balancer: BalancerStatistics
    budget: BudgetStatistics
    endpoints: tuple[EndpointStatistics, ...]


class ChannelCore:
    """The state behind a channel's calls."""

    def __init__(
        self, target: str, options: MeshOptions, observer: CallObserver, clock: Clock, rng: Rng, authority: str
    ) -> None:
        self.target: Final = target
        self.options: Final = options
        self.observer: Final = observer
        self.clock: Final = clock
        self.outgoing: Final = OutgoingMetadata(options.token_source)
        self.budget: Final = RetryBudget(options.budget, clock)
        self.retries: Final = RetryDecider(self.budget, rng)
        self.calls = 0
        self.retried = 0
        self.closed = False
        self.following = False
        """Whether someone tells `apply` about the endpoints."""
        self._resolved: Final = asyncio.Event()
        self._populated: Final = asyncio.Event()
        dial = dialer(options, authority)
        self._balancer: Final = Balancer[Endpoint](
            lambda address: Endpoint(address, Breaker(options.breaker, clock, rng), dial),
            RoundRobin(rng),
            clock,
            self._breaker_changed,
        )
        self.pick: Final = self._balancer.pick

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The current set."""
        return self._balancer.endpoints

    def apply(self, addresses: Collection[str]) -> tuple[Endpoint, ...]:
        """Make these the endpoints; answers with those that were removed and are to be retired."""
        self.following = True
        removed = self._balancer.apply(addresses)
        self._resolved.set()
        if addresses:
            self._populated.set()
        else:
            self._populated.clear()
        self._count_states()
        return removed

    def close(self) -> tuple[Endpoint, ...]:
        """Have no endpoints any more and refuse calls; answers with the endpoints that are to be closed."""
        self.closed = True
        removed = self.apply(())
        # Whoever waits for endpoints waits in vain.
        self._populated.set()
        return removed

    def check_usable(self) -> None:
        """Raise `grpc.aio.UsageError` if no call can be made: the channel is closed, or nobody resolves its target."""
        if self.closed:
            raise grpc.aio.UsageError("Channel is closed.")
        if not self.following:
            raise grpc.aio.UsageError(f"{self.target} is resolved in the background: use `async with` on the channel")

    async def wait_for_endpoints(self, wait_for_ready: bool) -> bool:
        """Wait for the first resolution, and with `wait_for_ready` for a set that is not empty.

        The caller has a deadline. Answers whether there are endpoints.
        """
        await self._resolved.wait()
        if wait_for_ready:
            await self._populated.wait()
        return bool(self.endpoints)

    def pick_connected(self, avoid: Collection[Endpoint]) -> Endpoint | None:
        """As `pick`, but passes over endpoints that are known not to be reachable: for calls that wait for ready."""
        endpoint = self.pick(avoid)
        for _ in range(len(self.endpoints)):
            if endpoint is None or endpoint.connect() is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                return endpoint
            endpoint = self.pick((*avoid, endpoint))
        return endpoint

    def finished(self, endpoint: Endpoint, code: grpc.StatusCode, started: float, timeout: float) -> None:
        """An attempt at `endpoint`, given `timeout` seconds at `started`, ended with `code`."""
        endpoint.end(failed=code is not grpc.StatusCode.OK)
        self._balancer.record(endpoint, classify(CODES[code], timeout, self.options.breaker), started)

    def statistics(self) -> MeshStatistics:
        """A snapshot of the counts."""
        return MeshStatistics(
            self.target,
            self.calls,
            self.retried,
            self._balancer.statistics(),
            self.budget.statistics(),
            tuple(endpoint.statistics() for endpoint in self.endpoints),
        )

    def _breaker_changed(self, endpoint: Endpoint, old: State, new: State) -> None:
        self.observer.breaker_changed(endpoint.address, old, new)
        self._count_states()

    def _count_states(self) -> None:
        self.observer.endpoints_changed(Counter(endpoint.breaker.state for endpoint in self.endpoints))
