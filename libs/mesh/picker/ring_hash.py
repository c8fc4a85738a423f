"""Calls with the same key go to the same endpoint, unless it is full: consistent hashing with bounded loads.

The ring is Karger et al., "Consistent hashing and random trees", STOC 1997, with points by weight as in gRFC A42. The
bound is Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads", SODA 2018 (arXiv 1608.01350), which
Envoy has as `hash_balance_factor`: no endpoint gets more than `balance_factor` times its share of what is in flight;
the rest goes to the next ones on the ring.
"""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil, frexp
from struct import Struct
from typing import Final, Generic

from libs.core.rng import Rng
from libs.mesh.load.base import Load
from libs.mesh.load.pending import PendingLoad
from libs.mesh.picker.base import E

# An entry of the ring is a point whose low bits are replaced with the index of its endpoint: one array to search.
_INDEX_BITS: Final = 20
_INDEX: Final = 2**_INDEX_BITS - 1
_POINTS: Final = Struct(">8Q")
# In-flight counts that are read per pick on average to know their sum.
_READS: Final = 16


@dataclass(frozen=True, slots=True)
class RingHashOptions:
    """The ring's grain and how uneven loads may be.

    Attributes:
        points: on the ring for an endpoint of the highest weight (at least half as many, if that is not a power of
            two), in [1, 4096]. An endpoint's share of the keys strays from its weight by 1/sqrt(points); 1000
            endpoints of 128 points take about 60 ms to arrange whenever the set changes.
        balance_factor: how much of its share of the attempts in flight an endpoint may have, above 1.
    """

    points: int = 128
    balance_factor: float = 1.25

    def __post_init__(self) -> None:
        if not 1 <= self.points <= 4096:
            raise ValueError(f"points must be in [1, 4096], got {self.points}")
        if not self.balance_factor > 1:
            raise ValueError(f"balance_factor must be above 1, got {self.balance_factor}")


Members = tuple[tuple[str, float], ...]
"""Addresses and weights."""


def arrange(members: Members, points: int) -> tuple[int, ...]:
    """The ring: the points of all members in order, each with the index of its member in the low 20 bits.

    How many points a member has depends on no other member except for the power of two that the highest weight
    reaches; so a member that leaves takes only its own points, which gRFC A42's normalised counts do not promise.
    Every process arranges the same members in the same way.
    """
    if len(members) > _INDEX:
        raise ValueError(f"a ring holds at most {_INDEX} endpoints, got {len(members)}")
    unit = _power_of_two(max(weight for _, weight in members))
    entries: list[int] = []
    for index, (address, weight) in enumerate(members):
        number = max(1, round(points * weight / unit))
        entries.extend(point & ~_INDEX | index for point in _points_of(address, number))
    entries.sort()
    return tuple(entries)


def _power_of_two(weight: float) -> float:
    """The least that is not below `weight`."""
    mantissa, exponent = frexp(weight)
    return 2.0 ** (exponent - 1 if mantissa == 0.5 else exponent)


def _points_of(address: str, number: int) -> list[int]:
    encoded = address.encode()
    digests = (blake2b(encoded, salt=block.to_bytes(16, "big")).digest() for block in range(ceil(number / 8)))
    return [point for digest in digests for point in _POINTS.unpack(digest)][:number]


def _point_of(key: str) -> int:
    # Without the low bits, lest the index of an endpoint at the same point matters.
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") & ~_INDEX


class RingHashPicker(Generic[E]):
    """Picks by key on a ring of everyone, passing over those that are not well, to be avoided, or full.

    An endpoint with something in flight is full if one more would exceed its share of all in flight times the balance
    factor, rounded up. Reading every count for every pick would be linear, so with 32 endpoints or more the sum is
    read every size/16 picks, and every pick since then is taken to be in flight. Only attempts that ended since are
    missed: with as many ends as picks the bound is too high by `balance_factor / 16` attempts per endpoint at most.
    """

    __slots__ = (
        "_endpoints",
        "_healthy",
        "_period",
        "_picks",
        "_random_bits",
        "_ring",
        "_rooms",
        "_total",
    )

    def __init__(
        self, healthy: Sequence[E], everyone: Sequence[E], ring: tuple[int, ...], balance_factor: float, rng: Rng
    ) -> None:
        if not healthy:
            raise ValueError("a picker needs at least one endpoint")
        self._endpoints: Final = tuple(everyone)
        self._healthy: Final = tuple(healthy)
        self._ring: Final = ring
        self._random_bits: Final = rng.getrandbits
        addresses = {endpoint.address for endpoint in healthy}
        factor = balance_factor / sum(endpoint.weight for endpoint in healthy)
        # How many an endpoint may have per attempt of all; 0 for one that is not well.
        self._rooms: Final = [factor * each.weight if each.address in addresses else 0.0 for each in everyone]
        self._period: Final = max(1, len(self._healthy) // _READS)
        self._picks = self._period
        self._total = 0

    def pick(self, avoid: Collection[E] = (), key: str = "") -> E:
        """The first on the ring, from the key's point on, that has room; a random point if the key is empty.

        One to be avoided only if there is no other, and one without room if all others are without.
        """
        self._picks += 1
        ring, rooms, endpoints = self._ring, self._rooms, self._endpoints
        point = _point_of(key) if key else self._random_bits(64)
        if avoid and len(avoid) >= len(self._healthy) and all(endpoint in avoid for endpoint in self._healthy):
            avoid = ()
        start = bisect_left(ring, point)
        full: E | None = None
        # Negative positions count from the end, so one range goes round.
        for position in range(start - len(ring), start):
            index = ring[position] & _INDEX
            room = rooms[index]
            if not room:
                continue
            endpoint = endpoints[index]
            if avoid and endpoint in avoid:
                continue
            # For whole numbers the same as in_flight + 1 <= ceil(room * (total + 1)).
            if not endpoint.in_flight or endpoint.in_flight < room * (self._in_flight() + 1):
                return endpoint
            if full is None:
                full = endpoint
        return self._healthy[0] if full is None else full

    def _in_flight(self) -> int:
        """Of all healthy endpoints."""
        if self._picks > self._period:
            self._total = sum([endpoint.in_flight for endpoint in self._healthy])
            self._picks = 1
        return self._total + self._picks - 1

    def __repr__(self) -> str:
        return f"<RingHashPicker over {len(self._healthy)} of {len(self._endpoints)} endpoints>"


class RingHash:
    """Makes ring-hash pickers; the ring is arranged anew only when the set of endpoints or a weight changes."""

    __slots__ = ("_members", "_options", "_ring", "_rng")

    def __init__(self, options: RingHashOptions, rng: Rng) -> None:
        self._options: Final = options
        self._rng: Final = rng
        self._members: Members = ()
        self._ring: tuple[int, ...] = ()

    def over(self, healthy: Sequence[E], everyone: Sequence[E]) -> RingHashPicker[E]:
        """A picker over the healthy endpoints, on the ring of everyone: whose endpoint is well keeps it."""
        members = tuple((endpoint.address, endpoint.weight) for endpoint in everyone)
        if members != self._members:
            self._ring = arrange(members, self._options.points)
            self._members = members
        return RingHashPicker(healthy, everyone, self._ring, self._options.balance_factor, self._rng)

    def new_load(self) -> Load:
        """What is in flight."""
        return PendingLoad()

    def __repr__(self) -> str:
        return f"<RingHash of {len(self._ring)} points for {len(self._members)} endpoints>"
