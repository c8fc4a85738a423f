"""One simulated server: its behaviour, its capacity, and counts of what it was asked."""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

import grpc

from libs.core.rng import Rng
from libs.testing.simulation.behaviour import Answer, Behaviour
from libs.testing.simulation.call import SimulatedCall

_DETAILS: Final = "simulated"


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much a server does at a time.

    Attributes:
        workers: requests that are worked on at once, at least 1.
        queue: requests that wait for a worker, in order; more are shed.
        shed: what shed requests are answered with, at once.
        finishes_abandoned: whether queued work is done although its caller has given up, which is what keeps an
            overloaded server overloaded.
    """

    workers: int
    queue: int
    shed: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    finishes_abandoned: bool = True

    def __post_init__(self) -> None:
        if self.workers < 1 or self.queue < 0:
            raise ValueError(f"workers must be at least 1 and queue not negative, got {self.workers} and {self.queue}")


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """A snapshot of a server."""

    requests: int
    """Requests that reached it, or would have had it been there."""
    answered: int
    """Requests that it answered OK in time."""
    shed: int
    """Requests refused for want of capacity."""
    in_flight: int
    """Requests whose callers still wait."""
    waiting: int
    """Requests in the queue."""


class SimulatedServer:
    """A server at one address. Synchronous but for timers on the loop; all randomness is its own generator's."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        rng: Rng,
        behaviour: Behaviour,
        zone: str = "",
        capacity: Capacity | None = None,
    ) -> None:
        """Make a server.

        Args:
            loop: whose time it lives in.
            rng: its own source of randomness, so that what others are asked does not change its latencies.
            behaviour: what it does at first.
            zone: where it stands.
            capacity: how much it does at a time; None does everything at once.
        """
        self.zone: Final = zone
        self.per_second: Final[Counter[int]] = Counter()
        """Requests by the second since the server was made."""
        self._loop: Final = loop
        self._rng: Final = rng
        self._capacity: Final = capacity
        self._made_at: Final = loop.time()
        self._behaviour = behaviour
        self._behaves_since = loop.time()
        self._behaved = 0
        self._requests = 0
        self._answered = 0
        self._shed = 0
        self._busy = 0
        self._life = 0
        # Dictionaries stand for ordered sets: the order of a set differs from process to process.
        self._open: Final[dict[SimulatedCall, None]] = {}
        self._queue: Final[deque[SimulatedCall]] = deque()
        self._changed = asyncio.Event()

    @property
    def behaviour(self) -> Behaviour:
        """What it does at present."""
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._behaves_since = self._loop.time()
        self._behaved = 0
        self._changed.set()
        self._changed = asyncio.Event()
        if not behaviour.connected:
            self._drop_everything()

    def at(self, seconds: float, behaviour: Behaviour) -> None:
        """Behave differently, `seconds` from now."""
        self._loop.call_later(seconds, setattr, self, "behaviour", behaviour)

    async def changed(self) -> None:
        """Wait until it behaves differently."""
        await self._changed.wait()

    def receive(self, call: SimulatedCall) -> None:
        """Take a request; its answer reaches the call when the work and the way back are over."""
        self._requests += 1
        self.per_second[int(self._loop.time() - self._made_at)] += 1
        if not self._behaviour.connected:
            call.answer_in(0.0, grpc.StatusCode.UNAVAILABLE, "the connection was refused")
            return
        self._open[call] = None
        if self._capacity is None:
            self._answer(call)
        else:
            self._admit(call, self._capacity)

    def released(self, call: SimulatedCall, code: grpc.StatusCode) -> None:
        """A call that was received ended on its caller's side."""
        if self._open.pop(call, _ABSENT) is not _ABSENT:
            self._answered += code is grpc.StatusCode.OK

    def statistics(self) -> ServerStatistics:
        """A snapshot of the counts."""
        return ServerStatistics(self._requests, self._answered, self._shed, len(self._open), len(self._queue))

    def _next_answer(self) -> Answer | None:
        number = self._behaved
        self._behaved += 1
        return self._behaviour.answer(self._rng, self._loop.time() - self._behaves_since, number)

    def _answer(self, call: SimulatedCall) -> None:
        answer = self._next_answer()
        if answer is None:
            call.expire()
        else:
            call.answer_in(answer.seconds, answer.code, _DETAILS, answer.trailing)

    # Work, if there is a limit to it.

    def _admit(self, call: SimulatedCall, capacity: Capacity) -> None:
        if self._busy < capacity.workers:
            self._work(call)
        elif len(self._queue) < capacity.queue:
            self._queue.append(call)
        else:
            self._shed += 1
            call.answer_in(0.0, capacity.shed, "the server is overloaded")
            return
        call.expire()

    def _work(self, call: SimulatedCall) -> None:
        # Decided when the work begins: what was queued while the server was slow is quick once it is not.
        answer = self._next_answer()
        # Silence holds no worker: it may end without an answer to those who met it.
        if answer is not None:
            self._busy += 1
            self._loop.call_later(answer.seconds, self._worked, call, answer, self._life)

    def _worked(self, call: SimulatedCall, answer: Answer, life: int) -> None:
        if life != self._life:
            return
        self._busy -= 1
        if call in self._open:
            call.answer_in(0.0, answer.code, _DETAILS, answer.trailing)
        capacity = self._capacity
        while self._queue and capacity is not None and self._busy < capacity.workers:
            waiting = self._queue.popleft()
            if capacity.finishes_abandoned or waiting in self._open:
                self._work(waiting)

    def _drop_everything(self) -> None:
        self._life += 1
        self._busy = 0
        self._queue.clear()
        for call in tuple(self._open):
            call.answer_in(0.0, grpc.StatusCode.UNAVAILABLE, "the connection was reset")

    def __repr__(self) -> str:
        return f"<SimulatedServer {self._behaviour!r}, {self._requests} requests, {len(self._open)} in flight>"


_ABSENT: Final = object()
