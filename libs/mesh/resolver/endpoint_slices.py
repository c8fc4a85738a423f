"""From what the Kubernetes API says of a service's EndpointSlices to its endpoints. Pure: no I/O, no time.

The reference of `discovery.k8s.io/v1` says what the fields mean, "Efficient detection of changes" in the API concepts
what the events do.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple, cast

from libs.mesh.resolver.base import ResolvedEndpoint, ResolvedSet
from libs.mesh.target import Address

_GONE: Final = 410


class MalformedObjectError(ValueError):
    """The API server said something that no EndpointSlice and no event looks like."""


class ApiError(Exception):
    """The API server did not give what it was asked for; the text says what to do where that is known.

    Attributes:
        gone: whether the version asked for is no longer kept, so that everything has to be listed again. That is no
            fault of anybody's: it happens to whoever was away for some minutes.
    """

    def __init__(self, text: str, gone: bool = False) -> None:
        super().__init__(text)
        self.gone: Final = gone


class _Rank(IntEnum):
    """How much an endpoint is wanted; only those of the least rank present are used."""

    READY = 0
    DRAINING = 1
    """Terminating but still serving: better than nobody (kube-proxy's rule, KEP-1669)."""


class _Entry(NamedTuple):
    """An endpoint of a slice that may be used."""

    rank: _Rank
    ipv6: bool
    address: str
    zone: str


@dataclass(frozen=True, slots=True)
class _Slice:
    entries: tuple[_Entry, ...]
    ports: frozenset[str]


class EndpointSlices:
    """The EndpointSlices of one service, as far as the API server has told of them.

    The order in which the slices come makes no difference to `endpoints`.
    """

    __slots__ = ("_port", "_slices", "version")

    def __init__(self, port: str) -> None:
        """Make an empty set.

        Args:
            port: the pods' port: a number, or the name that it has in the slices.
        """
        self._port: Final = port
        self._slices: dict[str, _Slice] = {}
        self.version = ""
        """The `resourceVersion` that the present state is of, empty before the first list."""

    def replace(self, found: object) -> None:
        """Take an `EndpointSliceList` for everything there is.

        Raises:
            MalformedObjectError: it is no such list; nothing has changed then.
        """
        listed = _mapping(found, "a list")
        version = _version(listed)
        items = [_mapping(item, "an item") for item in _items(listed, "items")]
        self._slices = {_name(item): self._read(item) for item in items}
        self.version = version

    def apply(self, event: object) -> None:
        """Take one event of a watch.

        Raises:
            MalformedObjectError: it is no such event; nothing has changed then.
            ApiError: it is an ERROR event.
        """
        told = _mapping(event, "an event")
        kind, subject = told.get("type"), _mapping(told.get("object"), "an event's object")
        if kind == "ERROR":
            raise ApiError(f"watch error: {_describe(subject)}", gone=subject.get("code") == _GONE)
        version = _version(subject)
        if kind in ("ADDED", "MODIFIED"):
            self._slices[_name(subject)] = self._read(subject)
        elif kind == "DELETED":
            self._slices.pop(_name(subject), None)
        elif kind != "BOOKMARK":
            raise MalformedObjectError(f"unknown event type {kind!r}")
        self.version = version

    def endpoints(self) -> ResolvedSet:
        """The ready endpoints, or if there is none those that are draining; of one address family, IPv4 if it is there.

        An address that stands in several slices, as it may while the controller moves it, is there once.
        """
        entries = [entry for one in self._slices.values() for entry in one.entries]
        wanted = min(((entry.rank, entry.ipv6) for entry in entries), default=None)
        zones: dict[str, str] = {}
        for rank, ipv6, address, zone in entries:
            if (rank, ipv6) == wanted:
                # Any zone rather than none, and the same one whichever slice came first.
                zones[address] = max(zone, zones.get(address, ""))
        return tuple(ResolvedEndpoint(address, zone) for address, zone in sorted(zones.items()))

    def unknown_port(self) -> str:
        """What is wrong if there are slices with ports but none has the one asked for; else empty."""
        named = sorted({port for one in self._slices.values() for port in one.ports})
        if not named or self._port.isdecimal() or self._port in named:
            return ""
        return f"no port is named {self._port!r}, only {', '.join(map(repr, named))}"

    def _read(self, found: Mapping[str, object]) -> _Slice:
        family = found.get("addressType")
        ports = dict(_ports(found))
        number = int(self._port) if self._port.isdecimal() else ports.get(self._port)
        # FQDN slices are made by nobody's controller and are on their way out of the API.
        if number is None or family not in ("IPv4", "IPv6"):
            return _Slice((), frozenset(ports))
        entries = (
            _entry(_mapping(each, "an endpoint"), number, family == "IPv6") for each in _items(found, "endpoints")
        )
        return _Slice(tuple(entry for entry in entries if entry is not None), frozenset(ports))

    def __repr__(self) -> str:
        return f"<EndpointSlices {len(self._slices)} slices, {len(self.endpoints())} endpoints>"


def _entry(found: Mapping[str, object], port: int, ipv6: bool) -> _Entry | None:
    rank = _rank(_mapping(found.get("conditions") or {}, "conditions"))
    if rank is None:
        return None
    # No meaning is defined for addresses beyond the first (kubernetes/kubernetes#106267).
    address = next(_items(found, "addresses"), None)
    if not isinstance(address, str) or not address:
        raise MalformedObjectError(f"an endpoint's address is {address!r}")
    zone = found.get("zone") or ""
    if not isinstance(zone, str):
        raise MalformedObjectError(f"an endpoint's zone is {zone!r}")
    return _Entry(rank, ipv6, str(Address(address, port)), zone)


def _rank(conditions: Mapping[str, object]) -> _Rank | None:
    # Absent means: ready, serving, not terminating.
    if conditions.get("ready") is not False:
        return _Rank.READY
    if conditions.get("serving") is not False and conditions.get("terminating") is True:
        return _Rank.DRAINING
    return None


def _ports(found: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    for item in _items(found, "ports"):
        port = _mapping(item, "a port")
        name, number = port.get("name") or "", port.get("port")
        if not isinstance(name, str) or not isinstance(number, int | None):
            raise MalformedObjectError(f"a port is {name!r}: {number!r}")
        # Without a number it stands for all ports: there is none to take by this name.
        if number is not None:
            yield name, number


def _describe(status: Mapping[str, object]) -> str:
    parts = (str(status[key]) for key in ("code", "reason", "message") if status.get(key))
    return " ".join(parts)[:300] or "no reason given"


def _version(found: Mapping[str, object]) -> str:
    version = _mapping(found.get("metadata"), "metadata").get("resourceVersion")
    if not isinstance(version, str) or not version:
        raise MalformedObjectError(f"a resourceVersion is {version!r}")
    return version


def _name(found: Mapping[str, object]) -> str:
    name = _mapping(found.get("metadata"), "metadata").get("name")
    if not isinstance(name, str) or not name:
        raise MalformedObjectError(f"a slice's name is {name!r}")
    return name


def _items(found: Mapping[str, object], key: str) -> Iterator[object]:
    items = found.get(key)
    # Go leaves an empty list out, or writes null.
    if items is not None and not isinstance(items, list):
        raise MalformedObjectError(f"{key} is not a list")
    return iter(cast("list[object]", items or []))


def _mapping(found: object, what: str) -> Mapping[str, object]:
    if not isinstance(found, dict):
        raise MalformedObjectError(f"{what} is not an object")
    return cast("dict[str, object]", found)
