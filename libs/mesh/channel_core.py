"""What the calls of one channel share: endpoints, budget, metadata, counters. No gRPC API, no tasks."""

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import grpc

from libs.core.clock import Clock
from libs.core.rng import Rng
from libs.mesh.balancer import Balancer, BalancerStatistics, SaturatedError
from libs.mesh.breaker import Breaker, Outcome, State, classify
from libs.mesh.budget import BudgetStatistics, RetryBudget
from libs.mesh.connectivity import States, aggregate, wait_for_any_change
from libs.mesh.endpoint import Dial, Endpoint, EndpointParts, EndpointStatistics
from libs.mesh.limit import make_limiter
from libs.mesh.load.slow_start import SlowStart
from libs.mesh.observer import CallObserver, SilentObserver
from libs.mesh.options import MeshOptions
from libs.mesh.outgoing import CallMetadata, OutgoingMetadata
from libs.mesh.outliers import OutlierDetector, OutlierRecord
from libs.mesh.picker.policies import make_policy
from libs.mesh.resolver.base import ResolvedEndpoint
from libs.mesh.retry import RetryDecider
from libs.mesh.status import CODES, overloaded
from libs.mesh.throttle import ClientThrottle, ThrottleStatistics, was_accepted

_DROPPED: Final = frozenset({grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED})
"""What an endpoint answers that could not take an attempt on."""


@dataclass(frozen=True, slots=True)
class MeshStatistics:
    """A snapshot of a channel."""

    target: str
    policy: str
    calls: int
    """Calls made since the channel was."""
    retries: int
    """Attempts beyond a call's first."""
    shed: int
    """Attempts that were not sent, because every endpoint was at its limit or the channel throttled itself."""
    balancer: BalancerStatistics
    budget: BudgetStatistics
    throttle: ThrottleStatistics | None
    endpoints: tuple[EndpointStatistics, ...]


class ChannelCore:
    """The state behind a channel's calls."""

    def __init__(
        self, target: str, options: MeshOptions, observer: CallObserver, clock: Clock, rng: Rng, dial: Dial
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
        self.shed = 0
        self.closed = False
        self.following = False
        """Whether someone tells `apply` about the endpoints."""
        self._resolved = False
        self._changed = asyncio.Event()
        self._throttle: Final = None if options.throttle is None else ClientThrottle(options.throttle, clock, rng)
        self.keyed: Final = options.effective_policy == "ring_hash"
        """Whether `affinity` matters."""
        self.watched: Final = type(observer) is not SilentObserver
        """Whether the observer wants to hear of every call and attempt."""
        policy = make_policy(options.effective_policy, options.policies, clock, rng)

        def new_endpoint(resolved: ResolvedEndpoint) -> Endpoint:
            limiter = None if options.limit is None else make_limiter(options.limit)
            slow_start = None if options.slow_start is None else SlowStart(options.slow_start, rng)
            breaker = Breaker(options.breaker, clock, rng)
            parts = EndpointParts(breaker, policy.new_load(), OutlierRecord(), limiter, slow_start)
            return Endpoint(resolved, parts, dial)

        self._balancer: Final = Balancer[Endpoint](
            new_endpoint, policy, OutlierDetector(options.outliers, clock, rng), options.panic_threshold, clock, self
        )
        guarded = options.limit is not None or options.throttle is not None
        self.pick: Final = self._pick_guarded if guarded else self._balancer.pick
        """The endpoint for the next attempt, None if there is none; see `Balancer.pick`. With a limit or a throttle it
        raises grpc.aio.AioRpcError (RESOURCE_EXHAUSTED, with RetryInfo) where nothing is to be sent."""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The current set."""
        return self._balancer.endpoints

    def apply(self, resolved: Collection[ResolvedEndpoint]) -> tuple[Endpoint, ...]:
        """Make these the endpoints; answers with those that were removed and are to be retired."""
        self.following = True
        removed = self._balancer.apply(resolved)
        if any(endpoint.outlier.ejected for endpoint in removed):
            self.ejections_changed()
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

    # Attempts.

    def affinity(self, metadata: CallMetadata | None) -> str:
        """What the calls with this metadata have in common, empty unless the policy asks for it."""
        if not metadata:
            return ""
        header = self.options.affinity_header
        for name, value in metadata:
            if name == header:
                return value if isinstance(value, str) else value.decode("latin-1")
        return ""

    def _pick_guarded(self, avoid: Collection[Endpoint] = (), key: str = "") -> Endpoint | None:
        if self._throttle is not None and not self._throttle.admit():
            self.shed += 1
            self.observer.shed()
            raise overloaded("most calls of late were refused", self.options.shed_retry_after)
        try:
            return self._balancer.pick(avoid, key)
        except SaturatedError:
            self.shed += 1
            self.observer.shed()
        raise overloaded("every endpoint is at its limit", self.options.shed_retry_after)

    def pick_ready(self, avoid: Collection[Endpoint], key: str = "") -> Endpoint | None:
        """As `pick`, but only among endpoints that are connected: for calls that wait for ready."""
        seen = tuple(avoid)
        for _ in self.endpoints:
            endpoint = self.pick(seen, key)
            if endpoint is None or endpoint.connect() is grpc.ChannelConnectivity.READY:
                return endpoint
            self.discard(endpoint)
            seen = (*seen, endpoint)
        # The caller would rather wait than fail: whoever is there will do, left alone or tried before.
        ready = [one for one in self.endpoints if one.connect() is grpc.ChannelConnectivity.READY]
        return next((one for one in ready if one not in avoid), ready[0] if ready else None)

    def discard(self, endpoint: Endpoint) -> None:
        """A picked endpoint is not called after all: if the call was to be its probe, another one may be."""
        self._balancer.record(endpoint, Outcome.NEUTRAL, self.clock.monotonic())

    def started(self, endpoint: Endpoint, method: str) -> None:
        """An attempt of `method` at `endpoint` was sent."""
        endpoint.begin()
        if self.watched:
            self.observer.attempt_started(method)

    def observed(self, endpoint: Endpoint, seconds: float, now: float) -> None:
        """The first response of a stream from `endpoint` came after `seconds`."""
        endpoint.load.observe(seconds, Outcome.SUCCESS, now)
        if endpoint.breaker.state is not State.CLOSED:
            # The stream may be the probe, and last for hours.
            self._balancer.record(endpoint, Outcome.SUCCESS, now - seconds)

    def finished(
        self, endpoint: Endpoint, code: grpc.StatusCode, started: float, timeout: float, sampled: bool = False
    ) -> float:
        """An attempt at `endpoint` ended; answers with the present instant.

        Args:
            endpoint: where.
            code: how.
            started: when it was sent, on the clock's monotonic scale.
            timeout: seconds it was given.
            sampled: whether `observed` was told its latency already; then only a failure says more.
        """
        now = self.clock.monotonic()
        if code is grpc.StatusCode.OK:
            outcome, felt = Outcome.SUCCESS, Outcome.SUCCESS
        else:
            outcome = classify(CODES[code], timeout, self.options.breaker)
            # Shedding is quick and keeps little in flight: unpunished, an overloaded endpoint would look the best.
            felt = Outcome.FAILURE if code is grpc.StatusCode.RESOURCE_EXHAUSTED else outcome
        if not sampled or felt is Outcome.FAILURE:
            # How long a stream went on before it broke is no latency.
            endpoint.load.observe(0.0 if sampled else now - started, felt, now)
        if endpoint.limiter is not None and outcome is not Outcome.NEUTRAL and (not sampled or code in _DROPPED):
            endpoint.limiter.observe(now - started, endpoint.in_flight, code in _DROPPED, now)
        if self._throttle is not None and outcome is not Outcome.NEUTRAL:
            self._throttle.record(was_accepted(CODES[code]))
        endpoint.end(outcome, failed=code is not grpc.StatusCode.OK)
        self._balancer.record(endpoint, outcome, started)
        return now

    def statistics(self) -> MeshStatistics:
        """A snapshot of the counts."""
        now = self.clock.monotonic()
        return MeshStatistics(
            self.target,
            self.options.effective_policy,
            self.calls,
            self.retried,
            self.shed,
            self._balancer.statistics(),
            self.budget.statistics(),
            None if self._throttle is None else self._throttle.statistics(),
            tuple(endpoint.statistics(now) for endpoint in self.endpoints),
        )

    # What the balancer tells.

    def breaker_changed(self, endpoint: Endpoint, old: State, new: State) -> None:
        """Pass on that an endpoint's breaker changed."""
        self.observer.breaker_changed(endpoint.address, old, new)
        self._count_states()

    def ejections_changed(self) -> None:
        """Pass on who is ejected now."""
        ejected = [endpoint.address for endpoint in self.endpoints if endpoint.outlier.ejected]
        self.observer.ejections_changed(ejected)

    def _count_states(self) -> None:
        self.observer.endpoints_changed(Counter(endpoint.breaker.state for endpoint in self.endpoints))
