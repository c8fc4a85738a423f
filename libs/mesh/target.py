"""What a channel is pointed at: `static:///host:port,host:port`, `dns:///host:port` or `k8s:///service.namespace:port`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from libs.mesh.faults import InvalidConfigurationError, refuse
from libs.mesh.resolver.base import ResolvedEndpoint

_SEPARATOR: Final = ":///"
_MAX_PORT: Final = 65_535
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""RFC 1123, as Kubernetes takes it for the names of services, namespaces and ports."""
_ATTRIBUTES: Final = ("zone", "weight")


@dataclass(frozen=True, slots=True)
class Address:
    """One host (a name or an IP literal, IPv6 without brackets) and its port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class StaticTarget:
    """`static:///10.0.0.1:50051;zone=a;weight=2,10.0.0.2:50051`: the endpoints themselves, in the order given."""

    scheme: ClassVar[str] = "static"
    endpoints: tuple[ResolvedEndpoint, ...]

    def __str__(self) -> str:
        return f"{self.scheme}{_SEPARATOR}{','.join(map(_rendered, self.endpoints))}"


@dataclass(frozen=True, slots=True)
class DnsTarget:
    """`dns:///auth:50051`: the address records of a name."""

    scheme: ClassVar[str] = "dns"
    address: Address

    def __str__(self) -> str:
        return f"{self.scheme}{_SEPARATOR}{self.address}"


@dataclass(frozen=True, slots=True)
class KubernetesTarget:
    """`k8s:///auth.mesh:50051`: the pods behind a service.

    Attributes:
        service: the Service's name.
        namespace: where it is; None stands for the caller's own namespace.
        port: the pods' port (not the Service's): a number, or the name that it has in the EndpointSlices.
    """

    scheme: ClassVar[str] = "k8s"
    service: str
    namespace: str | None
    port: str

    def __str__(self) -> str:
        name = self.service if self.namespace is None else f"{self.service}.{self.namespace}"
        return f"{self.scheme}{_SEPARATOR}{name}:{self.port}"


Target = StaticTarget | DnsTarget | KubernetesTarget


def parse_target(text: str) -> Target:
    """Read a target.

    Raises:
        InvalidConfigurationError: naming every fault of it.
    """
    scheme, separator, rest = text.partition(_SEPARATOR)
    subject = f"target {text!r}"
    if not separator:
        raise InvalidConfigurationError(subject, [f"must start with one of {_known()}"])
    faults: list[str] = []
    if scheme not in _READERS:
        faults.append(f"scheme {scheme!r} is not one of {_known()}")
    # What has an unknown scheme is most likely meant to be a list of addresses.
    target = _READERS.get(scheme, _static)(rest, faults)
    refuse(subject, faults)
    return target


def _static(text: str, faults: list[str]) -> StaticTarget:
    endpoints = [_endpoint(part.strip(), faults) for part in text.split(",")]
    seen: set[str] = set()
    for found in endpoints:
        if found.address in seen and found.address:
            faults.append(f"{found.address} is listed twice")
        seen.add(found.address)
    return StaticTarget(tuple(endpoints))


def _dns(text: str, faults: list[str]) -> DnsTarget:
    if "," in text:
        faults.append("dns takes one host:port, not a list")
    if ";" in text:
        faults.append("dns takes no attributes: they are for static addresses")
    addresses = [_address(part.partition(";")[0].strip(), faults) for part in text.split(",")]
    return DnsTarget(addresses[0])


def _kubernetes(text: str, faults: list[str]) -> KubernetesTarget:
    name, separator, port = text.strip().rpartition(":")
    labels = name.split(".")
    if not separator or len(labels) > 2:
        faults.append(f"{text!r}: expected service.namespace:port or service:port")
        return KubernetesTarget("", None, "")
    for what, label in zip(("service", "namespace"), labels, strict=False):
        if not _LABEL.fullmatch(label):
            faults.append(f"{what} {label!r}: must be lower-case letters, digits and inner hyphens, 63 at most")
    if port.isascii() and port.isdigit():
        if _port(port) is None:
            faults.append(f"{text!r}: the port must be a number from 1 to {_MAX_PORT}, or a name")
    elif not _LABEL.fullmatch(port):
        faults.append(f"port {port!r}: must be a number, or a name of lower-case letters, digits and inner hyphens")
    return KubernetesTarget(labels[0], labels[1] if len(labels) == 2 else None, port)


_READERS: Final[dict[str, Callable[[str, list[str]], Target]]] = {
    StaticTarget.scheme: _static,
    DnsTarget.scheme: _dns,
    KubernetesTarget.scheme: _kubernetes,
}


def _known() -> str:
    return ", ".join(scheme + _SEPARATOR for scheme in _READERS)


def _endpoint(text: str, faults: list[str]) -> ResolvedEndpoint:
    plain, *attributes = (part.strip() for part in text.split(";"))
    address = _address(plain, faults)
    given: dict[str, str] = {}
    for attribute in attributes:
        name, _, value = attribute.partition("=")
        if name not in _ATTRIBUTES:
            faults.append(f"{text!r}: attribute {name!r} is not one of {', '.join(_ATTRIBUTES)}")
        elif name in given:
            faults.append(f"{text!r}: {name} is given twice")
        elif not value:
            faults.append(f"{text!r}: {name} has no value")
        given[name] = value
    weight = _weight(given.get("weight") or "1")
    if weight is None:
        faults.append(f"{text!r}: the weight must be a number above 0")
    return ResolvedEndpoint(str(address) if address.host else "", given.get("zone", ""), weight or 1.0)


def _weight(text: str) -> float | None:
    try:
        weight = float(text)
    except ValueError:
        return None
    return weight if 0 < weight < float("inf") else None


def _address(text: str, faults: list[str]) -> Address:
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        faults.append(f"{text!r}: an IPv6 address stands in brackets, such as [::1]:50051")
    number = _port(port)
    if not host:
        faults.append(f"{text!r}: expected host:port")
    elif number is None:
        faults.append(f"{text!r}: the port must be a number from 1 to {_MAX_PORT}")
    else:
        return Address(host, number)
    return Address("", 0)


def _port(text: str) -> int | None:
    # int() refuses, by an error of its own, what is thousands of digits long.
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        return None
    number = int(text)
    return number if 0 < number <= _MAX_PORT else None


def _rendered(found: ResolvedEndpoint) -> str:
    zone = f";zone={found.zone}" if found.zone else ""
    weight = f";weight={str(found.weight).removesuffix('.0')}" if found.weight != 1.0 else ""
    return f"{found.address}{zone}{weight}"
