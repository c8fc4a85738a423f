"""From sets of endpoints to the endpoint of the next attempt: who is healthy, who is due, the picker snapshot."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import inf
from typing import Final, Generic, Protocol, TypeVar

from libs.core.clock import Clock
from libs.mesh.breaker import Breaker, Outcome, State
from libs.mesh.outliers import OutlierDetector, OutlierRecord
from libs.mesh.picker.base import Candidate, Picker, Policy
from libs.mesh.resolver.base import ResolvedEndpoint


class Member(Candidate, Protocol):
    """What a balancer knows of an endpoint: nothing of its connection, so that it can be tested without one."""

    @property
    def breaker(self) -> Breaker:
        """Whether it may be called."""
        ...

    @property
    def outlier(self) -> OutlierRecord:
        """How it does beside the others."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether one more attempt is within its limit."""
        ...

    def place(self, resolved: ResolvedEndpoint) -> None:
        """Take over what the resolver says now about the same address."""
        ...

    def warm_up(self, now: float) -> None:
        """Begin afresh, with a slow start."""
        ...


# An enum's member costs twice a global, and every call passes here.
_CLOSED: Final = State.CLOSED
_NEUTRAL: Final = Outcome.NEUTRAL
# The share of healthy endpoints that ends a panic.
_CALM: Final = 0.5
# Or how long one of them has to be.
_CALM_SECONDS: Final = 10.0

E = TypeVar("E", bound=Member)
E_contra = TypeVar("E_contra", bound=Member, contravariant=True)


@dataclass(frozen=True, slots=True)
class BalancerStatistics:
    """A snapshot of a balancer."""

    endpoints: int
    healthy: int
    """Endpoints whose breaker is closed and that are not ejected."""
    panicking: bool
    """Whether calls go to all endpoints because too few are healthy."""


class SaturatedError(Exception):
    """Every endpoint that could be picked is at its limit."""


class Observer(Protocol[E_contra]):
    """Told when the health of an endpoint changes."""

    def breaker_changed(self, endpoint: E_contra, old: State, new: State) -> None:
        """Its breaker changed its state."""
        ...

    def ejections_changed(self) -> None:
        """Outliers were ejected or taken back."""
        ...


class Balancer(Generic[E]):
    """Owns the endpoints of one channel and picks among the healthy ones: breaker closed, not ejected.

    If fewer than `panic_threshold` of them are healthy, or none, it picks among all (Envoy's panic mode) until half of
    them are well, or one has been for ten seconds: a wrong verdict on everyone is likelier than the death of everyone,
    and a call that is not sent fails for certain. A call at a time probes an endpoint whose breaker has been open for
    long enough.

    Args:
        new_endpoint: makes the state of an endpoint seen for the first time.
        policy: how healthy endpoints share the calls.
        outliers: who is ejected.
        panic_threshold: in [0, 1].
        clock: tells when a probe or a sweep is due.
        observer: told of changes.
    """

    __slots__ = (
        "_calm_at",
        "_clock",
        "_due_at",
        "_endpoints",
        "_new_endpoint",
        "_observer",
        "_outliers",
        "_panic_threshold",
        "_panicking",
        "_picker",
        "_policy",
        "_probe_at",
    )

    def __init__(
        self,
        new_endpoint: Callable[[ResolvedEndpoint], E],
        policy: Policy,
        outliers: OutlierDetector,
        panic_threshold: float,
        clock: Clock,
        observer: Observer[E],
    ) -> None:
        self._new_endpoint: Final = new_endpoint
        self._policy: Final = policy
        self._outliers: Final = outliers
        self._panic_threshold: Final = panic_threshold
        self._clock: Final = clock
        self._observer: Final = observer
        self._endpoints: dict[str, E] = {}
        self._picker: Picker[E] | None = None
        self._panicking = False
        self._probe_at = inf
        self._calm_at = inf
        self._due_at = inf
        """The earliest instant at which `pick` has more to do than to pick."""

    @property
    def endpoints(self) -> tuple[E, ...]:
        """The current set, in no particular order."""
        return tuple(self._endpoints.values())

    def apply(self, resolved: Collection[ResolvedEndpoint]) -> tuple[E, ...]:
        """Make `resolved` the current set, keeping the endpoints that stay; answers with those that were removed."""
        wanted = {one.address: one for one in resolved}
        before = self._endpoints
        removed = tuple(endpoint for address, endpoint in before.items() if address not in wanted)
        joining = bool(before)
        self._endpoints = {}
        for address, one in wanted.items():
            endpoint = before.get(address)
            if endpoint is None:
                endpoint = self._new_endpoint(one)
                if joining:
                    # Among endpoints in use, one that has just started gets its share step by step.
                    endpoint.warm_up(self._clock.monotonic())
            else:
                endpoint.place(one)
            self._endpoints[address] = endpoint
        self._rebuild()
        return removed

    def pick(self, avoid: Collection[E] = (), key: str = "") -> E | None:
        """The endpoint for the next attempt, or None if there is none; its end must be told to `record`.

        Args:
            avoid: endpoints that already failed this call.
            key: for policies with affinity.

        Raises:
            SaturatedError: all that could be picked are at their limits.
        """
        if self._picker is None:
            return None
        now = self._clock.monotonic()
        if now >= self._due_at:
            probed = self._attend(now, bool(avoid))
            if probed is not None:
                return probed
        endpoint = self._picker.pick(avoid, key)
        return endpoint if endpoint.has_room else self._with_room(avoid)

    def record(self, endpoint: E, outcome: Outcome, started: float) -> None:
        """Tell how an attempt at `endpoint` that began at `started` (monotonic seconds) ended."""
        breaker = endpoint.breaker
        before = breaker.state
        if before is _CLOSED and outcome is _NEUTRAL:
            return
        breaker.record(outcome, started)
        if breaker.state is not before:
            self._turned(endpoint, before)
        elif before is not _CLOSED:
            self._plan()

    def statistics(self) -> BalancerStatistics:
        """A snapshot of the counts."""
        healthy = sum(_healthy(endpoint) for endpoint in self._endpoints.values())
        return BalancerStatistics(len(self._endpoints), healthy, self._panicking)

    def _attend(self, now: float, retrying: bool) -> E | None:
        """Do what is due; answers with the endpoint to probe, if that is due."""
        if now >= self._outliers.due_at:
            self._sweep(now)
        elif self._panicking and now >= self._calm_at:
            self._rebuild()
        # A retry is a call's second chance: it never pays for a probe.
        return self._probe() if now >= self._probe_at and not retrying else None

    def _sweep(self, now: float) -> None:
        ejected = [endpoint for endpoint in self._endpoints.values() if endpoint.outlier.ejected]
        changed = self._outliers.sweep([endpoint.outlier for endpoint in self._endpoints.values()])
        for endpoint in ejected:
            if not endpoint.outlier.ejected:
                endpoint.warm_up(now)
        self._rebuild()
        if changed:
            self._observer.ejections_changed()

    def _probe(self) -> E | None:
        for endpoint in self._endpoints.values():
            before = endpoint.breaker.state
            if before is not State.CLOSED and endpoint.breaker.try_probe():
                if before is State.HALF_OPEN:
                    self._plan()
                else:
                    self._turned(endpoint, before)
                return endpoint
        return None

    def _with_room(self, avoid: Collection[E]) -> E:
        # Rare, and the more endpoints there are the rarer: whoever was picked is full, so look at everyone.
        roomy = [endpoint for endpoint in self._endpoints.values() if endpoint.has_room]
        usable = roomy if self._panicking else [endpoint for endpoint in roomy if _healthy(endpoint)]
        if not usable:
            raise SaturatedError
        fresh = [endpoint for endpoint in usable if endpoint not in avoid]
        now = self._clock.monotonic()
        return min(fresh or usable, key=lambda endpoint: endpoint.cost(now))

    def _turned(self, endpoint: E, before: State) -> None:
        # An endpoint that was removed meanwhile may still finish calls; its breaker matters to nobody.
        if self._endpoints.get(endpoint.address) is endpoint:
            if endpoint.breaker.state is State.CLOSED:
                endpoint.warm_up(self._clock.monotonic())
            self._rebuild()
            self._observer.breaker_changed(endpoint, before, endpoint.breaker.state)

    def _rebuild(self) -> None:
        everyone = self.endpoints
        healthy = [endpoint for endpoint in everyone if _healthy(endpoint)]
        self._panicking = bool(everyone) and len(healthy) < max(1.0, self._needed(len(healthy)) * len(everyone))
        usable = everyone if self._panicking else healthy
        self._picker = self._policy.over(usable, everyone) if everyone else None
        self._plan()

    def _needed(self, healthy: int) -> float:
        """The share of healthy endpoints below which the present state of the set is a panic."""
        if not self._panicking or not healthy:
            self._calm_at = inf
            return self._panic_threshold
        # Whoever recovers first must not be given everything at once: it would fall again, and so on. But if the
        # others stay away, most calls would go to the dead: so that is waited for only so long.
        now = self._clock.monotonic()
        if self._calm_at == inf:
            self._calm_at = now + _CALM_SECONDS
        return max(_CALM, self._panic_threshold) if now < self._calm_at else self._panic_threshold

    def _plan(self) -> None:
        self._probe_at = min((endpoint.breaker.probe_at for endpoint in self._endpoints.values()), default=inf)
        self._due_at = min(self._probe_at, self._outliers.due_at, self._calm_at if self._panicking else inf)

    def __repr__(self) -> str:
        counts = self.statistics()
        panic = ", panicking" if counts.panicking else ""
        return f"<Balancer {counts.healthy} of {counts.endpoints} endpoints healthy{panic}>"


def _healthy(endpoint: Member) -> bool:
    return endpoint.breaker.state is State.CLOSED and not endpoint.outlier.ejected
