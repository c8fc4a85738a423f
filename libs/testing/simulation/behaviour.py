"""What a simulated server does with a request: one class per way of being well or ill."""

from dataclasses import dataclass
from math import inf
from typing import NamedTuple, Protocol

import grpc

from libs.core.rng import Rng
from libs.testing.simulation.latency import Latency


class Answer(NamedTuple):
    """How a request ends, if nothing else ends it."""

    seconds: float
    """How long the server works on it."""
    code: grpc.StatusCode = grpc.StatusCode.OK
    trailing: tuple[tuple[str, str], ...] = ()
    """Metadata that goes with the status."""


class Behaviour(Protocol):
    """Decides about each request of one server, from the moment that the server took it on."""

    @property
    def connected(self) -> bool:
        """Whether connections are accepted; without one every call is UNAVAILABLE at once."""
        ...

    def answer(self, rng: Rng, age: float, number: int) -> Answer | None:
        """The answer to a request, or None for silence.

        Args:
            rng: the server's own.
            age: seconds since the server behaves like this.
            number: requests that it has had since then, this one not counted.
        """
        ...


@dataclass(frozen=True, slots=True)
class Answering:
    """Answers OK. A slow server is one with a larger latency."""

    latency: Latency
    connected: bool = True

    def answer(self, rng: Rng, age: float, number: int) -> Answer:
        """OK after a while."""
        del age, number
        return Answer(self.latency.draw(rng))


@dataclass(frozen=True, slots=True)
class Failing:
    """Answers with an error, for instance sooner than a healthy server would answer.

    Attributes:
        code: the error.
        seconds: how long that takes.
        share: of the requests that fail, in (0, 1]; the others are answered OK.
        well: how long the others take; None as long as a failure.
        trailing: metadata of the failures, such as `grpc-retry-pushback-ms`.
    """

    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    seconds: float = 0.001
    share: float = 1.0
    well: Latency | None = None
    trailing: tuple[tuple[str, str], ...] = ()
    connected: bool = True

    def __post_init__(self) -> None:
        if self.code is grpc.StatusCode.OK:
            raise ValueError("OK is not a failure")
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be in (0, 1], got {self.share}")

    def answer(self, rng: Rng, age: float, number: int) -> Answer:
        """An error, or OK for the requests that are spared."""
        del age, number
        if self.share < 1 and rng.random() >= self.share:
            return Answer(self.seconds if self.well is None else self.well.draw(rng))
        return Answer(self.seconds, self.code, self.trailing)


@dataclass(frozen=True, slots=True)
class Silent:
    """Accepts everything and never answers: a black hole, a stopped process."""

    connected: bool = True

    def answer(self, rng: Rng, age: float, number: int) -> None:
        """Nothing."""
        del rng, age, number


@dataclass(frozen=True, slots=True)
class Refusing:
    """Its process is gone: connections are refused, and calls under way when it begins fail."""

    connected: bool = False

    def answer(self, rng: Rng, age: float, number: int) -> Answer:
        """UNAVAILABLE at once."""
        del rng, age, number
        return Answer(0.0, grpc.StatusCode.UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Warming:
    """Answers OK, slowly at first: cold caches, code not yet compiled, connections not yet made.

    Attributes:
        cold: latency at first.
        warm: latency later.
        seconds: how long it stays cold.
        requests: how many requests warm it, whichever comes first.
    """

    cold: Latency
    warm: Latency
    seconds: float = inf
    requests: float = inf
    connected: bool = True

    def answer(self, rng: Rng, age: float, number: int) -> Answer:
        """OK after a while."""
        cold = age < self.seconds and number < self.requests
        return Answer((self.cold if cold else self.warm).draw(rng))
