from pathlib import Path

import pytest

from libs.core.rng import new_rng
from libs.mesh.faults import InvalidConfigurationError
from libs.mesh.resolver.base import Resolver
from libs.mesh.resolver.kubernetes import KubernetesResolver
from libs.mesh.resolver.kubernetes_access import KubernetesAccess
from libs.testing.clock import ManualClock


def access(url: str = "http://localhost:8001", token: str = "", namespace: str = "") -> KubernetesAccess:
    return KubernetesAccess(url=url, token_file=token, ca_file="", namespace_file=namespace)


def resolver(namespace: str | None, where: KubernetesAccess) -> KubernetesResolver:
    said: list[str] = []
    return KubernetesResolver("auth", namespace, "grpc", where, ManualClock(), new_rng(1), said.append)


def test_a_pod_has_it_all() -> None:
    pod = KubernetesAccess.in_cluster()
    assert pod.url == "https://kubernetes.default.svc"
    assert {Path(name).name for name in (pod.token_file, pod.ca_file, pod.namespace_file)} == {
        *("token", "ca.crt", "namespace")
    }
    assert KubernetesAccess.in_cluster("https://10.96.0.1:443").url == "https://10.96.0.1:443"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "must be https://host:port or http://host:port"),
        ("kubernetes", "must be https://host:port"),
        ("ftp://h", "must be https://host:port"),
        ("https://", "must be https://host:port"),
        ("https://h/api", "must end after the port"),
        ("https://h?x=1", "must end after the port"),
        ("https://h:0", "must end after the port"),
        ("https://h:99999", "Port out of range"),
        ("https://h:port", "Port could not be cast"),
        ("https://[::1", "Invalid IPv6 URL"),
        ("https://me:secret@h", "must hold no credentials"),
    ],
)
def test_a_wrong_address_is_refused(url: str, fault: str) -> None:
    with pytest.raises(InvalidConfigurationError) as raised:
        access(url)
    assert f"kubernetes access: url: {fault}" in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "secure"), [("https://h:6443/", True), ("HTTPS://[::1]", True), ("http://h:8001", False)]
)
def test_the_scheme_says_whether_there_is_a_certificate(url: str, secure: bool) -> None:
    assert access(url).secure is secure


def test_the_namespace_is_the_targets_or_the_pods(tmp_path: Path) -> None:
    own = tmp_path / "namespace"
    own.write_text("mine\n")
    assert resolver("theirs", access()).authority == "auth.theirs.svc"
    assert resolver(None, access(namespace=str(own))).authority == "auth.mine.svc"


@pytest.mark.parametrize("file", ["", "/nowhere/namespace"])
def test_a_missing_namespace_is_said_at_the_start(file: str) -> None:
    with pytest.raises(InvalidConfigurationError, match="the target names no namespace, and"):
        resolver(None, access(namespace=file))


def test_nothing_is_known_before_anyone_is_asked() -> None:
    fresh: Resolver = resolver("a", access())
    assert fresh.known() is None
    assert repr(fresh) == "<KubernetesResolver auth.a.svc:grpc, 0 lists, 0 events>"
