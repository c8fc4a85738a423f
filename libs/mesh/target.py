"""What a channel is pointed at: `static:///host:port,host:port` or `dns:///host:port`."""

from dataclasses import dataclass
from typing import Final

from libs.mesh.faults import InvalidConfigurationError, refuse

_SCHEMES: Final = ("static", "dns")
_SEPARATOR: Final = ":///"
_MAX_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """One host (a name or an IP literal, IPv6 without brackets) and its port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed target.

    Attributes:
        scheme: which resolver turns the addresses into endpoints.
        addresses: what stands after the scheme, in order; exactly one for `dns`.
    """

    scheme: str
    addresses: tuple[Address, ...]

    def __str__(self) -> str:
        return f"{self.scheme}{_SEPARATOR}{','.join(map(str, self.addresses))}"


def parse_target(text: str) -> Target:
    """Read a target.

    Raises:
        InvalidConfigurationError: naming every fault of it.
    """
    scheme, separator, rest = text.partition(_SEPARATOR)
    if not separator:
        raise InvalidConfigurationError(f"target {text!r}", [f"must start with one of {_known()}"])
    faults: list[str] = []
    if scheme not in _SCHEMES:
        faults.append(f"scheme {scheme!r} is not one of {_known()}")
    addresses = [_address(part.strip(), faults) for part in rest.split(",")]
    if scheme == "dns" and len(addresses) > 1:
        faults.append("dns takes one host:port, not a list")
    seen: set[Address] = set()
    for address in addresses:
        if address in seen and address.host:
            faults.append(f"{address} is listed twice")
        seen.add(address)
    refuse(f"target {text!r}", faults)
    return Target(scheme, tuple(addresses))


def _known() -> str:
    return ", ".join(scheme + _SEPARATOR for scheme in _SCHEMES)


def _address(text: str, faults: list[str]) -> Address:
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        faults.append(f"{text!r}: an IPv6 address stands in brackets, such as [::1]:50051")
    if not host:
        faults.append(f"{text!r}: expected host:port")
    elif not (port.isascii() and port.isdigit() and 0 < int(port) <= _MAX_PORT):
        faults.append(f"{text!r}: the port must be a number from 1 to {_MAX_PORT}")
    else:
        return Address(host, int(port))
    return Address("", 0)
