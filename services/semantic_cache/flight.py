"""Single flight: for one question at a time one caller has the answer made, and the others wait for it.

The lease is the store's, so it holds across replicas. Here is only the waiting: of all that wait in this process for
one question, one looks at the store, the others look at that one. A leader that died is replaced by whoever looks
first after its lease has ended; one that failed and said so, at once.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from libs.core.errors import MeshError
from libs.core.rng import Rng
from services.semantic_cache.entry import Kept
from services.semantic_cache.ports import EntryStore, Opened, Standing
from services.semantic_cache.scope import Key

_NONCE_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class FlightOptions:
    """How leases are held and watched; times in seconds."""

    lease_seconds: float = 5.0
    """How long a leader may be silent before another takes over."""
    first_look: float = 0.02
    """Until the store is looked at again; grows by half each time, and varies by a quarter."""
    slowest_look: float = 0.25
    waiting: int = 2_000
    """Callers that may wait on this replica; more are sent off to make their own answer."""

    def __post_init__(self) -> None:
        if not 0 < self.first_look <= self.slowest_look < self.lease_seconds:
            raise ValueError(f"must be 0 < first_look <= slowest_look < lease_seconds, got {self}")


class FlightStatistics(NamedTuple):
    """A snapshot of the waiting."""

    questions: int
    """Waited for now."""
    waiting: int
    landed: int
    """Waits that ended with an answer, since the start."""
    took_over: int
    """Waits that ended with the lease: the leader had failed or died."""
    gave_up: int
    """Waits that ended with neither."""


@dataclass(slots=True)
class _Flight:
    """One question that callers of this process wait for."""

    past_alias: bool
    """Only an answer to this very text ends it."""
    watch: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the one that looks at the store."""
    look: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it is worth looking now."""
    landed: Opened | None = None
    """What ends everybody's wait."""
    waiting: int = 0


class Flights:
    """All questions that callers of this process wait for.

    Args:
        store: where leases are.
        rng: spreads the looks of replicas.
        options: times and bounds.
    """

    def __init__(self, store: EntryStore, rng: Rng, options: FlightOptions) -> None:
        self.options: Final = options
        self._store: Final = store
        self._rng: Final = rng
        self._flights: dict[tuple[bytes, bool], _Flight] = {}
        self._lost: list[tuple[Key, bytes]] = []
        self._waiting = self._landed = self._took_over = self._gave_up = 0

    async def open(self, key: Key, past_alias: bool = False) -> Opened:
        """What is kept, or how the lease on it stands; see `EntryStore.open`.

        Raises:
            MeshError: STORE_UNAVAILABLE.
        """
        nonce = self._rng.getrandbits(_NONCE_BITS).to_bytes(_NONCE_BITS // 8, "big")
        try:
            return await self._store.open(key, self.options.lease_seconds, past_alias=past_alias, nonce=nonce)
        except BaseException:
            # It may have been granted all the same.
            self._lost.append((key, bytes(8) + nonce))
            raise

    def take_lost(self) -> list[tuple[Key, bytes]]:
        """Leases that were asked for and whose answer never came: to be released. Ask whenever something failed."""
        lost, self._lost = self._lost, []
        return lost

    async def wait(self, key: Key, asked_at: int, until: float, past_alias: bool = False) -> Opened:
        """What comes of the question: kept, GRANTED (the caller leads now), OPEN (make your own), or HELD as before.

        Args:
            key: the question; its lease is held by another.
            asked_at: from finding that out.
            until: by the event loop's clock; then it is HELD if nothing else came of it.
            past_alias: only an answer to this very text counts.

        Raises:
            MeshError: STORE_UNAVAILABLE.
        """
        if self._waiting >= self.options.waiting:
            self._gave_up += 1
            return Opened(None, asked_at, Standing.OPEN)
        flight = self._flights.setdefault((key.entry, past_alias), _Flight(past_alias))
        flight.waiting += 1
        self._waiting += 1
        try:
            opened = await self._turn(flight, key, until)
        except TimeoutError:
            opened = Opened(None, asked_at, Standing.HELD)
        except MeshError:
            # Those behind would each wait for the store anew, one after the other.
            self._end(flight, key, Opened(None, asked_at, Standing.OPEN))
            raise
        finally:
            self._waiting -= 1
            flight.waiting -= 1
            if not flight.waiting:
                self._leave(flight, key)
        self._count(opened)
        return opened

    def land(self, key: Key, kept: Kept, asked_at: int) -> None:
        """Those who wait here have their answer."""
        for past_alias in (False, True) if kept.alias is None else (False,):
            flight = self._flights.get((key.entry, past_alias))
            if flight is not None:
                self._end(flight, key, Opened(kept, asked_at))
                flight.look.set()

    def look(self, key: Key) -> None:
        """Something happened to the lease: look at once."""
        for past_alias in (False, True):
            flight = self._flights.get((key.entry, past_alias))
            if flight is not None:
                flight.look.set()

    def statistics(self) -> FlightStatistics:
        """What happened so far."""
        return FlightStatistics(len(self._flights), self._waiting, self._landed, self._took_over, self._gave_up)

    async def _turn(self, flight: _Flight, key: Key, until: float) -> Opened:
        async with asyncio.timeout_at(until):
            await flight.watch.acquire()
        # Whoever is let in after the end finds it and leaves, which lets in the next.
        try:
            return await self._watch(flight, key, until)
        finally:
            flight.watch.release()

    async def _watch(self, flight: _Flight, key: Key, until: float) -> Opened:
        now, pause = asyncio.get_running_loop().time, self.options.first_look
        while flight.landed is None:
            await self._pause(flight, min(pause * (0.75 + 0.5 * self._rng.random()), until - now()))
            if flight.landed is not None:
                break
            # A look is never broken off for the time's sake: it may just be granted the lease.
            if now() >= until:
                raise TimeoutError
            opened = await self.open(key, flight.past_alias)
            if opened.standing is not Standing.HELD:
                if opened.standing is not Standing.GRANTED:
                    self._end(flight, key, opened)
                return opened
            pause = min(pause * 1.5, self.options.slowest_look)
        return flight.landed

    def _end(self, flight: _Flight, key: Key, opened: Opened) -> None:
        flight.landed = opened
        # Who comes from now on asks the store: what has landed may be invalidated before they do.
        self._leave(flight, key)

    def _leave(self, flight: _Flight, key: Key) -> None:
        if self._flights.get((key.entry, flight.past_alias)) is flight:
            del self._flights[key.entry, flight.past_alias]

    async def _pause(self, flight: _Flight, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await flight.look.wait()
        except TimeoutError:
            return
        flight.look.clear()

    def _count(self, opened: Opened) -> None:
        if opened.kept is not None:
            self._landed += 1
        elif opened.standing is Standing.GRANTED:
            self._took_over += 1
        else:
            self._gave_up += 1

    def __repr__(self) -> str:
        return f"Flights({self.statistics()})"
