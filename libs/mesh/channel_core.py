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
from libs.mesh.breaker import Breaker, Outcome, State, classify
from libs.mesh.budget import BudgetStatistics, RetryBudget
from libs.mesh.connectivity import States, aggregate, wait_for_any_change
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
        self._resolved = False
        self._changed = asyncio.Event()
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
        self._resolved = True
        self._changed.set()
        self._changed = asyncio.Event()
        self._count_states()
        return removed

    def close(self) -> tuple[Endpoint, ...]:
        """Have no endpoints any more and refuse calls; answers with the endpoints that are to be closed."""
        self.closed = True
        return self.apply(())

    def check_usable(self) -> None:
        """Raise `grpc.aio.UsageError` if no call can be made: the channel is closed, or nobody resolves its target."""
        if self.closed:
            raise grpc.aio.UsageError("Channel is closed.")
        if not self.following:
            raise grpc.aio.UsageError(
                f"{self.target} is resolved in the background: use `async with` on the channel, or give it tasks"
            )

    async def wait_for_endpoints(self, wait_for_ready: bool) -> bool:
        """Wait for the first resolution, and with `wait_for_ready` until an endpoint is connected.

        The caller has a deadline. Answers whether there are endpoints.
        """
        while not self._resolved:
            await self._changed.wait()
        while wait_for_ready and not self.closed:
            states = self.states(try_to_connect=True)
            if aggregate(states) is grpc.ChannelConnectivity.READY:
                break
            await self.wait_for_change(states)
        return bool(self.endpoints)

    def states(self, try_to_connect: bool) -> States:
        """How every endpoint is connected."""
        return {endpoint: endpoint.channel.get_state(try_to_connect) for endpoint in self.endpoints}

    async def wait_for_change(self, states: States) -> None:
        """Wait until the set of endpoints changes, or the connectivity of one of them from what `states` says."""
        await wait_for_any_change(states, self._changed)

    def pick_ready(self, avoid: Collection[Endpoint]) -> Endpoint | None:
        """As `pick`, but only among endpoints that are connected: for calls that wait for ready."""
        for _ in self.endpoints:
            endpoint = self.pick(avoid)
            if endpoint is None or endpoint.connect() is grpc.ChannelConnectivity.READY:
                return endpoint
            self.discard(endpoint)
            avoid = (*avoid, endpoint)
        return None

    def discard(self, endpoint: Endpoint) -> None:
        """A picked endpoint is not called after all: if the call was to be its probe, another one may be."""
        self._balancer.record(endpoint, Outcome.NEUTRAL, self.clock.monotonic())

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
