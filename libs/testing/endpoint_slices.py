"""EndpointSlices as a test writes them and as the Kubernetes API shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Object = Mapping[str, object]
"""What JSON calls an object."""

SERVICE_LABEL: Final = "kubernetes.io/service-name"
KIND: Final[Object] = {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1"}


def endpoint(
    address: str,
    *,
    ready: bool | None = None,
    serving: bool | None = None,
    terminating: bool | None = None,
    zone: str | None = None,
) -> Object:
    """One endpoint of a slice; what is None is left out."""
    conditions = {"ready": ready, "serving": serving, "terminating": terminating}
    told = {name: value for name, value in conditions.items() if value is not None}
    return {"addresses": [address], "conditions": told} | ({"zone": zone} if zone is not None else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSlice:
    """A slice of a service.

    Attributes:
        name: unique in its namespace.
        service: what its label says that it belongs to.
        endpoints: as `endpoint` makes them.
        ports: numbers by name.
        family: `IPv4`, `IPv6` or `FQDN`.
    """

    name: str
    service: str
    endpoints: tuple[Object, ...] = ()
    ports: Mapping[str, int | None]
    family: str = "IPv4"
    namespace: str = "default"

    def rendered(self, version: int) -> Object:
        """The object as the API server shows it at a version."""
        metadata = {
            "name": self.name,
            "namespace": self.namespace,
            "labels": {SERVICE_LABEL: self.service},
            "resourceVersion": str(version),
        }
        ports = [{"name": name, "port": number, "protocol": "TCP"} for name, number in self.ports.items()]
        return {
            **KIND,
            "metadata": metadata,
            "addressType": self.family,
            "endpoints": list(self.endpoints),
            "ports": ports,
        }
