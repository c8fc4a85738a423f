"""How a process reaches the Kubernetes API server, and who it is there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from libs.mesh.faults import InvalidConfigurationError, refuse

_SERVICE_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesAccess:
    """The API server and the files that a pod's ServiceAccount is mounted as.

    Constructing it raises `InvalidConfigurationError` naming every fault; no file is read by that.

    Attributes:
        url: `https://host:port` or `http://host:port`, such as the one `kubectl proxy` serves.
        token_file: the bearer token; empty to send none. Read for every request, since bound tokens rotate.
        ca_file: certificates the server's own must chain to, in PEM; empty to trust the system's.
        namespace_file: the namespace of the pod; empty if every target names its namespace.
    """

    url: str
    token_file: str
    ca_file: str
    namespace_file: str

    def __post_init__(self) -> None:
        refuse("kubernetes access", _faults(self.url))

    @classmethod
    def in_cluster(cls, url: str = "https://kubernetes.default.svc") -> Self:
        """What every pod is given, unless `automountServiceAccountToken` is false.

        Args:
            url: the API server; the default is the name that its certificate carries in every cluster. A pod without
                cluster DNS takes `https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT`.
        """
        return cls(
            url=url,
            token_file=f"{_SERVICE_ACCOUNT}/token",
            ca_file=f"{_SERVICE_ACCOUNT}/ca.crt",
            namespace_file=f"{_SERVICE_ACCOUNT}/namespace",
        )

    @property
    def secure(self) -> bool:
        """Whether the server is to show a certificate."""
        return urlsplit(self.url).scheme == "https"

    def token(self) -> str:
        """The present token, empty if none is to be sent.

        Raises:
            OSError: it cannot be read.
        """
        return Path(self.token_file).read_text(encoding="utf-8").strip() if self.token_file else ""

    def namespace(self) -> str:
        """The namespace of the pod.

        Raises:
            InvalidConfigurationError: the file is not there or is empty; outside of a cluster the target must name
                the namespace.
        """
        try:
            found = Path(self.namespace_file).read_text(encoding="utf-8").strip() if self.namespace_file else ""
        except (OSError, UnicodeDecodeError):
            found = ""
        if not found:
            where = self.namespace_file or "no file"
            fault = f"the target names no namespace, and {where} gives none: write k8s:///service.namespace:port"
            raise InvalidConfigurationError("kubernetes access", [fault])
        return found


def _faults(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        ends_after_port = parts.port != 0 and not (parts.path.strip("/") or parts.query or parts.fragment)
    except ValueError as error:
        return [f"url: {error}, got {url!r}"]
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return [f"url: must be https://host:port or http://host:port, got {url!r}"]
    if parts.username is not None:
        return ["url: must hold no credentials"]
    return [] if ends_after_port else [f"url: must end after the port, got {url!r}"]
