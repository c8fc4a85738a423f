from pathlib import Path

import pytest

from libs.server.address import Address
from libs.server.settings import ServerSettings
from libs.testing.settings import faults


def test_the_defaults_are_valid_and_listen_on_loopback_only() -> None:
    settings = ServerSettings()

    assert Address.parse(settings.grpc_address) == ("127.0.0.1", 0)
    assert Address.parse(settings.admin_address).host == "127.0.0.1"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"grpc_address": "nowhere"}, "AGENTMESH_GRPC_ADDRESS"),
        ({"auth_target": "auth:50051", "service_secret": "x"}, "AGENTMESH_AUTH_TARGET"),
        ({"auth_target": "dns:///auth:50051"}, "service_secret"),
        ({"max_concurrent_calls": 0}, "AGENTMESH_MAX_CONCURRENT_CALLS"),
        ({"tls_key_file": Path("/key.pem")}, "tls_certificate_file"),
        ({"tls_client_ca_file": Path("/ca.pem")}, "tls_client_ca_file"),
    ],
)
def test_what_does_not_fit_is_named(values: dict[str, object], named: str) -> None:
    (fault,) = faults(ServerSettings, values)

    assert named in fault


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:50051", ("127.0.0.1", 50051)), ("[::1]:80", ("::1", 80)), ("auth.mesh:0", ("auth.mesh", 0))],
)
def test_addresses_read_and_write_alike(text: str, address: tuple[str, int]) -> None:
    parsed = Address.parse(text)

    assert parsed == address
    assert str(parsed) == text
