"""From sets of addresses to the endpoint of the next attempt: endpoints, their breakers, the picker snapshot."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import inf
from typing import Final, Generic, Protocol, TypeVar

from libs.core.clock import Clock
from libs.mesh.breaker import Breaker, Outcome, State
from libs.mesh.picker.base import Picker, Policy


class Candidate(Protocol):
    """What a balancer knows of an endpoint: nothing of its connection, so that it can be tested without one."""

    @property
    def address(self) -> str:
        """Where it is, unique in its set."""
        ...

    @property
    def breaker(self) -> Breaker:
        """Whether it may be called."""
        ...


E = TypeVar("E", bound=Candidate)


@dataclass(frozen=True, slots=True)
class BalancerStatistics:
    """A snapshot of a balancer."""

    endpoints: int
    closed: int
    """Endpoints whose breaker is closed."""
    panicking: bool
    """Whether calls go to all endpoints because every breaker is open."""


class Balancer(Generic[E]):
    """Owns the endpoints of one channel and picks among those whose breaker is closed.

    If every breaker is open it picks among all of them (panic mode): a wrong verdict on everyone is likelier
    than the death of everyone, and a call that is not sent fails for certain. Otherwise one call at a time probes
    an endpoint whose breaker has been open for long enough.
    """

    __slots__ = ("_changed", "_clock", "_endpoints", "_new_endpoint", "_panicking", "_picker", "_policy", "_probe_at")

    def __init__(
        self,
        new_endpoint: Callable[[str], E],
        policy: Policy[E],
        clock: Clock,
        breaker_changed: Callable[[E, State, State], None],
    ) -> None:
        self._new_endpoint: Final = new_endpoint
        self._policy: Final = policy
        self._clock: Final = clock
        self._changed: Final = breaker_changed
        self._endpoints: dict[str, E] = {}
        self._picker: Picker[E] | None = None
        self._panicking = False
        self._probe_at = inf

    @property
    def endpoints(self) -> tuple[E, ...]:
        """The current set, in no particular order."""
        return tuple(self._endpoints.values())

    def apply(self, addresses: Collection[str]) -> tuple[E, ...]:
        """Make `addresses` the current set, keeping the endpoints that stay; answers with those that were removed."""
        wanted = dict.fromkeys(addresses)
        removed = tuple(endpoint for address, endpoint in self._endpoints.items() if address not in wanted)
        self._endpoints = {address: self._endpoints.get(address) or self._new_endpoint(address) for address in wanted}
        self._rebuild()
        return removed

    def pick(self, avoid: Collection[E] = ()) -> E | None:
        """The endpoint for the next attempt, or None if there is none; its end must be told to `record`.

        Args:
            avoid: endpoints that already failed this call.
        """
        if self._picker is None:
            return None
        # A retry is a call's second chance: it never pays for a probe.
        if self._probe_at != inf and not avoid and self._clock.monotonic() >= self._probe_at:
            probed = self._probe()
            if probed is not None:
                return probed
        return self._picker.pick(avoid)

    def record(self, endpoint: E, outcome: Outcome, started: float) -> None:
        """Tell how an attempt at `endpoint` that began at `started` (monotonic seconds) ended."""
        breaker = endpoint.breaker
        before = breaker.state
        if before is State.CLOSED and outcome is Outcome.NEUTRAL:
            return
        breaker.record(outcome, started)
        if breaker.state is not before:
            self._turned(endpoint, before)
        elif before is not State.CLOSED:
            self._plan_probe()

    def statistics(self) -> BalancerStatistics:
        """A snapshot of the counts."""
        closed = sum(endpoint.breaker.state is State.CLOSED for endpoint in self._endpoints.values())
        return BalancerStatistics(len(self._endpoints), closed, self._panicking)

    def _probe(self) -> E | None:
        for endpoint in self._endpoints.values():
            before = endpoint.breaker.state
            if before is not State.CLOSED and endpoint.breaker.try_probe():
                if before is State.HALF_OPEN:
                    self._plan_probe()
                else:
                    self._turned(endpoint, before)
                return endpoint
        return None

    def _turned(self, endpoint: E, before: State) -> None:
        # An endpoint that was removed meanwhile may still finish calls; its breaker matters to nobody.
        if self._endpoints.get(endpoint.address) is endpoint:
            self._rebuild()
            self._changed(endpoint, before, endpoint.breaker.state)

    def _rebuild(self) -> None:
        everyone = self.endpoints
        closed = [endpoint for endpoint in everyone if endpoint.breaker.state is State.CLOSED]
        self._panicking = bool(everyone) and not closed
        self._picker = self._policy.over(closed or everyone) if everyone else None
        self._plan_probe()

    def _plan_probe(self) -> None:
        self._probe_at = min((endpoint.breaker.probe_at for endpoint in self._endpoints.values()), default=inf)

    def __repr__(self) -> str:
        counts = self.statistics()
        panic = ", panicking" if counts.panicking else ""
        return f"<Balancer {counts.closed} of {counts.endpoints} endpoints closed{panic}>"
